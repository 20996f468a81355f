/* AVX-512 (F, DQ, VL): 32 registers of 64 bytes. */
#include "crnn_kernels.h"
#include "shared.h"
#include "threads.h"

#if defined(__x86_64__) || defined(_M_X64)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))),        \
                             apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx2,fma")
#endif

#define REAL_BITS 64
#include "simd_avx512.inc"

#include "kernels.inc"

#undef REAL_BITS
#define REAL_BITS 32
#include "simd_avx512.inc"

#include "kernels.inc"

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

const crnn_kernels crnn_kernels_avx512 = CRNN_KERNELS(avx512);

#endif
