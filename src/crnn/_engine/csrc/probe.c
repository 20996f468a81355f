/* The probes, one pair per instruction set; see probe.h.
 *
 * Several independent chains of dependent instructions hide the latency of each: an FMA takes 4
 * cycles and two can start in every cycle, so at least 8 chains are needed, and 12 or more leave a
 * margin. Each chain needs a register: there are 32 with AVX-512 and NEON, 16 with AVX2.
 */
#include "probe.h"

#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define X86_PROBES
#include <immintrin.h>
#elif defined(__aarch64__)
#define NEON_PROBES
#include <arm_neon.h>
#endif

/* A loop over chains. It must be unrolled completely, so that the chains are in registers: at -O2
 * compilers would keep them in memory, and the peak would be less than half of what it is. */
#if defined(__clang__)
#define EACH(k, n) _Pragma("clang loop unroll(full)") for (int k = 0; k < (n); k++)
#elif defined(__GNUC__)
#define EACH(k, n) _Pragma("GCC unroll 64") for (int k = 0; k < (n); k++)
#else
#define EACH(k, n) for (int k = 0; k < (n); k++)
#endif

/* VECTOR holds LANES floats and has the operations SET, FMA, ADD and LOAD. There are CHAINS chains
 * of multiply-adds and READS chains of additions. Every multiply-add chain converges to the fixed
 * point 2 = 0.5 * 2 + 1, so that no infinity or denormal arises. */
#define DEFINE_PROBE(ISA, TARGET, VECTOR, LANES, CHAINS, READS, SET, FMA, ADD, LOAD)               \
    TARGET static float sum_##ISA(int n, const VECTOR *v) {                                        \
        float lanes[LANES], sum = 0;                                                               \
        VECTOR total = v[0];                                                                       \
        for (int k = 1; k < n; k++)                                                                \
            total = ADD(total, v[k]);                                                              \
        memcpy(lanes, &total, sizeof lanes);                                                       \
        for (int k = 0; k < LANES; k++)                                                            \
            sum += lanes[k];                                                                       \
        return sum;                                                                                \
    }                                                                                              \
    TARGET static float fma_##ISA(ptrdiff_t rounds) {                                              \
        const VECTOR half = SET(0.5f), one = SET(1.0f);                                            \
        VECTOR chain[CHAINS];                                                                      \
        for (int k = 0; k < CHAINS; k++)                                                           \
            chain[k] = SET((float)k);                                                              \
        for (; rounds > 0; rounds--)                                                               \
            EACH (k, CHAINS)                                                                       \
                chain[k] = FMA(chain[k], half, one);                                               \
        return sum_##ISA(CHAINS, chain);                                                           \
    }                                                                                              \
    TARGET static float read_##ISA(ptrdiff_t n, const float *x, ptrdiff_t rounds) {                \
        VECTOR chain[READS];                                                                       \
        for (int k = 0; k < READS; k++)                                                            \
            chain[k] = SET(0.0f);                                                                  \
        for (; rounds > 0; rounds--)                                                               \
            for (ptrdiff_t i = 0; i < n; i += READS * LANES)                                       \
                EACH (k, READS)                                                                    \
                    chain[k] = ADD(chain[k], LOAD(x + i + k * LANES));                             \
        return sum_##ISA(READS, chain);                                                            \
    }                                                                                              \
    static const crnn_probe probe_##ISA = {                                                        \
        .name = #ISA,                                                                              \
        .flops_a_round = 2.0 * CHAINS * LANES,                                                     \
        .fma = fma_##ISA,                                                                          \
        .read = read_##ISA,                                                                        \
    };

#ifdef X86_PROBES
#define AVX512 __attribute__((target("avx512f")))
#define AVX2 __attribute__((target("avx2,fma")))
DEFINE_PROBE(avx512, AVX512, __m512, 16, 16, 8, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps,
             _mm512_loadu_ps)
DEFINE_PROBE(avx2, AVX2, __m256, 8, 12, 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps,
             _mm256_loadu_ps)
#endif

#ifdef NEON_PROBES
#define NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
DEFINE_PROBE(neon, , float32x4_t, 4, 16, 16, vdupq_n_f32, NEON_FMA, vaddq_f32, vld1q_f32)
#else
/* Enough chains for a compiler that puts four of them into each vector register. */
#define PLAIN_SET(a) (a)
#define PLAIN_FMA(a, b, c) ((a) * (b) + (c))
#define PLAIN_ADD(a, b) ((a) + (b))
#define PLAIN_LOAD(x) (*(x))
DEFINE_PROBE(portable, , float, 1, 48, 32, PLAIN_SET, PLAIN_FMA, PLAIN_ADD, PLAIN_LOAD)
#endif

const crnn_probe *crnn_find_probe(void) {
#ifdef X86_PROBES
    if (__builtin_cpu_supports("avx512f"))
        return &probe_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &probe_avx2;
#endif
#ifdef NEON_PROBES
    return &probe_neon;
#else
    return &probe_portable;
#endif
}
