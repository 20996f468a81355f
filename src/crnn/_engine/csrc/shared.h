/* Included by every kernel file first. The system headers are included here because they must come
 * before a kernel file enables its instruction set for the code that follows. */
#ifndef CRNN_SHARED_H
#define CRNN_SHARED_H

/* -ffast-math would silently make the kernels wrong: NaN and infinity would not be recognised, and
 * sums would be reordered. setup.py turns it off after the user's CFLAGS; other builds stop here.
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

/* What a cell has of each unit. `gates` is its rows in the weights. z and dz have `groups` columns
 * for it: a GRU keeps what its gate n gets from the inputs apart from what it gets from the state.
 * The gates of a product are neighbouring groups. One of the two products uses the groups from 0
 * on, whose gates are `first`; the other uses the last groups, whose gates are in order. */
typedef struct {
    int gates, groups;
    int kept; /* numbers of each step that backward needs besides a */
    signed char first[4];
} crnn_cell_sizes;

static inline crnn_cell_sizes crnn_cell_of(int cell) {
    static const crnn_cell_sizes sizes[] = {
        {1, 1, 0, {0}}, {1, 1, 1, {0}}, {3, 4, 4, {2, 0, 1}}, {4, 4, 5, {0, 1, 2, 3}}};
    return sizes[cell];
}

/* Rows of a tile (tile.inc). It takes 24 of 32 registers with 4 vectors a row, 12 of 16 with 2. */
enum { TILE_ROWS = 6 };

#endif
