/* What the kernels of every dtype share. System headers are included here, because they must be
 * read before a kernel file enables its instruction set for the code that follows. */
#ifndef CRNN_SHARED_H
#define CRNN_SHARED_H

/* -ffast-math would make the kernels wrong without a word: NaN and infinity would not be recognised
 * and sums would be reordered. setup.py turns it off after the user's CFLAGS; other builds stop
 * here.
 */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) ||           \
    defined(__ASSOCIATIVE_MATH__)
#error "crnn's kernels need exact floating-point semantics: compile with -fno-fast-math"
#endif

#include "denormals.h"
#include "order.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#endif

/* Rows of a tile (tile.inc): with 4 vectors each, 24 of 32 registers; with 2, 12 of 16. */
enum { TILE_ROWS = 6 };

#endif
