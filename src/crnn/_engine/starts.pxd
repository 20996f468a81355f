"""Where the examples of a batch begin, for callers without the GIL.

They begin at zeros, at trained states, which all examples share, at given ones, or where those of
the batch before ended. The gradients are those of crnn._network.passes.
"""
from libc.string cimport memcpy, memset

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.gathering cimport examples_of, gather
from crnn._engine.kernels cimport _operations
from crnn._engine.network cimport network_calls

cdef enum Origin:
    OWN, GIVEN, SET, BEFORE  # SET: the arrays of `value` have been filled in


cdef struct start_of:
    # One of the states of a recurrence.
    Py_ssize_t recurrence
    bint cell  # c of an LSTM, not a
    examples_of given  # of the examples, if they are given; its batch is `value`
    void *value  # (m, n_a)
    const void *trained  # (n_a,), or NULL
    void *dvalue  # (m, n_a), or NULL
    void *dtrained  # (n_a,), or NULL


cdef inline void keep_ends(const network_calls *net, const start_of *starts,
                           Py_ssize_t count) noexcept nogil:
    """Copy the states after the last step to where the next batch begins.

    This comes before `place`. The examples have no lengths and are read forward.
    """
    cdef Py_ssize_t i, states
    cdef const crnn_rnn_call *call
    cdef const char *ends
    for i in range(count):
        call = &net.forward[starts[i].recurrence]
        states = call.m * call.n_a * net.item
        ends = <char *>call.c_n if starts[i].cell else <char *>call.a + (call.T - 1) * states
        memcpy(starts[i].value, ends, states)


cdef inline void begin(network_calls *net, const start_of *starts, Py_ssize_t count, Origin origin,
                       const Py_ssize_t *chosen) noexcept nogil:
    """Set the states before the first step of the chosen examples. This comes after `place`."""
    cdef Py_ssize_t i, k, row
    cdef crnn_rnn_call *call
    cdef const start_of *of
    cdef void *value
    for i in range(count):
        of, value = &starts[i], starts[i].value
        call = &net.forward[of.recurrence]
        row = call.n_a * net.item
        if origin == GIVEN:
            gather(&of.given, chosen, 0, 1, call.m, NULL, False)
        elif origin == OWN and of.trained == NULL:
            value = NULL
        elif origin == OWN:
            for k in range(call.m):
                memcpy(<char *>value + k * row, of.trained, row)
        if of.cell:
            call.c0 = net.backward[of.recurrence].c0 = value
        else:
            call.a0 = net.backward[of.recurrence].a0 = value


cdef inline void sum_gradients(const network_calls *net, const start_of *starts, Py_ssize_t count,
                               Origin origin) noexcept nogil:
    """Fill in the gradients of the trained states, which are 0 if the batch did not begin there."""
    cdef Py_ssize_t i
    cdef const crnn_rnn_call *call
    cdef const start_of *of
    for i in range(count):
        of = &starts[i]
        call = &net.forward[of.recurrence]
        if of.dtrained == NULL:
            continue
        if origin == OWN:
            _operations(net.double_precision).sum_rows(call.m, call.n_a, of.dvalue, of.dtrained)
        else:
            memset(of.dtrained, 0, call.n_a * net.item)
