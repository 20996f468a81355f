"""The mean gradient of several batches, as crnn._training.accumulating computes it."""
from libc.string cimport memset

from crnn._engine.blas cimport real


cdef inline void add_gradient(double *total, bint double_precision, const void *gradients,
                              Py_ssize_t size, Py_ssize_t rows, bint first) noexcept nogil:
    """Add the gradient of the mean over so many rows, times their number, to the total."""
    if first:
        memset(total, 0, size * sizeof(double))
    if double_precision:
        _add(total, <const double *>gradients, size, rows)
    else:
        _add(total, <const float *>gradients, size, rows)


cdef inline void take_mean(const double *total, bint double_precision, void *gradients,
                           Py_ssize_t size, Py_ssize_t rows) noexcept nogil:
    """Fill in the gradient of the mean over all rows."""
    if double_precision:
        _divide(total, <double *>gradients, size, rows)
    else:
        _divide(total, <float *>gradients, size, rows)


cdef inline void _add(double *total, const real *gradients, Py_ssize_t size,
                      Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        total[i] += <double>gradients[i] * <double>rows


cdef inline void _divide(const double *total, real *gradients, Py_ssize_t size,
                         Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        gradients[i] = <real>(total[i] / <double>rows)
