# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The losses of values and labels (csrc/losses.inc): each replaces the logits by its gradient.

Every function takes contiguous arrays that the caller has validated: logits (rows, n_y), y, and the
weights (rows) or None. They return the mean loss and the mean metric over rows and values.
"""
from crnn._engine.blas cimport real
from crnn._engine.kernels cimport (CRNN_LOSS_ABSOLUTE, CRNN_LOSS_BINARY, CRNN_LOSS_HUBER,
                                   CRNN_LOSS_SQUARED, _operations)

#: The losses with an entry for callers without the GIL (`mean_loss`), by their names.
KINDS = {
    "cross_entropy": LOSS_CLASSES, "binary_cross_entropy": CRNN_LOSS_BINARY,
    "mse": CRNN_LOSS_SQUARED, "mae": CRNN_LOSS_ABSOLUTE, "huber": CRNN_LOSS_HUBER,
    "quantiles": LOSS_QUANTILES, "gaussian_nll": LOSS_GAUSSIAN,
}

#: The kinds of `of_values`.
SQUARED = CRNN_LOSS_SQUARED
ABSOLUTE = CRNN_LOSS_ABSOLUTE
HUBER = CRNN_LOSS_HUBER
BINARY = CRNN_LOSS_BINARY


def of_values(int kind, real[:, ::1] logits, const real[:, ::1] y, const real[::1] weights,
              double delta=0):
    """A loss of each value on its own, and ``|z - y|`` or, if it is BINARY, the right labels."""
    cdef const real *w = <const real *>NULL if weights is None else &weights[0]
    cdef double loss, metric = 0
    with nogil:
        loss = _operations(real is double).loss_of_values(
            kind, delta, logits.shape[0], logits.shape[1], &y[0, 0], w, &logits[0, 0], &metric)
    return loss, metric


def pinball(real[:, ::1] logits, const real[:, ::1] y, const double[::1] levels,
            const real[::1] weights):
    """The loss of quantiles, and the share of y between the lowest and the highest."""
    cdef const real *w = <const real *>NULL if weights is None else &weights[0]
    cdef double loss, covered = 0
    with nogil:
        loss = _operations(real is double).pinball(
            y.shape[0], y.shape[1], levels.shape[0], &levels[0], &y[0, 0], w, &logits[0, 0],
            &covered)
    return loss, covered


def gaussian(real[:, ::1] logits, const real[:, ::1] y, const real[::1] weights):
    """The negative log likelihood of means and log variances, and the mean ``|z - y|``."""
    cdef const real *w = <const real *>NULL if weights is None else &weights[0]
    cdef double loss, metric = 0
    with nogil:
        loss = _operations(real is double).gaussian(y.shape[0], y.shape[1], &y[0, 0], w,
                                                    &logits[0, 0], &metric)
    return loss, metric


def sigmoid(real[:, ::1] logits):
    """Replace logits (rows, n_y) by ``1 / (1 + exp(-logits))``."""
    with nogil:
        _operations(real is double).sigmoid(logits.shape[0] * logits.shape[1], &logits[0, 0])
