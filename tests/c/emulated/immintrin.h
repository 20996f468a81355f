/* Replaces the compiler's header: AVX-512 in plain C, from SIMDe, and what its release 0.7.4 lacks.
 * As on a processor, a masked load or store does not access an element that is masked out. */
#ifndef EMULATED_IMMINTRIN_H
#define EMULATED_IMMINTRIN_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <math.h>

typedef simde__mmask8 __mmask8;
typedef simde__mmask16 __mmask16;

#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4
#undef _mm512_shuffle_f64x2
#define _mm512_shuffle_f64x2 simde_mm512_shuffle_f64x2

/* Of one type each: real, the vector, its lanes, and the suffix of the names. */
#define EMULATED(real, vector, lanes, suffix)                                                      \
    static inline vector emulated_maskz_loadu_##suffix(unsigned mask, const real *p) {             \
        real all[lanes] = {0};                                                                     \
        for (int k = 0; k < (lanes); k++)                                                          \
            if (mask >> k & 1)                                                                     \
                all[k] = p[k];                                                                     \
        return simde_mm512_loadu_##suffix(all);                                                    \
    }                                                                                              \
    static inline void emulated_mask_storeu_##suffix(real *p, unsigned mask, vector a) {           \
        real all[lanes];                                                                           \
        simde_mm512_storeu_##suffix(all, a);                                                       \
        for (int k = 0; k < (lanes); k++)                                                          \
            if (mask >> k & 1)                                                                     \
                p[k] = all[k];                                                                     \
    }                                                                                              \
    /* c + a b, or c - a b, rounded once: SIMDe rounds twice where the CPU has no FMA */           \
    static inline vector emulated_fma_##suffix(vector a, vector b, vector c, int sign) {           \
        real x[lanes], y[lanes], z[lanes];                                                         \
        simde_mm512_storeu_##suffix(x, a);                                                         \
        simde_mm512_storeu_##suffix(y, b);                                                         \
        simde_mm512_storeu_##suffix(z, c);                                                         \
        for (int k = 0; k < (lanes); k++)                                                          \
            z[k] = sizeof(real) == 4 ? (real)fmaf((float)(sign * x[k]), (float)y[k], (float)z[k])  \
                                     : (real)fma(sign * x[k], y[k], z[k]);                         \
        return simde_mm512_loadu_##suffix(z);                                                      \
    }
EMULATED(float, simde__m512, 16, ps)
EMULATED(double, simde__m512d, 8, pd)

static inline simde__m512 emulated_cvtepi32_ps(simde__m512i a) {
    int32_t from[16];
    float to[16];
    simde_mm512_storeu_si512(from, a);
    for (int k = 0; k < 16; k++)
        to[k] = (float)from[k];
    return simde_mm512_loadu_ps(to);
}
static inline simde__m512d emulated_cvtepi32_pd(simde__m256i a) {
    int32_t from[8];
    double to[8];
    simde_mm256_storeu_si256((simde__m256i *)from, a);
    for (int k = 0; k < 8; k++)
        to[k] = from[k];
    return simde_mm512_loadu_pd(to);
}
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#undef _mm512_cvtepi32_pd
#define _mm512_cvtepi32_pd emulated_cvtepi32_pd

#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#undef _mm512_maskz_loadu_pd
#define _mm512_maskz_loadu_pd emulated_maskz_loadu_pd
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#undef _mm512_mask_storeu_pd
#define _mm512_mask_storeu_pd emulated_mask_storeu_pd
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps(a, b, c) emulated_fma_ps(a, b, c, 1)
#undef _mm512_fmadd_pd
#define _mm512_fmadd_pd(a, b, c) emulated_fma_pd(a, b, c, 1)
#undef _mm512_fnmadd_ps
#define _mm512_fnmadd_ps(a, b, c) emulated_fma_ps(a, b, c, -1)
#undef _mm512_fnmadd_pd
#define _mm512_fnmadd_pd(a, b, c) emulated_fma_pd(a, b, c, -1)

#endif
