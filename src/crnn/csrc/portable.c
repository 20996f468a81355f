/* The baseline of every platform: plain C, the C library's tanh. */
#include <math.h>

#include "crnn_kernels.h"

#define REAL float
#define REAL_TANH tanhf
#define NAME(operation) crnn_##operation##_f32_portable
#include "elementwise.h"

#define REAL double
#define REAL_TANH tanh
#define NAME(operation) crnn_##operation##_f64_portable
#include "elementwise.h"

#define OPERATIONS(dtype)                                                                          \
    {                                                                                              \
        .bias_tanh = crnn_bias_tanh_##dtype##_portable,                                            \
        .tanh_backward = crnn_tanh_backward_##dtype##_portable,                                    \
        .bias_relu = crnn_bias_relu_##dtype##_portable,                                            \
        .relu_backward = crnn_relu_backward_##dtype##_portable,                                    \
        .add_bias = crnn_add_bias_##dtype##_portable,                                              \
        .sum_rows = crnn_sum_rows_##dtype##_portable,                                              \
    }

const crnn_kernels crnn_kernels_portable = {
    .name = "portable",
    .f32 = OPERATIONS(f32),
    .f64 = OPERATIONS(f64),
};
