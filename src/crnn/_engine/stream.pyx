# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""One time step of a model on packed weights: what a stream is made of."""
import numpy as np

from crnn._engine.workspace import aligned

from cpython.buffer cimport (PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)

from crnn._engine.blas cimport real
from crnn._engine.kernels cimport _operations, crnn_operations, crnn_stream


cdef class Stepper:
    """Weights packed once, states kept: `step` takes no memory.

    `weights` are Wax and Waa of each layer from the lowest, then Wya; `biases` are ba of each
    layer, then by, in one array. All are validated, contiguous and of one dtype.
    """
    cdef readonly object a  # (num_layers, m, n_a)
    cdef object _packed, _biases, _z
    cdef bint _double, _small
    cdef const crnn_operations *_kernels
    cdef crnn_stream _call

    def __init__(self, Py_ssize_t m, list weights, biases, bint relu, bint softmax):
        dtype = biases.dtype
        self._double = dtype == np.float64
        self._kernels = _operations(self._double)
        n_a, n_x = weights[0].shape
        self._call.m, self._call.n_x, self._call.n_a = m, n_x, n_a
        self._call.n_y = weights[len(weights) - 1].shape[0]
        self._call.num_layers = len(weights) // 2
        self._call.relu, self._call.softmax = relu, softmax
        self.a = np.zeros((self._call.num_layers, m, n_a), dtype)
        self._z, self._biases = np.empty((m, n_a), dtype), biases
        self._packed = aligned(sum(self._kernels.padded(W.shape[1], W.shape[0]) for W in weights),
                               dtype)
        self._small = m * len(self._packed) < 50_000  # some microseconds
        if self._double:
            self._set_up[double](weights, self._packed, biases, self.a, self._z)
        else:
            self._set_up[float](weights, self._packed, biases, self.a, self._z)

    cdef _set_up(self, list weights, real[::1] packed, const real[::1] biases,
                 real[:, :, ::1] a, real[:, ::1] z):
        cdef Py_ssize_t start = 0
        cdef const real[:, ::1] W
        for W in weights:
            self._kernels.pack(W.shape[1], W.shape[0], &W[0, 0], &packed[start])
            start += self._kernels.padded(W.shape[1], W.shape[0])
        self._call.packed, self._call.biases = &packed[0], &biases[0]
        self._call.a, self._call.z = &a[0, 0, 0], &z[0, 0]

    def step(self, y, x, symbols):
        """Fill y (m, n_y) from x (m, n_x), or symbols (m,); the other is None.

        The arrays' addresses are asked for plainly: typed views of three would take longer than
        a small step. Such a step keeps the GIL for the same reason.
        """
        cdef Py_buffer output, given
        PyObject_GetBuffer(y, &output, PyBUF_WRITABLE)
        PyObject_GetBuffer(symbols if x is None else x, &given, PyBUF_SIMPLE)
        self._call.x = NULL if x is None else given.buf
        self._call.symbols = <const Py_ssize_t *>given.buf if x is None else NULL
        self._call.y = output.buf
        if self._small:
            self._kernels.stream_step(&self._call)
        else:
            with nogil:
                self._kernels.stream_step(&self._call)
        PyBuffer_Release(&given)
        PyBuffer_Release(&output)
