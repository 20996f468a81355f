/*
 * Vector vocabulary for AVX-512 F+DQ+VL. The including file enables the instruction set. Meaning of
 * each operation: simd_portable.h.
 *
 * V_HAS_LOOKUP: tables of V_SLOTS elements held in two registers are looked up by V(lookup).
 * V_LANES: lanes of 128 bits, which V_CHOOSE_LANES(a, b, which) takes from two registers.
 */
#include "simd_names.h"

#include <immintrin.h>

#undef V_LEN
#undef V_REGISTERS
#define V_REGISTERS 32
#undef V_SLOTS
#undef V_HAS_LOOKUP
#undef V_LANES
#define V_LANES 4
#define V_HAS_LOOKUP 1

#if REAL_BITS == 32
#define V_LEN 16
#define V_SLOTS 32
typedef __m512 v_t32;
typedef __m512i v_index32;
typedef __mmask16 v_mask32;
#else
#define V_LEN 8
#define V_SLOTS 16
typedef __m512d v_t64;
typedef __m512i v_index64;
typedef __mmask8 v_mask64;
#endif

#undef SIMD_OP
#undef SIMD_IOP
#undef SIMD_CASTI
#undef SIMD_CASTF
#undef SIMD_CMP
#undef V_CHOOSE_LANES
#if REAL_BITS == 32
#define SIMD_OP(name) _mm512_##name##_ps
#define SIMD_IOP(name) _mm512_##name##_epi32
#define SIMD_CASTI _mm512_castps_si512
#define SIMD_CASTF _mm512_castsi512_ps
#define SIMD_CMP _mm512_cmp_ps_mask
#define V_CHOOSE_LANES _mm512_shuffle_f32x4
#else
#define SIMD_OP(name) _mm512_##name##_pd
#define SIMD_IOP(name) _mm512_##name##_epi64
#define SIMD_CASTI _mm512_castpd_si512
#define SIMD_CASTF _mm512_castsi512_pd
#define SIMD_CMP _mm512_cmp_pd_mask
#define V_CHOOSE_LANES _mm512_shuffle_f64x2
#endif

SIMD_INLINE V(t) V(load)(const V_REAL *p) { return SIMD_OP(loadu)(p); }
SIMD_INLINE void V(store)(V_REAL *p, V(t) a) { SIMD_OP(storeu)(p, a); }
/* The first n elements (1 to V_LEN), the others 0, or left alone. */
SIMD_INLINE V(t) V(load_n)(const V_REAL *p, int n) {
    return SIMD_OP(maskz_loadu)((V(mask))((1u << n) - 1), p);
}
SIMD_INLINE void V(store_n)(V_REAL *p, V(t) a, int n) {
    SIMD_OP(mask_storeu)(p, (V(mask))((1u << n) - 1), a);
}
SIMD_INLINE V(t) V(keep)(V(t) a) {
#if defined(__GNUC__) && defined(__AVX512F__) /* not where it is emulated */
    __asm__("" : "+v"(a));
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
    /* 0xf8 = mag | (sgn & sign bit), in one instruction */
    __m512i sign = SIMD_CASTI(SIMD_OP(set1)((V_REAL)-0.0));
    return SIMD_CASTF(SIMD_IOP(ternarylogic)(SIMD_CASTI(mag), SIMD_CASTI(sgn), sign, 0xf8));
}
SIMD_INLINE V(t) V(select_ge)(V(t) a, V(t) b, V(t) yes, V(t) no) {
    return SIMD_OP(mask_blend)(SIMD_CMP(a, b, _CMP_GE_OQ), no, yes);
}
SIMD_INLINE V(t) V(scale)(V(t) a, V(t) rounded) {
    __m512i e = SIMD_IOP(slli)(SIMD_CASTI(rounded), REAL_BITS == 32 ? 23 : 52);
    return SIMD_CASTF(SIMD_IOP(add)(SIMD_CASTI(a), e));
}

/* A slot number: bits `shift` and up of y, modulo V_SLOTS (the permutes ignore higher bits). */
SIMD_INLINE V(index) V(index_of)(V(t) y, int shift) {
    return SIMD_IOP(srli)(SIMD_CASTI(y), (unsigned)shift);
}
SIMD_INLINE V(t) V(lookup)(const V_REAL *table, V(index) i) {
    return SIMD_OP(permutex2var)(SIMD_OP(loadu)(table), i, SIMD_OP(loadu)(table + V_LEN));
}
