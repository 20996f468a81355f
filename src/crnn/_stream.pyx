# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""One time step of a model on packed weights: what a stream is made of."""
import numpy as np

from crnn._arena import aligned

from crnn._blas cimport real
from crnn._kernels cimport _operations, crnn_operations, crnn_stream


cdef class Stepper:
    """Weights packed once, states kept: `step` takes no memory.

    `weights` are Wax and Waa of each layer from the lowest, then Wya; `biases` are ba of each
    layer, then by, in one array. All are validated, contiguous and of one dtype.
    """
    cdef readonly object a  # (num_layers, m, n_a)
    cdef object _packed, _biases, _z
    cdef bint _double
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

    def step(self, real[:, ::1] y, const real[:, ::1] x, const Py_ssize_t[::1] symbols):
        """Fill y (m, n_y) from x (m, n_x), or symbols (m,); the other is None."""
        self._call.x, self._call.symbols = NULL, NULL
        if x is not None:
            self._call.x = &x[0, 0]
        if symbols is not None:
            self._call.symbols = &symbols[0]
        self._call.y = &y[0, 0]
        with nogil:
            self._kernels.stream_step(&self._call)
