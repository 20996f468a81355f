/* Plain C, for every platform. */
#include "crnn_kernels.h"
#include "shared.h"
#include "threads.h"

#define REAL_BITS 64
#include "simd_portable.inc"

#include "kernels.inc"

#undef REAL_BITS
#define REAL_BITS 32
#include "simd_portable.inc"

#include "kernels.inc"

const crnn_kernels crnn_kernels_portable = CRNN_KERNELS(portable);
