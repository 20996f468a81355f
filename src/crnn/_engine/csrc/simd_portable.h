/* Vector vocabulary in plain C: what each operation means. With gcc and clang a vector is 16 bytes
 * of their vector extension, which every CPU of theirs can do somehow; elsewhere it is one number.
 * Selects are written as bit masks: `?:` becomes a branch.
 */
#include "simd_names.h"

#include <string.h>

#undef V_LEN
#undef V_REGISTERS
#undef V_HAS_LOOKUP
#define V_REGISTERS 16
#if defined(__GNUC__)
#define V_LEN (16 / (REAL_BITS / 8))
#define SIMD_VECTOR __attribute__((vector_size(16)))
#else
#define V_LEN 1
#define SIMD_VECTOR
#endif

#if REAL_BITS == 32
typedef float v_t32 SIMD_VECTOR;
typedef uint32_t v_bits32 SIMD_VECTOR;
#define V_SIGN32 UINT32_C(0x80000000)
#define V_MANT32 23
#else
typedef double v_t64 SIMD_VECTOR;
typedef uint64_t v_bits64 SIMD_VECTOR;
#define V_SIGN64 UINT64_C(0x8000000000000000)
#define V_MANT64 52
#endif
#undef SIMD_VECTOR

SIMD_INLINE V(bits) V(to_bits)(V(t) a) {
    V(bits) b;
    memcpy(&b, &a, sizeof b);
    return b;
}

SIMD_INLINE V(t) V(from_bits)(V(bits) b) {
    V(t) a;
    memcpy(&a, &b, sizeof a);
    return a;
}

SIMD_INLINE V(t) V(load)(const V_REAL *p) {
    V(t) a;
    memcpy(&a, p, sizeof a);
    return a;
}
SIMD_INLINE void V(store)(V_REAL *p, V(t) a) { memcpy(p, &a, sizeof a); }
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
/* a, from here on in a register: GCC would rather read a vector that is used twice from memory both
 * times, and loads, 2 a cycle on x86, are what two rows wait for (15 % at m = 2). */
SIMD_INLINE V(t) V(keep)(V(t) a) { return a; }
SIMD_INLINE V(t) V(set1)(V_REAL a) { return a - (V(t)){0}; } /* -0 - 0 is -0 */
SIMD_INLINE V(t) V(add)(V(t) a, V(t) b) { return a + b; }
SIMD_INLINE V(t) V(sub)(V(t) a, V(t) b) { return a - b; }
SIMD_INLINE V(t) V(mul)(V(t) a, V(t) b) { return a * b; }
SIMD_INLINE V(t) V(div)(V(t) a, V(t) b) { return a / b; }
/* a b + c and c - a b, fused or not. */
SIMD_INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return a * b + c; }
SIMD_INLINE V(t) V(fnma)(V(t) a, V(t) b, V(t) c) { return c - a * b; }
SIMD_INLINE V(t) V(sqrt)(V(t) a) {
    V_REAL all[V_LEN];
    V(store)(all, a);
    for (int v = 0; v < V_LEN; v++)
        all[v] = (V_REAL)sqrt(all[v]);
    return V(load)(all);
}
SIMD_INLINE V(t) V(abs)(V(t) a) { return V(from_bits)(V(to_bits)(a) & ~CONST(V_SIGN)); }
/* mag >= 0 with the sign of sgn. */
SIMD_INLINE V(t) V(copysign)(V(t) mag, V(t) sgn) {
    return V(from_bits)(V(to_bits)(mag) | (V(to_bits)(sgn) & CONST(V_SIGN)));
}
/* a >= b ? yes : no; a NaN gives no. */
SIMD_INLINE V(t) V(select_ge)(V(t) a, V(t) b, V(t) yes, V(t) no) {
#if defined(__GNUC__)
    const V(bits) m = (V(bits))(a >= b); /* all bits of a lane, or none */
#else
    const V(bits) m = (V(bits))0 - (V(bits))(a >= b);
#endif
    return V(from_bits)((V(to_bits)(yes) & m) | (V(to_bits)(no) & ~m));
}
/* The smaller; b if either is a NaN. */
SIMD_INLINE V(t) V(min)(V(t) a, V(t) b) { return V(select_ge)(b, a, a, b); }
/* a 2^k, where `rounded` is k + ROUND_MAGIC; result must be normal. */
SIMD_INLINE V(t) V(scale)(V(t) a, V(t) rounded) {
    return V(from_bits)(V(to_bits)(a) + (V(to_bits)(rounded) << CONST(V_MANT)));
}
