"""The C table of element-wise kernels (csrc/crnn_kernels.h), for Cython."""

cdef extern from "crnn_kernels.h":
    ctypedef struct crnn_operations_f32:
        void (*bias_tanh)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil
        void (*tanh_backward)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil
        void (*bias_relu)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil
        void (*relu_backward)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil
        void (*add_bias)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil
        void (*sum_rows)(Py_ssize_t, Py_ssize_t, const float *, float *) noexcept nogil

    ctypedef struct crnn_operations_f64:
        void (*bias_tanh)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        void (*tanh_backward)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        void (*bias_relu)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        void (*relu_backward)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        void (*add_bias)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil
        void (*sum_rows)(Py_ssize_t, Py_ssize_t, const double *, double *) noexcept nogil

    ctypedef struct crnn_kernels:
        const char *name
        crnn_operations_f32 f32
        crnn_operations_f64 f64

    const crnn_kernels *crnn_find_kernels(const char *name) nogil
