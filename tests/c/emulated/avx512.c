/* As csrc/avx512.c, but with the instructions emulated, so that it runs on any processor. */
#include "crnn_kernels.h"
#include "shared.h"
#include "threads.h"

#define REAL_BITS 64
#include "simd_avx512.inc"

#include "kernels.inc"

#undef REAL_BITS
#define REAL_BITS 32
#include "simd_avx512.inc"

#include "kernels.inc"

const crnn_kernels crnn_kernels_avx512 = CRNN_KERNELS(avx512);
