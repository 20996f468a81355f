/* Choose the table of kernels: the best one that this CPU can run. */
#include <string.h>

#include "crnn_kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(__GNUC__)
#include <cpuid.h>
#else
#include <intrin.h>
#endif

/* A bit of what CPUID says of a leaf; 0 if the CPU does not know the leaf.
 *
 * __builtin_cpu_supports would ask the same, but needs a part of the compiler's run-time library
 * that not every compiler has: `zig cc` does not. */
static int cpuid_bit(unsigned leaf, int word, int bit) {
    unsigned words[4] = {0};
#if defined(__GNUC__)
    __get_cpuid_count(leaf, 0, &words[0], &words[1], &words[2], &words[3]);
#else
    int found[4];
    __cpuid(found, 0);
    if ((unsigned)found[0] >= leaf) {
        __cpuidex(found, (int)leaf, 0);
        memcpy(words, found, sizeof words);
    }
#endif
    return words[word] >> bit & 1;
}
/* Whether the operating system saves these registers, given as bits of XCR0: 0x6 are the SSE and
 * AVX registers, 0xE0 those of AVX-512. */
static int saves(unsigned registers) {
    if (!cpuid_bit(1, 2, 27))
        return 0;
#if defined(__GNUC__)
    unsigned xcr0, high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
#else
    const unsigned xcr0 = (unsigned)_xgetbv(0);
#endif
#if defined(__APPLE__)
    registers &= 0x6; /* macOS shows those of AVX-512 as saved only once a thread has used them */
#endif
    return (xcr0 & registers) == registers;
}
/* Whether this CPU has the instructions and the operating system saves their registers. */
static int has_avx2(void) { return saves(0x6) && cpuid_bit(7, 1, 5) && cpuid_bit(1, 2, 12); }
static int has_avx512(void) {
    return saves(0xE6) && has_avx2() && cpuid_bit(7, 1, 16) && cpuid_bit(7, 1, 17) &&
           cpuid_bit(7, 1, 31);
}
#endif
static int always(void) { return 1; }

static const struct {
    const crnn_kernels *kernels;
    int (*usable)(void);
} tables[] = {
/* the best first */
#if defined(__x86_64__) || defined(_M_X64)
    {&crnn_kernels_avx512, has_avx512},
    {&crnn_kernels_avx2, has_avx2},
#elif defined(__aarch64__) || defined(_M_ARM64)
    {&crnn_kernels_neon, always},
#endif
    {&crnn_kernels_portable, always},
};

const crnn_kernels *crnn_find_kernels(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if ((name == NULL || strcmp(name, tables[i].kernels->name) == 0) && tables[i].usable())
            return tables[i].kernels;
    return NULL;
}
