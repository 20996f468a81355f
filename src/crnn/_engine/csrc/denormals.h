/* Flush denormals to zero. A vanishing gradient decays into denormals, and a multiplication with
 * one takes about a hundred times as long as any other. The setting belongs to the calling thread;
 * every kernel restores it before it returns. */
#ifndef CRNN_DENORMALS_H
#define CRNN_DENORMALS_H

#include <stdint.h>

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
typedef unsigned crnn_denormals;
static inline crnn_denormals crnn_denormals_off(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* FTZ and DAZ: results and operands */
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
