# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The C probes (csrc/probe.h): work for the benchmark to time, done without the GIL."""

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
cdef float result  # what the probes compute, so that nothing is left out

BLOCK = CRNN_PROBE_BLOCK


def name():
    """The instruction set in use."""
    return probe.name.decode()


def fma(Py_ssize_t rounds):
    """Do fused multiply-adds in registers; give the number of floating-point operations."""
    global result
    cdef float total
    with nogil:
        total = probe.fma(rounds)
    result = total
    return rounds * probe.flops_a_round


def read(const float[::1] x, Py_ssize_t rounds):
    """Read whole blocks of x, `rounds` times over; give the number of bytes."""
    global result
    cdef float total
    cdef Py_ssize_t n = x.shape[0] - x.shape[0] % CRNN_PROBE_BLOCK
    if n == 0:
        return 0
    with nogil:
        total = probe.read(n, &x[0], rounds)
    result = total
    return n * sizeof(float) * rounds
