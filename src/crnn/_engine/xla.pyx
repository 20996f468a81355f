"""The handlers that XLA calls (csrc/xla/), in capsules, for `crnn.jax` to register.

Neither JAX nor XLA is needed to build or to import this module.
"""
from cpython.pycapsule cimport PyCapsule_Import, PyCapsule_New

from crnn._c_api cimport crnn_c_api

cdef extern from "xla/handler.h":
    ctypedef struct xla_frame
    ctypedef struct xla_error

    const crnn_c_api *crnn_xla_api
    xla_error *crnn_xla_rnn_forward(xla_frame *frame) noexcept
    xla_error *crnn_xla_rnn_backward(xla_frame *frame) noexcept
    xla_error *crnn_xla_gru_forward(xla_frame *frame) noexcept
    xla_error *crnn_xla_gru_backward(xla_frame *frame) noexcept
    xla_error *crnn_xla_lstm_forward(xla_frame *frame) noexcept
    xla_error *crnn_xla_lstm_backward(xla_frame *frame) noexcept

crnn_xla_api = <const crnn_c_api *>PyCapsule_Import("crnn._c_api.v1", False)


cdef object _capsule(xla_error *(*handler)(xla_frame *) noexcept):
    # The name that XLA requires of a registered capsule.
    return PyCapsule_New(<void *>handler, "xla._CUSTOM_CALL_TARGET", NULL)


#: The handlers by the names under which they are registered.
TARGETS = {
    "crnn_rnn_forward": _capsule(crnn_xla_rnn_forward),
    "crnn_rnn_backward": _capsule(crnn_xla_rnn_backward),
    "crnn_gru_forward": _capsule(crnn_xla_gru_forward),
    "crnn_gru_backward": _capsule(crnn_xla_gru_backward),
    "crnn_lstm_forward": _capsule(crnn_xla_lstm_forward),
    "crnn_lstm_backward": _capsule(crnn_xla_lstm_backward),
}
