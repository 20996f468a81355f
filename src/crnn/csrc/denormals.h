/* Flush-to-zero: a gradient that vanishes ends in denormals, and one of those costs a hundred times
 * a normal multiplication. The state belongs to a thread and is put back. */
#ifndef CRNN_DENORMALS_H
#define CRNN_DENORMALS_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned crnn_denormals;
static inline crnn_denormals crnn_denormals_off(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* flush results, read denormals as zero */
    return before;
}
static inline void crnn_denormals_restore(crnn_denormals before) { _mm_setcsr(before); }
#elif defined(__aarch64__) && defined(__GNUC__)
typedef uint64_t crnn_denormals;
static inline crnn_denormals crnn_denormals_off(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (UINT64_C(1) << 24)));
    return before;
}
static inline void crnn_denormals_restore(crnn_denormals before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
typedef int crnn_denormals;
static inline crnn_denormals crnn_denormals_off(void) { return 0; }
static inline void crnn_denormals_restore(crnn_denormals before) { (void)before; }
#endif

#endif
