/*
 * tanh of a vector, over the vocabulary of whichever simd_*.h is included before this file, for the
 * element type REAL_BITS. V(tanh)(x) is meant to be inlined on values still in registers.
 *
 * Both designs work on |x| and put the sign back, so they are exactly odd; both are free of
 * branches and of memory gathers; NaN goes to NaN, infinities to +-1, and zeros and denormals to
 * themselves.
 */
#include "tanh_coef.h"

/* One Horner step. Written out rather than looped: loops inside keep compilers from vectorising. */
#undef TANH_STEP
#define TANH_STEP(p, t, c, k) p = V(fma)(p, t, V(set1)(CONST(c)[k]))

/* tanh(x) for 0 <= x < split: x + x s P(s), s = x^2; harmless elsewhere. */
SIMD_INLINE V(t) V(tanh_near0)(V(t) x) {
    V(t) s = V(mul)(x, x);
#if REAL_BITS == 64
    V(t) p = V(set1)(tanh_small64[10]);
    TANH_STEP(p, s, tanh_small, 9);
    TANH_STEP(p, s, tanh_small, 8);
    TANH_STEP(p, s, tanh_small, 7);
    TANH_STEP(p, s, tanh_small, 6);
    TANH_STEP(p, s, tanh_small, 5);
    TANH_STEP(p, s, tanh_small, 4);
#else
    V(t) p = V(set1)(tanh_small32[4]);
#endif
    TANH_STEP(p, s, tanh_small, 3);
    TANH_STEP(p, s, tanh_small, 2);
    TANH_STEP(p, s, tanh_small, 1);
    TANH_STEP(p, s, tanh_small, 0);
    return V(fma)(V(mul)(x, s), p, x);
}

/* exp(2h) for |h| <= ln2/4: c0 + h (c1 + ...), even and odd powers apart to halve the latency */
SIMD_INLINE V(t) V(tanh_exp2h)(V(t) h) {
    V(t) h2 = V(mul)(h, h);
#if REAL_BITS == 64
    V(t) odd = V(set1)(tanh_exp64[10]), even = V(set1)(tanh_exp64[11]);
    TANH_STEP(odd, h2, tanh_exp, 8);
    TANH_STEP(even, h2, tanh_exp, 9);
    TANH_STEP(odd, h2, tanh_exp, 6);
    TANH_STEP(even, h2, tanh_exp, 7);
    TANH_STEP(even, h2, tanh_exp, 5);
#else
    V(t) odd = V(set1)(tanh_exp32[6]), even = V(set1)(tanh_exp32[5]);
#endif
    TANH_STEP(odd, h2, tanh_exp, 4);
    TANH_STEP(even, h2, tanh_exp, 3);
    TANH_STEP(odd, h2, tanh_exp, 2);
    TANH_STEP(even, h2, tanh_exp, 1);
    V(t) p = V(fma)(odd, h, even);
    TANH_STEP(p, h, tanh_exp, 0);
    return p;
}

/*
 * Design "blend", for every instruction set: one division.
 *   |x| <  split: an odd polynomial
 *   |x| >= split: 1 - 2 / (exp(2|x|) + 1), where the final subtraction hides the error of exp
 * Both are evaluated and the right one kept.
 */
SIMD_INLINE V(t) V(tanh_blend)(V(t) x) {
    V(t) ax = V(abs)(x);
    V(t) small = V(tanh_near0)(ax);

    /* 2|x| = k ln2 + 2h; ln2/2 in two parts, the first times k being exact even without fma. */
    V(t) magic = V(set1)(CONST(ROUND_MAGIC));
    V(t) a = V(min)(V(set1)(CONST(TANH_LIMIT)), ax);
    V(t) rounded = V(fma)(a, V(set1)(CONST(TANH_2LOG2E)), magic);
    V(t) k = V(sub)(rounded, magic);
    V(t) h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_HI)), a);
    h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_LO)), h);
    /* The scale may corrupt a NaN, but select_ge takes the other side for those. */
    V(t) e = V(scale)(V(tanh_exp2h)(h), rounded);
    V(t) one = V(set1)(1);
    V(t) large = V(sub)(one, V(div)(V(set1)(2), V(add)(e, one)));

    return V(copysign)(V(select_ge)(ax, V(set1)(CONST(TANH_SPLIT)), large, small), x);
}

#ifdef V_HAS_LOOKUP
/*
 * Design "table", where registers can be lookup tables: no division at all. The exponent and top
 * mantissa bits of y = scale |x| + bias number an interval (narrow near 0, wide in the tail) and
 * each has its own polynomial in the distance d from its centre. The centres were chosen so that
 * tanh(centre) is almost exactly representable; so the error is hardly more than the last rounding.
 * The interval at 0 has centre 0 and coefficients 0, 1, 0, ... and so is relatively accurate.
 *
 * Tried for 8 floats: the blend with exp from a table of 2^(j/8) and a cubic, 13 cycles a vector
 * against 16, but 1 % of a step and 1.6 ulp against 1.1; exp(2x) - 1 over exp(2x) + 1, which is 9
 * cycles and not monotone.
 */
#undef TANH_KS
#undef TANH_T
/* TANH_KS(TANH_TABLE_BIAS) is TANH_TABLE_BIAS32x8 for tables of 8 floats. */
#define TANH_KS(name) SIMD_PASTE(CONST(name), SIMD_PASTE(x, V_SLOTS))

#define TANH_T(k) V(lookup)(TANH_KS(tanh_table)[(k) + 1], i)

#if TANH_TABLE_DEGREE32x32 != 4 || TANH_TABLE_DEGREE32x8 != 7 || TANH_TABLE_DEGREE64x16 != 13
#error "tanh_rest is written for other degrees than bench/tanh_coef.py made"
#endif
/* c2 + c3 d + c4 d^2 + ..., by blocks where the degree is high, for latency */
SIMD_INLINE V(t) V(tanh_rest)(V(index) i, V(t) d) {
#if REAL_BITS == 32 && V_SLOTS == 32
    return V(fma)(V(fma)(TANH_T(4), d, TANH_T(3)), d, TANH_T(2));
#else
    V(t) d2 = V(mul)(d, d);
    V(t) p2 = V(fma)(TANH_T(3), d, TANH_T(2));
    V(t) p4 = V(fma)(TANH_T(5), d, TANH_T(4));
    V(t) p6 = V(fma)(TANH_T(7), d, TANH_T(6));
#if REAL_BITS == 32
    return V(fma)(V(fma)(p6, d2, p4), d2, p2);
#else
    V(t) d4 = V(mul)(d2, d2);
    V(t) p8 = V(fma)(TANH_T(9), d, TANH_T(8));
    V(t) p10 = V(fma)(TANH_T(11), d, TANH_T(10));
    V(t) p12 = V(fma)(TANH_T(13), d, TANH_T(12));
    V(t) q = V(fma)(V(fma)(p12, d2, p10), d4, V(fma)(p8, d2, p6));
    return V(fma)(q, d4, V(fma)(p4, d2, p2));
#endif
#endif
}

SIMD_INLINE V(t) V(tanh_table)(V(t) x) {
    /* min comes before everything else: beyond the limit slots would alias; NaN passes through. */
    V(t) ax = V(min)(V(set1)(CONST(TANH_LIMIT)), V(abs)(x));
    V(t) y = V(fma)(ax, V(set1)(TANH_KS(TANH_TABLE_SCALE)), V(set1)(TANH_KS(TANH_TABLE_BIAS)));
    V(index) i = V(index_of)(y, TANH_KS(TANH_TABLE_SHIFT));
    V(t) d = V(sub)(ax, V(lookup)(TANH_KS(tanh_table)[0], i));
    V(t) p = V(tanh_rest)(i, d);
    /* The two lowest coefficients one after the other, so that the last rounding is nearly all */
    p = V(fma)(p, d, V(lookup)(TANH_KS(tanh_table)[2], i));
    p = V(fma)(p, d, V(lookup)(TANH_KS(tanh_table)[1], i));
    return V(copysign)(p, x);
}

SIMD_INLINE V(t) V(tanh)(V(t) x) { return V(tanh_table)(x); }
#else
SIMD_INLINE V(t) V(tanh)(V(t) x) { return V(tanh_blend)(x); }
#endif
