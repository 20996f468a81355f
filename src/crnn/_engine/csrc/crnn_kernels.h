/* The C side: the whole recurrence, forward and backward, and the linear maps around it.
 *
 * C knows neither Python nor BLAS. The kernels' sources are compiled once per instruction set and
 * dtype through one thin file each (avx512.c, avx2.c, neon.c, portable.c). Each of these fills one
 * table, and dispatch.c picks the table at import. Arrays are row-major and contiguous, with the
 * shapes of the package. A record's pointers are void: they are float or double as the table is.
 */
#ifndef CRNN_KERNELS_H
#define CRNN_KERNELS_H

#include "crnn.h"

/* One call of y = x W' + b, or of its gradients. NULL stands for what is absent. */
typedef struct {
    ptrdiff_t rows, n_in, n_out;
    const void *x, *W, *b; /* (rows, n_in), (n_out, n_in), (n_out) */
    void *y;               /* (rows, n_out) */
    const void *dy;        /* (rows, n_out) */
    void *dx, *dW, *db;    /* (rows, n_in), (n_out, n_in), (n_out) */
    void *workspace;       /* 64-byte aligned; linear_workspace says how many numbers */
    int threads;           /* the most to use */
} crnn_linear;

/* One time step of a whole model that reads left to right: m sequences at once. */
typedef struct {
    ptrdiff_t m, n_x, n_a, n_y, num_layers;
    int activation, softmax;
    const void *packed;       /* Wax and Waa of each layer, then Wya, each packed by `pack` */
    const void *biases;       /* ba of each layer, then by */
    const void *x;            /* (m, n_x), or NULL and symbols */
    const ptrdiff_t *symbols; /* (m) */
    void *a;                  /* (num_layers, m, n_a): the states, before and after */
    void *z;                  /* (m, n_a): workspace */
    void *y;                  /* (m, n_y) */
} crnn_stream;

/* The recurrence reads the public record, crnn_rnn_call, once a caller has checked it: `workspace`
 * is 64-byte aligned, `threads` is at least 1, and forward has a ba, backward a dba. */
typedef struct {
    void (*rnn_forward)(const crnn_rnn_call *);
    void (*rnn_backward)(const crnn_rnn_call *);
    void (*linear_forward)(const crnn_linear *);
    void (*linear_backward)(const crnn_linear *);
    /* Numbers that a call needs as workspace: told by its sizes and by whether it has lengths. */
    ptrdiff_t (*rnn_workspace)(const crnn_rnn_call *, int backward);
    ptrdiff_t (*linear_workspace)(const crnn_linear *);
    /* one step, and W (n_out, n_in) packed for it: padded(n_in, n_out) numbers */
    void (*stream_step)(const crnn_stream *);
    void (*pack)(ptrdiff_t n_in, ptrdiff_t n_out, const void *W, void *packed);
    ptrdiff_t (*padded)(ptrdiff_t n_in, ptrdiff_t n_out);
    /* the activation alone: z (rows, n) becomes a; da (rows, n) becomes dz */
    void (*activate)(int activation, ptrdiff_t rows, ptrdiff_t n, void *z);
    void (*activate_backward)(int activation, ptrdiff_t rows, ptrdiff_t n, const void *a, void *da);
    /* db (n) = dy (rows, n) summed over rows */
    void (*sum_rows)(ptrdiff_t rows, ptrdiff_t n, const void *dy, void *db);
    /* learning (training.inc): logits (rows, n), and flat arenas (n) */
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
