/* What is the same for every dtype; system headers, which must be read before an instruction set is
 * enabled for what follows. */
#ifndef CRNN_SHARED_H
#define CRNN_SHARED_H

#include "denormals.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#endif

/* Rows of a tile (tile.h): with 4 vectors each, 24 of 32 registers; with 2, 12 of 16. */
enum { TILE_ROWS = 6 };

#endif
