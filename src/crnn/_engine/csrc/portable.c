/* Plain C, for every platform. */
#include "crnn_kernels.h"
#include "shared.h"
#include "threads.h"

#define REAL_BITS 32
#include "simd_portable.h"

#include "kernels.h"

#undef REAL_BITS
#define REAL_BITS 64
#include "simd_portable.h"

#include "kernels.h"

const crnn_kernels crnn_kernels_portable = CRNN_KERNELS(portable);
