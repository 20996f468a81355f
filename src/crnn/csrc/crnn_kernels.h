/* The table of C kernels: element-wise work that knows neither Python nor BLAS.
 *
 * One source (elementwise.h) is compiled once per instruction set through one thin file each
 * (portable.c); each fills one table, and dispatch.c picks the table at import. Arrays are
 * row-major and contiguous: `rows` rows of `n` numbers.
 */
#ifndef CRNN_KERNELS_H
#define CRNN_KERNELS_H

#include <stddef.h>

#define CRNN_OPERATIONS(real)                                                                      \
    /* a = tanh(z + b), in place: z (rows, n) becomes a, b (n) */                                  \
    void (*bias_tanh)(ptrdiff_t rows, ptrdiff_t n, const real *b, real *z);                        \
    /* dz = da (1 - a^2), in place: dz (rows, n) holds da, a (rows, n) */                          \
    void (*tanh_backward)(ptrdiff_t rows, ptrdiff_t n, const real *a, real *dz);                   \
    /* a = max(z + b, 0), NaN stays NaN */                                                         \
    void (*bias_relu)(ptrdiff_t rows, ptrdiff_t n, const real *b, real *z);                        \
    /* dz = da [a > 0] */                                                                          \
    void (*relu_backward)(ptrdiff_t rows, ptrdiff_t n, const real *a, real *dz);                   \
    /* y += b to every row: y (rows, n), b (n) */                                                  \
    void (*add_bias)(ptrdiff_t rows, ptrdiff_t n, const real *b, real *y);                         \
    /* db = sum of dy over rows, added up in double: dy (rows, n), db (n) */                       \
    void (*sum_rows)(ptrdiff_t rows, ptrdiff_t n, const real *dy, real *db);

typedef struct {
    CRNN_OPERATIONS(float)
} crnn_operations_f32;

typedef struct {
    CRNN_OPERATIONS(double)
} crnn_operations_f64;

typedef struct {
    const char *name; /* what CRNN_SIMD calls it */
    crnn_operations_f32 f32;
    crnn_operations_f64 f64;
} crnn_kernels;

extern const crnn_kernels crnn_kernels_portable;

/* The table called `name`, or the best one for this CPU when `name` is NULL.
 * NULL when there is no such table or this CPU or its operating system cannot run it. */
const crnn_kernels *crnn_find_kernels(const char *name);

#endif
