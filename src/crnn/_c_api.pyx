"""The C interface (include/crnn.h) for Cython and, in a capsule, for C.

It is plain C, in capi/, which is compiled into `crnn._engine.kernels` and so runs on the same
kernels and threads as the package. The functions below are the same under names that
`cimport crnn` finds.
"""
from cpython.pycapsule cimport PyCapsule_New

from crnn._engine.kernels cimport functions_of_c

cdef extern from "crnn.h":
    const char *CRNN_C_API_CAPSULE

cdef const crnn_c_api *table = functions_of_c()


cdef int crnn_rnn_workspace(const crnn_rnn_call *call, int backward, size_t *bytes) noexcept nogil:
    return table.rnn_workspace(call, backward, bytes)


cdef int crnn_rnn_forward(const crnn_rnn_call *call) noexcept nogil:
    return table.rnn_forward(call)


cdef int crnn_rnn_backward(const crnn_rnn_call *call) noexcept nogil:
    return table.rnn_backward(call)


cdef int crnn_leaky_forward(const crnn_rnn_call *call) noexcept nogil:
    return table.leaky_forward(call)


cdef int crnn_leaky_backward(const crnn_rnn_call *call) noexcept nogil:
    return table.leaky_backward(call)


cdef int crnn_gru_forward(const crnn_rnn_call *call) noexcept nogil:
    return table.gru_forward(call)


cdef int crnn_gru_backward(const crnn_rnn_call *call) noexcept nogil:
    return table.gru_backward(call)


cdef int crnn_lstm_forward(const crnn_rnn_call *call) noexcept nogil:
    return table.lstm_forward(call)


cdef int crnn_lstm_backward(const crnn_rnn_call *call) noexcept nogil:
    return table.lstm_backward(call)


cdef const char *crnn_status_message(int status) noexcept nogil:
    return table.status_message(status)


#: The table in a capsule, for C: crnn_import() of include/crnn.h.
v1 = PyCapsule_New(<void *>table, CRNN_C_API_CAPSULE, NULL)
