/* AArch64 Advanced SIMD: 32 registers of 16 bytes. */
#include "crnn_kernels.h"
#include "shared.h"
#include "threads.h"

#if defined(__aarch64__) || defined(_M_ARM64)

#define REAL_BITS 64
#include "simd_neon.inc"

#include "kernels.inc"

#undef REAL_BITS
#define REAL_BITS 32
#include "simd_neon.inc"

#include "kernels.inc"

const crnn_kernels crnn_kernels_neon = CRNN_KERNELS(neon);

#endif
