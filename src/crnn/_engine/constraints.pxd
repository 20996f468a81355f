"""Masks and signs of weights, as crnn._network.constraints keeps to them, without the GIL."""
from crnn._engine.blas cimport real


cdef struct constrained_numbers:
    Py_ssize_t count
    const Py_ssize_t *places  # of each number that is in a weight with a mask or signs
    const char *closed  # whether it stays 0
    const void *least
    const void *most


cdef inline void mask(const constrained_numbers *of, bint double_precision,
                      void *gradients) noexcept nogil:
    """Set the gradients of the numbers that stay 0 to 0."""
    if double_precision:
        _mask(of, <double *>gradients)
    else:
        _mask(of, <float *>gradients)


cdef inline void project(const constrained_numbers *of, bint double_precision,
                         void *parameters) noexcept nogil:
    """Move each number to the nearest one that fits; -0 becomes 0."""
    if double_precision:
        _project(of, <double *>parameters)
    else:
        _project(of, <float *>parameters)


cdef inline void _mask(const constrained_numbers *of, real *gradients) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(of.count):
        if of.closed[i]:
            gradients[of.places[i]] = 0


cdef inline void _project(const constrained_numbers *of, real *parameters) noexcept nogil:
    cdef Py_ssize_t i
    cdef real value
    cdef const real *least = <const real *>of.least
    cdef const real *most = <const real *>of.most
    for i in range(of.count):
        value = parameters[of.places[i]]
        value = least[i] if value < least[i] else value
        value = most[i] if value > most[i] else value
        parameters[of.places[i]] = value + 0
