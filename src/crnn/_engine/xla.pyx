"""The handlers that XLA calls (csrc/xla/), in capsules, for `crnn.jax` to register.

Neither JAX nor XLA is needed to build or to import this module.
"""
from cpython.pycapsule cimport PyCapsule_Import, PyCapsule_New

from crnn._c_api cimport crnn_c_api

cdef extern from "xla/handler.h":
    const crnn_c_api *crnn_xla_api
    void crnn_xla_forward()
    void crnn_xla_backward()

crnn_xla_api = <const crnn_c_api *>PyCapsule_Import("crnn._c_api.v1", False)

# The name that XLA requires of a registered capsule.
forward = PyCapsule_New(<void *>crnn_xla_forward, "xla._CUSTOM_CALL_TARGET", NULL)
backward = PyCapsule_New(<void *>crnn_xla_backward, "xla._CUSTOM_CALL_TARGET", NULL)
