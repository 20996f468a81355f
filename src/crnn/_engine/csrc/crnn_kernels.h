/* The C kernels: the recurrence, forward and backward, and the linear maps around it.
 *
 * C knows neither Python nor BLAS. The kernels are compiled once per instruction set, by one small
 * file each (avx512.c, avx2.c, neon.c, portable.c), for both dtypes. Each of these files fills a
 * table, and dispatch.c chooses the table at import. Arrays are row-major and contiguous, with the
 * shapes of the package. The void pointers of a record point to float or double, depending on the
 * table that is called. docs/inside.md has the contract of each kernel.
 */
#ifndef CRNN_KERNELS_H
#define CRNN_KERNELS_H

#include <stdint.h>

#include "crnn.h"
#include "crnn_stepper.h"

/* One call of y = x W' + b, or of its gradients. */
typedef struct {
    ptrdiff_t rows, n_in, n_out;
    const void *x, *W, *b; /* (rows, n_in), (n_out, n_in), (n_out) */
    void *y;               /* (rows, n_out) */
    const void *dy;        /* (rows, n_out) */
    void *dx, *dW, *db;    /* (rows, n_in), or NULL; (n_out, n_in), (n_out) */
    void *workspace;       /* 64-byte aligned, of linear_workspace numbers */
    int threads;           /* use at most this many */
} crnn_linear;

/* One time step, for m sequences at once, of a whole model that reads left to right. A layer's Wax
 * and bias have their gates in the order `first` of shared.h; after them a GRU's bias has baa. */
typedef struct {
    ptrdiff_t m, n_x, n_a, n_y, num_layers;
    int cell, equation, activation, link;
    const void *packed;       /* Wax and Waa of each layer, then Wya, each packed by `pack` */
    const void *biases;       /* (groups n_a) of each layer, then by */
    const void *leak;         /* (n_a), of a leaky cell */
    const void *x;            /* (m, n_x), or NULL if there are symbols */
    const ptrdiff_t *symbols; /* (m) */
    void *a;                  /* (num_layers, m, n_a): the states, which are updated; LSTM: then */
                              /* the cells, (num_layers, m, n_a) */
    void *z;                  /* ((groups + 1) m n_a): scratch memory */
    void *y;                  /* (m, n_y) */
} crnn_stream;

/* Successive steps of a longer sequence, in arrays that have these steps only. The lengths of such
 * a call are counted from its first step: an example that ended earlier has 0 or less, and one that
 * continues later has more than T. With lengths, the arrays have the steps in the order in which
 * they are read, whatever `reverse` is.
 *
 * Forward continues from a0 and c0. Backward goes through the segments from the last steps read to
 * the first, and sums in the same order as a call of the whole sequence, so the bits are the same.
 * For this, each segment but the first has one step more at its beginning: the last step of the
 * segment before, whose states backward reads, but whose gradient it leaves to that segment. The
 * other steps are whole chunks: counted from the end of the sequence, a chunk is as many steps as
 * have at least `chunk_rows` valid rows. */
typedef struct {
    ptrdiff_t t0;    /* the caller's t of the arrays' first step, for the noise */
    int first, last; /* backward: whether it has the first step read, and the last */

    /* What backward hands on to the next segment that it goes through. */
    ptrdiff_t summed; /* rows of the current stretch (sums.inc) */
    int flushed;      /* whether a stretch has ended */
    void *carried;    /* the rest: 64-byte aligned, of `segment_carried` numbers */
} crnn_segment;

/* The kinds of `loss_of_values`. */
enum { CRNN_LOSS_SQUARED, CRNN_LOSS_ABSOLUTE, CRNN_LOSS_HUBER, CRNN_LOSS_BINARY };

/* The recurrence takes the public record, crnn_rnn_call, after the caller has checked it. Here
 * `workspace` must be 64-byte aligned and `threads` at least 1, ba (forward) and dba (backward)
 * must not be NULL, and neither struct_size, dtype nor workspace_bytes is read. */
typedef struct {
    void (*rnn_forward)(const crnn_rnn_call *);
    void (*rnn_backward)(const crnn_rnn_call *);
    /* Forward with weights that `rnn_pack` has packed: for the same weights, and for a call with
     * the same packing. `rnn_packing` gives the number of a packing, and how many numbers it takes:
     * 0 if these kernels do not pack. `packed` is 64-byte aligned. */
    void (*rnn_forward_packed)(const crnn_rnn_call *, void *packed);
    void (*rnn_pack)(const crnn_rnn_call *, void *packed);
    ptrdiff_t (*rnn_packing)(const crnn_rnn_call *, ptrdiff_t *numbers);
    /* A segment of a sequence; `packed` is as above, or NULL. */
    void (*segment_forward)(const crnn_rnn_call *, void *packed, const crnn_segment *);
    void (*segment_backward)(const crnn_rnn_call *, crnn_segment *);
    ptrdiff_t (*segment_workspace)(const crnn_rnn_call *, int backward);
    ptrdiff_t (*segment_carried)(const crnn_rnn_call *);
    ptrdiff_t (*chunk_rows)(const crnn_rnn_call *);
    void (*linear_forward)(const crnn_linear *);
    void (*linear_backward)(const crnn_linear *);
    /* The numbers that a call needs as workspace. It depends on the sizes, and on whether lengths
     * and x are NULL. */
    ptrdiff_t (*rnn_workspace)(const crnn_rnn_call *, int backward);
    ptrdiff_t (*linear_workspace)(const crnn_linear *);
    /* one step of a stream; and pack W (n_out, n_in) for it, as padded(n_in, n_out) numbers */
    void (*stream_step)(const crnn_stream *);
    /* a class drawn from softmax(inverse logits (n)), or -1: see sampling.inc */
    ptrdiff_t (*draw)(ptrdiff_t n, const void *logits, double inverse, double uniform,
                      void *workspace);
    void (*pack)(ptrdiff_t n_in, ptrdiff_t n_out, const void *W, void *packed);
    ptrdiff_t (*padded)(ptrdiff_t n_in, ptrdiff_t n_out);
    /* the activation alone, in place: z (rows, n) becomes a; da (rows, n) becomes dz */
    void (*activate)(int activation, ptrdiff_t rows, ptrdiff_t n, void *z);
    void (*activate_backward)(int activation, ptrdiff_t rows, ptrdiff_t n, const void *a, void *da);
    /* db (n) = the sum over rows of dy (rows, n) */
    void (*sum_rows)(ptrdiff_t rows, ptrdiff_t n, const void *dy, void *db);
    /* y = x with a share `rate` of the units dropped: (T, m, n); see dropout.inc */
    void (*dropout)(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n, ptrdiff_t t0, const ptrdiff_t *ends,
                    uint64_t seed, double rate, const void *x, void *y);
    /* softmax and its loss (classes.inc): logits (rows, n) */
    void (*softmax)(ptrdiff_t rows, ptrdiff_t n, void *logits);
    double (*cross_entropy)(ptrdiff_t rows, ptrdiff_t n, const ptrdiff_t *y, const void *weights,
                            void *logits, double *right);
    /* other losses (losses.inc): logits become the gradient, and the mean loss is returned. y is
     * (rows, n) for the kinds CRNN_LOSS_..., else (rows, s) */
    void (*sigmoid)(ptrdiff_t n, void *logits);
    double (*loss_of_values)(int kind, double delta, ptrdiff_t rows, ptrdiff_t n, const void *y,
                             const void *weights, void *logits, double *metric);
    double (*pinball)(ptrdiff_t rows, ptrdiff_t s, ptrdiff_t levels, const double *level,
                      const void *y, const void *weights, void *logits, double *covered);
    double (*gaussian)(ptrdiff_t rows, ptrdiff_t s, const void *y, const void *weights,
                       void *logits, double *metric);
    /* norms and updates (training.inc): flat arenas of n numbers */
    double (*sum_squares)(ptrdiff_t n, const void *numbers);
    int (*all_finite)(ptrdiff_t n, const void *numbers);
    void (*count_beyond)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t stride, const void *numbers,
                         double low, double high, ptrdiff_t counts[2]);
    void (*penalise)(ptrdiff_t m, ptrdiff_t n, const void *rates, double l2, double l1,
                     const double *shares, void *drates, double *sums);
    void (*sgd)(ptrdiff_t n, void *parameters, const void *gradients, void *velocity, double lr,
                double momentum);
    void (*adam)(ptrdiff_t n, void *parameters, const void *gradients, void *mean, void *square,
                 double beta1, double beta2, double rate, double root, double eps);
    void (*rmsprop)(ptrdiff_t n, void *parameters, const void *gradients, void *square,
                    void *velocity, double lr, double decay, double eps, double momentum);
} crnn_operations;

typedef struct {
    const char *name; /* as in CRNN_SIMD */
    const crnn_operations *f32, *f64;
} crnn_kernels;

#define CRNN_KERNELS(isa) {#isa, &v_operations32, &v_operations64}
extern const crnn_kernels crnn_kernels_avx512, crnn_kernels_avx2, crnn_kernels_neon,
    crnn_kernels_portable;

/* The table called `name`, or the best one for this CPU if `name` is NULL. Returns NULL if there is
 * no such table, or if this CPU or its operating system cannot run it. */
const crnn_kernels *crnn_find_kernels(const char *name);

#endif
