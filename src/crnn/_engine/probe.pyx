"""The C probes (csrc/probe.h), which the benchmark times. They run without the GIL."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

cdef extern from "probe.h":
    ctypedef struct crnn_probe:
        const char *name
        double flops_a_round
        float (*fma)(Py_ssize_t) noexcept nogil
        float (*read)(Py_ssize_t, const float *, Py_ssize_t) noexcept nogil

    const crnn_probe *crnn_find_probe() nogil
    enum:
        CRNN_PROBE_BLOCK

cdef const crnn_probe *probe = crnn_find_probe()

BLOCK = CRNN_PROBE_BLOCK


def name():
    """The instruction set in use."""
    return probe.name.decode()


def fma(Py_ssize_t rounds):
    """Do fused multiply-adds in registers, and return the number of floating-point operations."""
    with nogil:
        probe.fma(rounds)
    return rounds * probe.flops_a_round


def read(x, Py_ssize_t rounds):
    """Read the whole blocks of x, which is contiguous float32, `rounds` times.

    Returns the number of bytes read.
    """
    cdef Py_buffer buffer  # not a memoryview: Cython's code for it is ten times this module's size
    cdef Py_ssize_t n
    PyObject_GetBuffer(x, &buffer, PyBUF_SIMPLE)
    n = buffer.len // <Py_ssize_t>sizeof(float)
    n -= n % CRNN_PROBE_BLOCK
    with nogil:
        probe.read(n, <const float *>buffer.buf, rounds)
    PyBuffer_Release(&buffer)
    return n * sizeof(float) * rounds
