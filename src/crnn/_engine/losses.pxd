"""One entry to all compiled losses, for callers without the GIL."""
from libc.string cimport memset

from crnn._engine.kernels cimport (CRNN_LOSS_ABSOLUTE, CRNN_LOSS_BINARY, CRNN_LOSS_HUBER,
                                   CRNN_LOSS_SQUARED, crnn_operations)

cdef enum:  # beside the kinds of `of_values`
    LOSS_CLASSES = 100, LOSS_QUANTILES, LOSS_GAUSSIAN


cdef struct loss_kind:
    int kind
    double delta  # of HUBER
    Py_ssize_t levels  # of QUANTILES
    const double *level


cdef inline double mean_loss(const crnn_operations *operations, const loss_kind *of,
                             Py_ssize_t rows, Py_ssize_t n_y, const void *y, const void *weights,
                             void *logits, double *metric) noexcept nogil:
    """The mean loss, and the mean metric; logits (rows, n_y) become the gradient.

    y are classes (rows,) of LOSS_CLASSES, which are in range, else numbers (rows, n_y / parts).
    """
    cdef double loss
    if of.kind == LOSS_CLASSES:
        loss = operations.cross_entropy(rows, n_y, <const Py_ssize_t *>y, weights, logits, metric)
        metric[0] /= rows
        return loss / rows
    if of.kind == LOSS_QUANTILES:
        return operations.pinball(rows, n_y // of.levels, of.levels, of.level, y, weights, logits,
                                  metric)
    if of.kind == LOSS_GAUSSIAN:
        return operations.gaussian(rows, n_y // 2, y, weights, logits, metric)
    return operations.loss_of_values(of.kind, of.delta, rows, n_y, y, weights, logits, metric)
