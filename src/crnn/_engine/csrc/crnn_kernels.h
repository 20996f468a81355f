/* The C side: the whole recurrence, forward and backward, and the linear maps around it.
 *
 * C knows neither Python nor BLAS. One source (tile.h, linear.h, sequence.h, ...) is compiled once
 * per instruction set and dtype through one thin file each (avx512.c, avx2.c, neon.c, portable.c);
 * each fills one table, and dispatch.c picks the table at import. Arrays are row-major and
 * contiguous; the shapes are those of the package.
 */
#ifndef CRNN_KERNELS_H
#define CRNN_KERNELS_H

#include <stddef.h>

/* One call of the recurrence; NULL stands for what is absent. `real` is void here, and float or
 * double in the code that works on it. */
#define CRNN_RNN(real)                                                                             \
    ptrdiff_t T, m, n_x, n_a;                                                                      \
    const real *x;            /* (T, m, n_x), or NULL and symbols */                               \
    const ptrdiff_t *symbols; /* (T, m) */                                                         \
    const real *Waa, *Wax;    /* (n_a, n_a), (n_a, n_x) */                                         \
    const real *ba, *a0;      /* (n_a), (m, n_a) or NULL */                                        \
    const ptrdiff_t *lengths; /* (m) or NULL */                                                    \
    int reverse, relu;                                                                             \
    real *a; /* (T, m, n_a): forward writes it, backward reads it */                               \
    /* backward only: */                                                                           \
    const real *da;       /* (T, m, n_a) */                                                        \
    real *dWaa, *dWax;    /* (n_a, n_a), (n_a, n_x) */                                             \
    real *dba, *dx, *da0; /* (n_a), (T, m, n_x) or NULL, (m, n_a) or NULL */                       \
    /* both: */                                                                                    \
    real *workspace; /* 64-byte aligned, as many numbers as rnn_workspace says */                  \
    int threads;     /* at most so many */

/* One call of y = x W' + b, or of its gradients: x (rows, n_in), W (n_out, n_in), y (rows, n_out)
 */
#define CRNN_LINEAR(real)                                                                          \
    ptrdiff_t rows, n_in, n_out;                                                                   \
    const real *x, *W, *b;                                                                         \
    real *y;                                                                                       \
    const real *dy;                                                                                \
    real *dx, *dW, *db;                                                                            \
    real *workspace; /* 64-byte aligned, as many numbers as linear_workspace says */               \
    int threads;

/* One time step of a whole model that reads left to right: m sequences at once. */
#define CRNN_STREAM(real)                                                                          \
    ptrdiff_t m, n_x, n_a, n_y, num_layers;                                                        \
    int relu, softmax;                                                                             \
    const real *packed; /* Wax and Waa of each layer, then Wya: by pack, one after another */      \
    const real *biases; /* ba of each layer, then by */                                            \
    const real *x;      /* (m, n_x), or NULL and symbols */                                        \
    const ptrdiff_t *symbols; /* (m) */                                                            \
    real *a;                  /* (num_layers, m, n_a): the states, before and after */             \
    real *z;                  /* (m, n_a): workspace */                                            \
    real *y;                  /* (m, n_y) */

/* What becomes of a row once its product is done; the last two take a's row beside it. */
typedef enum { NOTHING, TANH, RELU, TANH_BACKWARD, RELU_BACKWARD } crnn_epilogue;

typedef struct {
    CRNN_RNN(void)
} crnn_rnn;

typedef struct {
    CRNN_LINEAR(void)
} crnn_linear;

typedef struct {
    CRNN_STREAM(void)
} crnn_stream;

typedef struct {
    void (*rnn_forward)(const crnn_rnn *);
    void (*rnn_backward)(const crnn_rnn *);
    void (*linear_forward)(const crnn_linear *);
    void (*linear_backward)(const crnn_linear *);
    ptrdiff_t (*rnn_workspace)(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_x, ptrdiff_t n_a,
                               int backward);
    ptrdiff_t (*linear_workspace)(ptrdiff_t n_in, ptrdiff_t n_out);
    /* one step, and W (n_out, n_in) packed for it: padded(n_in, n_out) numbers */
    void (*stream_step)(const crnn_stream *);
    void (*pack)(ptrdiff_t n_in, ptrdiff_t n_out, const void *W, void *packed);
    ptrdiff_t (*padded)(ptrdiff_t n_in, ptrdiff_t n_out);
    /* the element-wise parts alone: z (rows, n), a (rows, n) or NULL, dy (rows, n), db (n) */
    void (*finish)(crnn_epilogue epilogue, ptrdiff_t rows, ptrdiff_t n, const void *a, void *z);
    void (*sum_rows)(ptrdiff_t rows, ptrdiff_t n, const void *dy, void *db);
    /* learning (training.h): logits (rows, n), and flat arenas (n) */
    void (*softmax)(ptrdiff_t rows, ptrdiff_t n, void *logits);
    double (*cross_entropy)(ptrdiff_t rows, ptrdiff_t n, const ptrdiff_t *y, const void *weights,
                            void *logits, double *right);
    double (*sum_squares)(ptrdiff_t n, const void *numbers);
    int (*all_finite)(ptrdiff_t n, const void *numbers);
    void (*sgd)(ptrdiff_t n, void *parameters, const void *gradients, void *velocity, double lr,
                double momentum);
    void (*adam)(ptrdiff_t n, void *parameters, const void *gradients, void *mean, void *square,
                 double beta1, double beta2, double rate, double root, double eps);
} crnn_operations;

typedef struct {
    const char *name; /* what CRNN_SIMD calls it */
    const crnn_operations *f32, *f64;
} crnn_kernels;

#define CRNN_KERNELS(isa) {#isa, &v_operations32, &v_operations64}
extern const crnn_kernels crnn_kernels_avx512, crnn_kernels_avx2, crnn_kernels_neon,
    crnn_kernels_portable;

/* The table called `name`, or the best one for this CPU when `name` is NULL.
 * NULL when there is no such table or this CPU or its operating system cannot run it. */
const crnn_kernels *crnn_find_kernels(const char *name);

#endif
