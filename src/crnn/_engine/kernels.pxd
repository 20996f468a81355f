"""The declarations of csrc/crnn_kernels.h, for Cython."""

from libc.stdint cimport uint64_t

from crnn._c_api cimport crnn_c_api, crnn_rnn_call
from crnn._engine.blas cimport real


cdef extern from "crnn_kernels.h" nogil:
    enum:
        CRNN_LOSS_SQUARED, CRNN_LOSS_ABSOLUTE, CRNN_LOSS_HUBER, CRNN_LOSS_BINARY

    ctypedef struct crnn_linear:
        Py_ssize_t rows, n_in, n_out
        const void *x
        const void *W
        const void *b
        void *y
        const void *dy
        void *dx
        void *dW
        void *db
        void *workspace
        int threads

    ctypedef struct crnn_stream:
        Py_ssize_t m, n_x, n_a, n_y, num_layers
        int cell, equation, activation, link
        const void *packed
        const void *biases
        const void *leak
        const void *x
        const Py_ssize_t *symbols
        void *a
        void *z
        void *y

    ctypedef struct crnn_segment:
        Py_ssize_t t0
        bint first, last
        Py_ssize_t summed
        int flushed
        void *carried

    ctypedef struct crnn_operations:
        void (*rnn_forward)(const crnn_rnn_call *) noexcept nogil
        void (*rnn_backward)(const crnn_rnn_call *) noexcept nogil
        void (*rnn_forward_packed)(const crnn_rnn_call *, void *packed) noexcept nogil
        void (*rnn_pack)(const crnn_rnn_call *, void *packed) noexcept nogil
        Py_ssize_t (*rnn_packing)(const crnn_rnn_call *, Py_ssize_t *numbers) noexcept nogil
        void (*segment_forward)(const crnn_rnn_call *, void *packed,
                                const crnn_segment *) noexcept nogil
        void (*segment_backward)(const crnn_rnn_call *, crnn_segment *) noexcept nogil
        Py_ssize_t (*segment_workspace)(const crnn_rnn_call *, int backward) noexcept nogil
        Py_ssize_t (*segment_carried)(const crnn_rnn_call *) noexcept nogil
        Py_ssize_t (*chunk_rows)(const crnn_rnn_call *) noexcept nogil
        void (*linear_forward)(const crnn_linear *) noexcept nogil
        void (*linear_backward)(const crnn_linear *) noexcept nogil
        Py_ssize_t (*rnn_workspace)(const crnn_rnn_call *, int backward) noexcept nogil
        Py_ssize_t (*linear_workspace)(const crnn_linear *) noexcept nogil
        void (*stream_step)(const crnn_stream *) noexcept nogil
        Py_ssize_t (*draw)(Py_ssize_t n, const void *logits, double inverse, double uniform,
                           void *workspace) noexcept nogil
        void (*pack)(Py_ssize_t n_in, Py_ssize_t n_out, const void *W, void *packed) noexcept nogil
        Py_ssize_t (*padded)(Py_ssize_t n_in, Py_ssize_t n_out) noexcept nogil
        void (*activate)(int activation, Py_ssize_t rows, Py_ssize_t n, void *z) noexcept nogil
        void (*activate_backward)(int activation, Py_ssize_t rows, Py_ssize_t n, const void *a,
                                  void *da) noexcept nogil
        void (*sum_rows)(Py_ssize_t rows, Py_ssize_t n, const void *dy, void *db) noexcept nogil

        void (*dropout)(Py_ssize_t T, Py_ssize_t m, Py_ssize_t n, Py_ssize_t t0,
                        const Py_ssize_t *ends, uint64_t seed, double rate, const void *x,
                        void *y) noexcept nogil
        void (*softmax)(Py_ssize_t rows, Py_ssize_t n, void *logits) noexcept nogil
        double (*cross_entropy)(Py_ssize_t rows, Py_ssize_t n, const Py_ssize_t *y,
                                const void *weights, void *logits, double *right) noexcept nogil
        void (*sigmoid)(Py_ssize_t n, void *logits) noexcept nogil
        double (*loss_of_values)(int kind, double delta, Py_ssize_t rows, Py_ssize_t n,
                                 const void *y, const void *weights, void *logits,
                                 double *metric) noexcept nogil
        double (*pinball)(Py_ssize_t rows, Py_ssize_t s, Py_ssize_t levels, const double *level,
                          const void *y, const void *weights, void *logits,
                          double *covered) noexcept nogil
        double (*gaussian)(Py_ssize_t rows, Py_ssize_t s, const void *y, const void *weights,
                           void *logits, double *metric) noexcept nogil
        double (*sum_squares)(Py_ssize_t n, const void *numbers) noexcept nogil
        int (*all_finite)(Py_ssize_t n, const void *numbers) noexcept nogil
        void (*count_beyond)(Py_ssize_t rows, Py_ssize_t n, Py_ssize_t stride,
                             const void *numbers, double low, double high,
                             Py_ssize_t *counts) noexcept nogil
        void (*penalise)(Py_ssize_t m, Py_ssize_t n, const void *rates, double l2, double l1,
                         const double *shares, void *drates, double *sums) noexcept nogil
        void (*sgd)(Py_ssize_t n, void *parameters, const void *gradients, void *velocity,
                    double lr, double momentum) noexcept nogil
        void (*adam)(Py_ssize_t n, void *parameters, const void *gradients, void *mean,
                     void *square, double beta1, double beta2, double rate, double root,
                     double eps) noexcept nogil
        void (*rmsprop)(Py_ssize_t n, void *parameters, const void *gradients, void *square,
                        void *velocity, double lr, double decay, double eps,
                        double momentum) noexcept nogil

    ctypedef struct crnn_kernels:
        const char *name
        const crnn_operations *f32
        const crnn_operations *f64

    const crnn_kernels *crnn_find_kernels(const char *name)

cdef extern from "crnn_stepper.h" nogil:
    enum: CRNN_LINEAR, CRNN_SOFTMAX, CRNN_SIGMOID, CRNN_DEVIATION

    ctypedef struct crnn_stepper_weights:
        int dtype, cell, activation, equation, link
        Py_ssize_t n_x, n_a, n_y, num_layers
        const void **Waa
        const void **Wax
        const void **ba
        const void **baa
        const void **a0
        const void **c0
        const void *Wya
        const void *by
        const void *leak

    crnn_stepper_weights crnn_stepper_weights_new()

cdef extern from "stepper_memory.h" nogil:
    ctypedef struct crnn_stepper:
        crnn_stream call
        const crnn_operations *kernels
        size_t state_bytes

cdef extern from "shared.h" nogil:
    ctypedef struct crnn_cell_sizes:
        int gates, groups, kept

    crnn_cell_sizes crnn_cell_of(int cell)


cdef const crnn_operations *_operations(bint double_precision) noexcept nogil
cdef int _threads() noexcept nogil
cdef int cell_number(cell) except -1
cdef const crnn_c_api *functions_of_c() noexcept
cdef int stepper_create(const crnn_stepper_weights *weights, Py_ssize_t m,
                        crnn_stepper **stepper) noexcept
cdef void stepper_destroy(crnn_stepper *stepper) noexcept
cdef int stepper_reset_row(crnn_stepper *stepper, Py_ssize_t row) noexcept
cdef double clip_numbers(real *gradients, Py_ssize_t size, double most) noexcept nogil
cdef void scale_spans(real *numbers, const Py_ssize_t *spans, Py_ssize_t count,
                      double factor) noexcept nogil
