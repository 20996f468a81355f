# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One time step of a model on packed weights, and the sampling loop: what a stream runs."""
cimport cython
from libc.math cimport isnan
from libc.string cimport memcpy

import numpy as np

cimport numpy as cnp

from crnn._engine.workspace import aligned

from crnn._c_api cimport CRNN_CURRENT, CRNN_LSTM, CRNN_RATE, CRNN_RELU, CRNN_TANH
from crnn._engine.arrays cimport apart, fits, fits_to_write, new
from crnn._engine.blas cimport real
from crnn._engine.integers cimport within
from crnn._engine.kernels cimport _operations, cell_number, crnn_operations, crnn_stream

cdef extern from "crnn_stepper.h":
    enum: CRNN_LINEAR, CRNN_SOFTMAX, CRNN_SIGMOID, CRNN_DEVIATION

cnp.import_array()

#: What an output layer does with its sums, by the link of the model's loss.
LINKS = {"linear": CRNN_LINEAR, "softmax": CRNN_SOFTMAX, "sigmoid": CRNN_SIGMOID,
         "mean and deviation": CRNN_DEVIATION}


cdef class Stepper:
    """The states and the packed weights of a stream.

    `weights` are Wax and Waa of each layer from the lowest, then Wya; `biases` are those of each
    layer, then by, in one array. Gates are in the order that `crnn_stream` needs. All are
    validated, contiguous and of one dtype. `rule` is that of `recurrence`; `link` is one of LINKS.

    Several threads may use a stepper. A thread holds the lock while it reads or writes the states,
    so that concurrent steps run one after another, in some order.
    """
    # (states, num_layers, m, n_a): the states. Steps change only these and _z, scratch memory
    cdef object _a
    cdef object _packed, _biases, _leak, _z
    cdef Py_ssize_t _states  # 2 for an LSTM, else 1
    cdef int _type  # NumPy's type number of the floats
    cdef bint _small
    cdef const crnn_operations *_kernels
    cdef crnn_stream _call  # without x, symbols and y, which each step sets in its own copy
    cdef cython.pymutex _lock

    def __init__(self, Py_ssize_t m, list weights, biases, rule, int link):
        dtype = biases.dtype
        self._type = cnp.PyArray_TYPE(biases)
        self._kernels = _operations(self._type == cnp.NPY_DOUBLE)
        n_a, n_x = weights[1].shape[1], weights[0].shape[1]
        self._call.m, self._call.n_x, self._call.n_a = m, n_x, n_a
        self._call.n_y = weights[len(weights) - 1].shape[0]
        self._call.num_layers = len(weights) // 2
        self._call.cell = cell_number(rule.cell)
        self._call.equation = CRNN_CURRENT if rule.equation == "current" else CRNN_RATE
        self._call.activation = CRNN_RELU if rule.activation == "relu" else CRNN_TANH
        self._call.link = link
        self._states = 2 if self._call.cell == CRNN_LSTM else 1
        self._a = np.zeros((self._states, self._call.num_layers, m, n_a), dtype)
        self._z, self._biases, self._leak = np.empty(5 * m * n_a, dtype), biases, rule.leak
        self._packed = aligned(sum(self._kernels.padded(W.shape[1], W.shape[0]) for W in weights),
                               dtype)
        self._small = m * len(self._packed) < 50_000  # some microseconds
        self._pack(weights)
        self._call.packed = cnp.PyArray_DATA(self._packed)
        self._call.biases = cnp.PyArray_DATA(self._biases)
        if rule.leak is not None:
            self._call.leak = cnp.PyArray_DATA(self._leak)
        self._call.a, self._call.z = cnp.PyArray_DATA(self._a), cnp.PyArray_DATA(self._z)

    cdef _pack(self, list weights):
        cdef char *packed = <char *>cnp.PyArray_DATA(self._packed)
        cdef Py_ssize_t size = self._packed.itemsize
        for W in weights:
            self._kernels.pack(W.shape[1], W.shape[0], cnp.PyArray_DATA(W), packed)
            packed += size * self._kernels.padded(W.shape[1], W.shape[0])

    def step(self, x_t, out):
        """The answer y_hat (m, n_y) to x_t (m, n_x) or symbols (m,), in `out` if that is given.

        Returns None, and does nothing, if an argument does not fit as it is. A small step keeps
        the GIL, because releasing it would take longer.
        """
        cdef crnn_stream call = self._call
        if fits(x_t, self._type, 2, call.m, call.n_x, 0):
            call.x = cnp.PyArray_DATA(x_t)
        elif fits(x_t, cnp.NPY_INTP, 1, call.m, 0, 0):
            call.symbols = <const Py_ssize_t *>cnp.PyArray_DATA(x_t)
        else:
            return None
        if out is None:
            out = new(self._type, 2, call.m, call.n_y, 0)
        elif not fits_to_write(out, self._type, 2, call.m, call.n_y, 0) or not apart(out, x_t):
            return None
        call.y = cnp.PyArray_DATA(out)
        with self._lock:
            # Symbols are checked once the lock is held: another thread may change them meanwhile.
            if call.symbols != NULL and not within(call.symbols, call.m, 0, call.n_x - 1):
                out = None
            elif self._small:
                self._kernels.stream_step(&call)
            else:
                with nogil:
                    self._kernels.stream_step(&call)
        return out

    def read_states(self):
        """A copy of the states, (states, num_layers, m, n_a): a, and the cells of an LSTM."""
        a = np.empty_like(self._a)
        with self._lock:
            memcpy(cnp.PyArray_DATA(a), self._call.a, cnp.PyArray_NBYTES(a))
        return a

    def write_states(self, a):
        """Set the states from a contiguous array like that of `read_states`."""
        with self._lock:
            memcpy(self._call.a, cnp.PyArray_DATA(a), cnp.PyArray_NBYTES(a))

    def write_rows(self, a, rows):
        """Set the states of some of the m sequences: as `write_states`, at rows (k,) alone."""
        with self._lock:
            self._a[:, :, rows] = a[:, :, rows]

    def sample(self, logits, symbols, uniforms, double temperature):
        """Draw every one of `symbols` (n,), of intp, and step on it, for a model with m = 1.

        `logits` (1, n_y) is the answer before the first draw and becomes the answer to the last
        symbol; `uniforms` (n,) are draws from [0, 1). Returns how many symbols were drawn: fewer
        than n only if `logits` now has NaN.
        """
        cdef Py_ssize_t *drawn = <Py_ssize_t *>cnp.PyArray_DATA(symbols)
        cdef const double *u = <const double *>cnp.PyArray_DATA(uniforms)
        cdef void *answer = cnp.PyArray_DATA(logits)
        cdef Py_ssize_t n = cnp.PyArray_SIZE(symbols)
        room = np.empty(2 * self._call.n_y + 64)  # float64: workspace of the kernel that draws
        cdef void *workspace = cnp.PyArray_DATA(room)
        with self._lock:
            with nogil:
                if self._type == cnp.NPY_DOUBLE:
                    n = self._sample(<double *>answer, n, drawn, u, temperature, workspace)
                else:
                    n = self._sample(<float *>answer, n, drawn, u, temperature, workspace)
        return n

    cdef Py_ssize_t _sample(self, real *logits, Py_ssize_t n, Py_ssize_t *drawn, const double *u,
                            double temperature, void *workspace) noexcept nogil:
        cdef crnn_stream call = self._call
        cdef Py_ssize_t k
        # In the range of either dtype: a product with it is never 0 times infinity.
        cdef double inverse = min(max(1 / temperature, 1e-37), 1e38)
        call.y = logits
        for k in range(n):
            drawn[k] = -1
            if temperature > 0:
                drawn[k] = self._kernels.draw(call.n_y, logits, inverse, u[k], workspace)
            if drawn[k] < 0:  # temperature 0, or a logit that is not finite
                drawn[k] = _largest(logits, call.n_y)
            if drawn[k] < 0:
                return k
            call.symbols = &drawn[k]
            self._kernels.stream_step(&call)
        return n


cdef Py_ssize_t _largest(const real *logits, Py_ssize_t n) noexcept nogil:
    """The first class with the largest logit, or -1 if a logit is NaN."""
    cdef Py_ssize_t k, best = 0
    for k in range(n):
        if isnan(logits[k]):
            return -1
        if logits[k] > logits[best]:
            best = k
    return best
