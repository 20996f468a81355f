/* Choose the table of kernels: the best one that this CPU can run. */
#include <string.h>

#include "crnn_kernels.h"

/* Whether this CPU has the instructions and the operating system saves their registers. */
#if (defined(__x86_64__) || defined(_M_X64)) && defined(__GNUC__)
/* The run-time libraries of gcc and clang check both CPUID and XGETBV. */
static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#elif defined(_M_X64)
#include <intrin.h>
static int cpuid_bit(int leaf, int word, int bit) {
    int words[4];
    __cpuidex(words, leaf, 0);
    return words[word] >> bit & 1;
}
/* Whether the operating system saves these registers, given as bits of XCR0: 0x6 are the SSE and
 * AVX registers, 0xE0 those of AVX-512. */
static int saves(unsigned registers) {
    return cpuid_bit(1, 2, 27) && (_xgetbv(0) & registers) == registers;
}
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
