/*
 * Vector vocabulary for AVX2 + FMA. The including file enables the instruction set. Meaning of each
 * operation: simd_portable.h; V_HAS_LOOKUP (float only, with one register per table) and V_LANES:
 * simd_avx512.h.
 */
#include "simd_names.h"

#include <immintrin.h>

#undef V_LEN
#undef V_REGISTERS
#define V_REGISTERS 16
#undef V_LANES
#define V_LANES 2
#undef V_CHOOSE_LANES
#undef V_SLOTS
#undef V_HAS_LOOKUP
#undef SIMD_OP
#undef SIMD_IOP
#undef SIMD_CASTI
#undef SIMD_CASTF
#if REAL_BITS == 32
#define V_LEN 8
#define V_SLOTS 8
#define V_HAS_LOOKUP 1
typedef __m256 v_t32;
typedef __m256i v_index32;
#define SIMD_OP(name) _mm256_##name##_ps
#define SIMD_IOP(name) _mm256_##name##_epi32
#define SIMD_CASTI _mm256_castps_si256
#define SIMD_CASTF _mm256_castsi256_ps
#define V_CHOOSE_LANES _mm256_permute2f128_ps
#else
#define V_LEN 4
typedef __m256d v_t64;
#define SIMD_OP(name) _mm256_##name##_pd
#define SIMD_IOP(name) _mm256_##name##_epi64
#define SIMD_CASTI _mm256_castpd_si256
#define SIMD_CASTF _mm256_castsi256_pd
#define V_CHOOSE_LANES _mm256_permute2f128_pd
#endif

SIMD_INLINE V(t) V(load)(const V_REAL *p) { return SIMD_OP(loadu)(p); }
SIMD_INLINE void V(store)(V_REAL *p, V(t) a) { SIMD_OP(storeu)(p, a); }
/* The first n elements (1 to V_LEN), the others 0, or left alone. */
SIMD_INLINE __m256i V(first)(int n) {
#if REAL_BITS == 32
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
#else
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
#endif
}
SIMD_INLINE V(t) V(load_n)(const V_REAL *p, int n) { return SIMD_OP(maskload)(p, V(first)(n)); }
SIMD_INLINE void V(store_n)(V_REAL *p, V(t) a, int n) { SIMD_OP(maskstore)(p, V(first)(n), a); }
SIMD_INLINE V(t) V(keep)(V(t) a) {
#if defined(__GNUC__)
    __asm__("" : "+x"(a));
#endif
    return a;
}
SIMD_INLINE V(t) V(set1)(V_REAL a) { return SIMD_OP(set1)(a); }
SIMD_INLINE V(t) V(add)(V(t) a, V(t) b) { return SIMD_OP(add)(a, b); }
SIMD_INLINE V(t) V(sub)(V(t) a, V(t) b) { return SIMD_OP(sub)(a, b); }
SIMD_INLINE V(t) V(mul)(V(t) a, V(t) b) { return SIMD_OP(mul)(a, b); }
SIMD_INLINE V(t) V(div)(V(t) a, V(t) b) { return SIMD_OP(div)(a, b); }
SIMD_INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return SIMD_OP(fmadd)(a, b, c); }
SIMD_INLINE V(t) V(fnma)(V(t) a, V(t) b, V(t) c) { return SIMD_OP(fnmadd)(a, b, c); }
SIMD_INLINE V(t) V(min)(V(t) a, V(t) b) { return SIMD_OP(min)(a, b); }
SIMD_INLINE V(t) V(sqrt)(V(t) a) { return SIMD_OP(sqrt)(a); }
SIMD_INLINE V(t) V(abs)(V(t) a) { return SIMD_OP(andnot)(SIMD_OP(set1)((V_REAL)-0.0), a); }
SIMD_INLINE V(t) V(copysign)(V(t) mag, V(t) sgn) {
    return SIMD_OP(or)(mag, SIMD_OP (and)(sgn, SIMD_OP(set1)((V_REAL)-0.0)));
}
SIMD_INLINE V(t) V(select_ge)(V(t) a, V(t) b, V(t) yes, V(t) no) {
    return SIMD_OP(blendv)(no, yes, SIMD_OP(cmp)(a, b, _CMP_GE_OQ));
}
SIMD_INLINE V(t) V(scale)(V(t) a, V(t) rounded) {
    __m256i e = SIMD_IOP(slli)(SIMD_CASTI(rounded), REAL_BITS == 32 ? 23 : 52);
    return SIMD_CASTF(SIMD_IOP(add)(SIMD_CASTI(a), e));
}

#ifdef V_HAS_LOOKUP
SIMD_INLINE V(index) V(index_of)(V(t) y, int shift) {
    return _mm256_srli_epi32(_mm256_castps_si256(y), shift);
}
SIMD_INLINE V(t) V(lookup)(const V_REAL *table, V(index) i) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
}
#endif
