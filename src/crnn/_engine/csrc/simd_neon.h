/*
 * Vector vocabulary for AArch64 Advanced SIMD. Meaning of each operation: simd_portable.h.
 */
#include "simd_names.h"

#include <arm_neon.h>

#undef V_LEN
#undef V_REGISTERS
#define V_REGISTERS 32
#undef V_HAS_LOOKUP
#undef SIMD_OP
#undef SIMD_DUP
#undef SIMD_UOP
#undef SIMD_CASTU
#undef SIMD_CASTF
#undef SIMD_SIGN
#if REAL_BITS == 32
#define V_LEN 4
typedef float32x4_t v_t32;
#define SIMD_OP(name) v##name##q_f32
#define SIMD_DUP vdupq_n_f32
#define SIMD_UOP(name) v##name##q_u32
#define SIMD_CASTU vreinterpretq_u32_f32
#define SIMD_CASTF vreinterpretq_f32_u32
#define SIMD_SIGN vdupq_n_u32(UINT32_C(0x80000000))
#else
#define V_LEN 2
typedef float64x2_t v_t64;
#define SIMD_OP(name) v##name##q_f64
#define SIMD_DUP vdupq_n_f64
#define SIMD_UOP(name) v##name##q_u64
#define SIMD_CASTU vreinterpretq_u64_f64
#define SIMD_CASTF vreinterpretq_f64_u64
#define SIMD_SIGN vdupq_n_u64(UINT64_C(0x8000000000000000))
#endif

SIMD_INLINE V(t) V(load)(const V_REAL *p) { return SIMD_OP(ld1)(p); }
SIMD_INLINE void V(store)(V_REAL *p, V(t) a) { SIMD_OP(st1)(p, a); }
/* The first n elements (1 to V_LEN), the others 0, or left alone. */
SIMD_INLINE V(t) V(load_n)(const V_REAL *p, int n) {
    V_REAL all[V_LEN] = {0};
    memcpy(all, p, (size_t)n * sizeof(V_REAL));
    return V(load)(all);
}
SIMD_INLINE void V(store_n)(V_REAL *p, V(t) a, int n) {
    V_REAL all[V_LEN];
    V(store)(all, a);
    memcpy(p, all, (size_t)n * sizeof(V_REAL));
}
SIMD_INLINE V(t) V(keep)(V(t) a) { return a; }
SIMD_INLINE V(t) V(set1)(V_REAL a) { return SIMD_DUP(a); }
SIMD_INLINE V(t) V(add)(V(t) a, V(t) b) { return SIMD_OP(add)(a, b); }
SIMD_INLINE V(t) V(sub)(V(t) a, V(t) b) { return SIMD_OP(sub)(a, b); }
SIMD_INLINE V(t) V(mul)(V(t) a, V(t) b) { return SIMD_OP(mul)(a, b); }
SIMD_INLINE V(t) V(div)(V(t) a, V(t) b) { return SIMD_OP(div)(a, b); }
SIMD_INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return SIMD_OP(fma)(c, a, b); }
SIMD_INLINE V(t) V(fnma)(V(t) a, V(t) b, V(t) c) { return SIMD_OP(fms)(c, a, b); }
/* FMIN gives a NaN if either is one, which serves as well. */
SIMD_INLINE V(t) V(min)(V(t) a, V(t) b) { return SIMD_OP(min)(a, b); }
SIMD_INLINE V(t) V(sqrt)(V(t) a) { return SIMD_OP(sqrt)(a); }
SIMD_INLINE V(t) V(abs)(V(t) a) { return SIMD_OP(abs)(a); }
SIMD_INLINE V(t) V(copysign)(V(t) mag, V(t) sgn) { return SIMD_OP(bsl)(SIMD_SIGN, sgn, mag); }
SIMD_INLINE V(t) V(select_ge)(V(t) a, V(t) b, V(t) yes, V(t) no) {
    return SIMD_OP(bsl)(SIMD_OP(cge)(a, b), yes, no);
}
SIMD_INLINE V(t) V(scale)(V(t) a, V(t) rounded) {
#if REAL_BITS == 32
    uint32x4_t e = vshlq_n_u32(SIMD_CASTU(rounded), 23);
#else
    uint64x2_t e = vshlq_n_u64(SIMD_CASTU(rounded), 52);
#endif
    return SIMD_CASTF(SIMD_UOP(add)(SIMD_CASTU(a), e));
}
