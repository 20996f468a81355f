"""What the output layer reads of the directions of the top layer, and the way back.

The arithmetic is that of crnn._network.pooling and of `side_by_side` and `apart` in
crnn._network.recurrences, for callers without the GIL.
"""
from libc.string cimport memcpy, memset

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.blas cimport real
from crnn._engine.pooling cimport pool_steps, unpool_steps


cdef struct direction_read:
    # The first column of the features that each part fills, or -1: every state, or the last one,
    # the mean and the maximum.
    Py_ssize_t every, last, mean, most
    double *sums  # (m, n_a), or NULL without the mean
    void *largest  # (m, n_a), and `at`: or NULL without the maximum
    int *at
    void *da  # (T, m, n_a), and the rest (m, n_a): the gradients of the parts, or NULL
    void *da_n
    void *dmean
    void *dlargest


cdef inline void put_columns(real *wide, Py_ssize_t width, const real *a, Py_ssize_t rows,
                             Py_ssize_t n) noexcept nogil:
    """Copy a (rows, n) to columns of an array (rows, width), which begin at `wide`."""
    cdef Py_ssize_t r
    for r in range(rows):
        memcpy(wide + r * width, a + r * n, n * sizeof(real))


cdef inline void take_columns(const real *wide, Py_ssize_t width, real *a, Py_ssize_t rows,
                              Py_ssize_t n) noexcept nogil:
    """The opposite of `put_columns`."""
    cdef Py_ssize_t r
    for r in range(rows):
        memcpy(a + r * n, wide + r * width, n * sizeof(real))


cdef inline void add_to(real *sum, const real *a, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sum[j] += a[j]


cdef inline Py_ssize_t steps(const crnn_rnn_call *call, Py_ssize_t i) noexcept nogil:
    """The steps of example i."""
    return call.T if call.lengths == NULL else call.lengths[i]


cdef inline Py_ssize_t last_row(const crnn_rnn_call *call, Py_ssize_t i) noexcept nogil:
    """The row, of T * m, of the step of example i that is read last."""
    return (0 if call.reverse else steps(call, i) - 1) * call.m + i


cdef inline bint counts(const crnn_rnn_call *call, Py_ssize_t t, Py_ssize_t i) noexcept nogil:
    """Whether step t is within the length of example i."""
    return call.lengths == NULL or t < call.lengths[i]


cdef inline void put_features(const direction_read *of, const crnn_rnn_call *call, const real *a,
                              real *features, Py_ssize_t width) noexcept nogil:
    """Fill the columns of one direction from what it gives to the layer above, a (T, m, n_a).

    There is a row for each example, or for each of its steps within its length.
    """
    cdef Py_ssize_t T = call.T, m = call.m, n = call.n_a, t, i, j, row = 0
    if of.every >= 0:
        for t in range(T):
            for i in range(m):
                if counts(call, t, i):
                    memcpy(features + row * width + of.every, a + (t * m + i) * n, n * sizeof(real))
                    row += 1
    if of.last >= 0:
        for i in range(m):
            memcpy(features + i * width + of.last, a + last_row(call, i) * n, n * sizeof(real))
    if of.mean < 0 and of.most < 0:
        return
    if of.mean >= 0:
        memset(of.sums, 0, m * n * sizeof(double))
    if of.most >= 0:
        memset(of.at, 0xff, m * n * sizeof(int))  # -1: no step read
    pool_steps(a, call.lengths, T, m, n, 0, call.reverse, call.reverse, of.sums,
               <real *>of.largest, of.at)
    if of.most >= 0:
        put_columns(features + of.most, width, <const real *>of.largest, m, n)
    if of.mean >= 0:
        for i in range(m):
            for j in range(n):
                features[i * width + of.mean + j] = <real>(of.sums[i * n + j]
                                                           / <double>steps(call, i))


cdef inline void take_gradients(const direction_read *of, const crnn_rnn_call *call,
                                const real *dfeatures, Py_ssize_t width) noexcept nogil:
    """Fill `da` and `da_n` of one direction, before its backward call."""
    cdef Py_ssize_t T = call.T, m = call.m, n = call.n_a, t, i, j, row = 0
    cdef real *da = <real *>of.da
    cdef real *dmean = <real *>of.dmean
    if of.every >= 0:
        for t in range(T):
            for i in range(m):
                if counts(call, t, i):
                    memcpy(da + (t * m + i) * n, dfeatures + row * width + of.every,
                           n * sizeof(real))
                    row += 1
    if of.last >= 0:
        take_columns(dfeatures + of.last, width, <real *>of.da_n, m, n)
    if of.mean < 0 and of.most < 0:
        return
    if of.mean >= 0:
        for i in range(m):
            for j in range(n):
                dmean[i * n + j] = dfeatures[i * width + of.mean + j] / <real>steps(call, i)
    if of.most >= 0:
        take_columns(dfeatures + of.most, width, <real *>of.dlargest, m, n)
    unpool_steps(da, call.lengths, T, m, n, 0, dmean, <const real *>of.dlargest, of.at)
