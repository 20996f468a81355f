"""The kernels called "blas": the recurrence over scipy's BLAS."""
from crnn._engine.kernels cimport crnn_kernels

cdef const crnn_kernels *kernels_over_blas(const crnn_kernels *elementwise) noexcept
