/* Names shared by the vector vocabularies simd_*.h and the code over them.
 *
 * REAL_BITS (32 or 64) selects the element type; it is redefined to include a vocabulary and the
 * code over it a second time in one file. V(add) is v_add32 or v_add64.
 */
#undef V_REAL
#if REAL_BITS == 32
#define V_REAL float
#elif REAL_BITS == 64
#define V_REAL double
#else
#error "define REAL_BITS to 32 or 64"
#endif

#ifndef SIMD_NAMES_H
#define SIMD_NAMES_H

#include <stdint.h>

#define SIMD_PASTE_(a, b) a##b
#define SIMD_PASTE(a, b) SIMD_PASTE_(a, b)
#define V(name) SIMD_PASTE(v_##name, REAL_BITS)
/* Constants that differ by element type: CONST(LEAST) is LEAST32 or LEAST64. */
#define CONST(name) SIMD_PASTE(name, REAL_BITS)

/* The least normal number. */
#define LEAST32 0x1p-126f
#define LEAST64 0x1p-1022

/* A power of two near the root of the largest number: its square is finite. */
#define MOST_TO_SQUARE32 0x1p+63f
#define MOST_TO_SQUARE64 0x1p+511

/* exp of this is hardly above it. */
#define EXP_LOWEST32 -87.0f
#define EXP_LOWEST64 -708.0

/* Adding this rounds to an integer (to nearest), left in the low bits of the sum; the bit pattern
 * shifted up to the exponent field is then a scale by that power of two. */
#define ROUND_MAGIC32 0x1.8p+23f
#define ROUND_MAGIC64 0x1.8p+52

#if defined(_MSC_VER) && !defined(__clang__)
#define SIMD_INLINE static __forceinline
#else
#define SIMD_INLINE static inline __attribute__((always_inline, unused))
#endif
#define SIMD_ALIGNED _Alignas(64)

/* Ask for the cache line at p, which is soon to be read. */
#if defined(__GNUC__)
#define SIMD_PREFETCH(p) __builtin_prefetch(p)
#elif defined(_M_X64)
#define SIMD_PREFETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
#else
#define SIMD_PREFETCH(p) ((void)(p))
#endif

/* A loop of few, constant rounds, written out: what it counts through must become registers. */
#if defined(__clang__)
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#elif defined(__GNUC__)
#define EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) for (int i = 0; i < (n); i++)
#endif

#endif
