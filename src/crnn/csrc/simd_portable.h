/*
 * Vector vocabulary in plain C: vectors of one element, which the compiler may widen again when it
 * vectorises the loop around them. Selects are written as bit masks, since GCC makes branches of `?:`
 * here and then does not vectorise. (On plain SSE2, GCC 12 vectorises float but not double, for want
 * of 64-bit comparisons.)
 */
#include "simd_names.h"

#include <string.h>

#undef V_LEN
#undef V_REGISTERS
#define V_REGISTERS 16
#define V_LEN 1
#undef V_HAS_LOOKUP

#if REAL_BITS == 32
typedef float v_t32;
typedef uint32_t v_bits32;
#define V_SIGN32 UINT32_C(0x80000000)
#define V_MANT32 23
#else
typedef double v_t64;
typedef uint64_t v_bits64;
#define V_SIGN64 UINT64_C(0x8000000000000000)
#define V_MANT64 52
#endif

SIMD_INLINE V(bits) V(to_bits)(V(t) a)
{
    V(bits) b;
    memcpy(&b, &a, sizeof b);
    return b;
}

SIMD_INLINE V(t) V(from_bits)(V(bits) b)
{
    V(t) a;
    memcpy(&a, &b, sizeof a);
    return a;
}

SIMD_INLINE V(t) V(load)(const V_REAL *p) { return *p; }
SIMD_INLINE void V(store)(V_REAL *p, V(t) a) { *p = a; }
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
SIMD_INLINE V(t) V(set1)(V_REAL a) { return a; }
SIMD_INLINE V(t) V(add)(V(t) a, V(t) b) { return a + b; }
SIMD_INLINE V(t) V(sub)(V(t) a, V(t) b) { return a - b; }
SIMD_INLINE V(t) V(mul)(V(t) a, V(t) b) { return a * b; }
SIMD_INLINE V(t) V(div)(V(t) a, V(t) b) { return a / b; }
/* a b + c and c - a b, fused or not. */
SIMD_INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return a * b + c; }
SIMD_INLINE V(t) V(fnma)(V(t) a, V(t) b, V(t) c) { return c - a * b; }
SIMD_INLINE V(t) V(abs)(V(t) a) { return V(from_bits)(V(to_bits)(a) & ~CONST(V_SIGN)); }
/* mag >= 0 with the sign of sgn. */
SIMD_INLINE V(t) V(copysign)(V(t) mag, V(t) sgn)
{
    return V(from_bits)(V(to_bits)(mag) | (V(to_bits)(sgn) & CONST(V_SIGN)));
}
/* a >= b ? yes : no; a NaN gives no. */
SIMD_INLINE V(t) V(select_ge)(V(t) a, V(t) b, V(t) yes, V(t) no)
{
    V(bits) m = (V(bits))0 - (V(bits))(a >= b);
    return V(from_bits)((V(to_bits)(yes) & m) | (V(to_bits)(no) & ~m));
}
/* The smaller; b if either is a NaN. */
SIMD_INLINE V(t) V(min)(V(t) a, V(t) b) { return V(select_ge)(b, a, a, b); }
/* a 2^k, where `rounded` is k + ROUND_MAGIC; result must be normal. */
SIMD_INLINE V(t) V(scale)(V(t) a, V(t) rounded)
{
    return V(from_bits)(V(to_bits)(a) + (V(to_bits)(rounded) << CONST(V_MANT)));
}
