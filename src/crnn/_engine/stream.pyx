# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""One time step of a model on packed weights, and the sampling loop: what a stream runs."""
cimport cython
from libc.math cimport isnan
from libc.string cimport memcpy

import numpy as np

cimport numpy as cnp

from crnn._c_api cimport (CRNN_CURRENT, CRNN_FLOAT32, CRNN_FLOAT64, CRNN_LSTM, CRNN_OK,
                          CRNN_OUT_OF_MEMORY, CRNN_RATE, CRNN_RELU, CRNN_TANH,
                          crnn_status_message)
from crnn._engine.arrays cimport apart, fits, fits_to_write, new
from crnn._engine.blas cimport real
from crnn._engine.integers cimport within
from crnn._engine.kernels cimport (CRNN_DEVIATION, CRNN_LINEAR, CRNN_SIGMOID, CRNN_SOFTMAX,
                                   cell_number, crnn_operations, crnn_stepper,
                                   crnn_stepper_weights, crnn_stepper_weights_new, crnn_stream,
                                   stepper_create, stepper_destroy, stepper_reset_row)

cnp.import_array()

#: What an output layer does with its sums, by the link of the model's loss.
LINKS = {"linear": CRNN_LINEAR, "softmax": CRNN_SOFTMAX, "sigmoid": CRNN_SIGMOID,
         "mean and deviation": CRNN_DEVIATION}


cdef class Stepper:
    """The states and the packed weights of a stream: a stepper of C (include/crnn_stepper.h).

    `arrays` has Waa, Wax, ba and what else the cell and its initial state have, each a list of one
    array for each layer from the lowest. All arrays are validated, contiguous and of one dtype.
    `rule` is that of `recurrence`; `link` is one of LINKS.

    Several threads may use a stepper. A thread holds the lock while it reads or writes the states,
    so that concurrent steps run one after another, in some order.
    """
    cdef crnn_stepper *_stepper
    cdef Py_ssize_t _states  # 2 for an LSTM, else 1
    cdef int _type  # NumPy's type number of the floats
    cdef bint _small
    cdef const crnn_operations *_kernels
    cdef crnn_stream _call  # without x, symbols and y, which each step sets in its own copy
    cdef cython.pymutex _lock

    def __init__(self, Py_ssize_t m, dict arrays, Wya, by, rule, int link):
        cdef crnn_stepper_weights w = crnn_stepper_weights_new()
        cdef int status
        addresses = {name: np.array([a.ctypes.data for a in of], np.uintp)
                     for name, of in arrays.items()}
        self._type = cnp.PyArray_TYPE(by)
        w.dtype = CRNN_FLOAT64 if self._type == cnp.NPY_DOUBLE else CRNN_FLOAT32
        w.cell, w.link, w.num_layers = cell_number(rule.cell), link, len(arrays["Waa"])
        w.equation = CRNN_CURRENT if rule.equation == "current" else CRNN_RATE
        w.activation = CRNN_RELU if rule.activation == "relu" else CRNN_TANH
        w.n_x, w.n_a, w.n_y = arrays["Wax"][0].shape[1], Wya.shape[1], Wya.shape[0]
        w.Waa, w.Wax, w.ba = (_pointers(addresses, "Waa"), _pointers(addresses, "Wax"),
                              _pointers(addresses, "ba"))
        w.baa, w.a0, w.c0 = (_pointers(addresses, "baa"), _pointers(addresses, "a0"),
                             _pointers(addresses, "c0"))
        w.Wya, w.by = cnp.PyArray_DATA(Wya), cnp.PyArray_DATA(by)
        if rule.leak is not None:
            w.leak = cnp.PyArray_DATA(rule.leak)
        status = stepper_create(&w, m, &self._stepper)
        if status == CRNN_OUT_OF_MEMORY:
            raise MemoryError("stream: not enough memory for the packed weights")
        if status != CRNN_OK:
            raise RuntimeError(f"stream: {crnn_status_message(status).decode()}")
        self._call, self._kernels = self._stepper.call, self._stepper.kernels
        self._states = 2 if w.cell == CRNN_LSTM else 1
        weights = w.num_layers * sum([a[0].size for a in arrays.values()]) + Wya.size
        self._small = m * weights < 50_000  # some microseconds

    def __dealloc__(self):
        stepper_destroy(self._stepper)

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
        shape = (self._states, self._call.num_layers, self._call.m, self._call.n_a)
        a = np.empty(shape, np.float64 if self._type == cnp.NPY_DOUBLE else np.float32)
        with self._lock:
            memcpy(cnp.PyArray_DATA(a), self._call.a, self._stepper.state_bytes)
        return a

    def write_states(self, a):
        """Set the states from a contiguous array like that of `read_states`."""
        with self._lock:
            memcpy(self._call.a, cnp.PyArray_DATA(a), self._stepper.state_bytes)

    def reset(self, rows):
        """Put some of the m sequences, a list of their numbers, back to their initial states."""
        with self._lock:
            for row in rows:
                stepper_reset_row(self._stepper, row)

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


cdef const void **_pointers(dict addresses, name):
    """The pointers of a list of arrays, or NULL if the model has no such arrays."""
    return <const void **>cnp.PyArray_DATA(addresses[name]) if name in addresses else NULL


cdef Py_ssize_t _largest(const real *logits, Py_ssize_t n) noexcept nogil:
    """The first class with the largest logit, or -1 if a logit is NaN."""
    cdef Py_ssize_t k, best = 0
    for k in range(n):
        if isnan(logits[k]):
            return -1
        if logits[k] > logits[best]:
            best = k
    return best
