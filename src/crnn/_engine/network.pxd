"""The calls of a forward and a backward pass of a whole network, for callers without the GIL.

They are those of crnn._network.layers, in the same order, so the results have the same bits.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.kernels cimport _operations, crnn_linear, crnn_operations
from crnn._engine.outputs cimport (add_to, direction_read, last_row, put_columns, put_features,
                                   take_columns, take_gradients)


cdef struct network_calls:
    bint double_precision, every_step
    Py_ssize_t item  # bytes of a number
    Py_ssize_t cells, directions
    crnn_rnn_call *forward  # of each recurrence
    crnn_rnn_call *backward
    void **rates  # of each recurrence, (T, m, n_a): f of its states, which is what others read; or
    # NULL if they read the states
    direction_read reads[2]  # what the output layer reads of each direction, if there are features
    void *features  # (rows, width), or NULL if it reads the states of the only direction in place
    double dropout  # the rate, or 0
    uint64_t seed  # of the dropout, below 2^63
    crnn_linear head  # its dy is y, the logits, and its dx the gradient of the features


cdef inline const void *read_of(const network_calls *net, Py_ssize_t k) noexcept nogil:
    """What a recurrence gives to the layer above."""
    return net.rates[k] if net.rates != NULL else net.forward[k].a


cdef inline void place(network_calls *net, Py_ssize_t T, Py_ssize_t m, const Py_ssize_t *lengths,
                       Py_ssize_t rows) noexcept nogil:
    """Set the sizes of a batch, and what depends on them; `rows` are those of the logits.

    Batches with lengths, which may be NULL, need features.
    """
    cdef Py_ssize_t k, top = net.cells - 1, last = 0
    for k in range(net.cells):
        net.forward[k].T, net.forward[k].m, net.forward[k].lengths = T, m, lengths
        net.backward[k].T, net.backward[k].m, net.backward[k].lengths = T, m, lengths
    net.head.rows = rows
    if net.features != NULL:
        net.head.x = net.features
    elif net.every_step:
        net.head.x, net.backward[top].da = read_of(net, top), net.head.dx
    else:
        last = 0 if net.forward[top].reverse else T - 1
        net.head.x = <char *>read_of(net, top) + last * m * net.head.n_in * net.item
        net.backward[top].da_n = net.head.dx


cdef inline Py_ssize_t workspace_of(const network_calls *net) noexcept nogil:
    """How many numbers of workspace the calls need, one after the other."""
    cdef const crnn_operations *operations = _operations(net.double_precision)
    cdef Py_ssize_t k, largest = operations.linear_workspace(&net.head)
    for k in range(net.cells):
        largest = max(largest, operations.rnn_workspace(&net.forward[k], 0),
                      operations.rnn_workspace(&net.backward[k], 1))
    return largest


cdef inline void set_workspace(network_calls *net, void *workspace) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(net.cells):
        net.forward[k].workspace = net.backward[k].workspace = workspace
    net.head.workspace = workspace


cdef inline void set_threads(network_calls *net, int threads) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(net.cells):
        net.forward[k].threads = net.backward[k].threads = threads
    net.head.threads = threads


cdef inline void set_seed(network_calls *net, uint64_t seed) noexcept nogil:
    """Set the seed of the noise and the dropout of a step."""
    cdef Py_ssize_t k
    net.seed = seed
    for k in range(net.cells):
        net.forward[k].seed = net.backward[k].seed = seed + k


cdef inline void forward_pass(network_calls *net) noexcept nogil:
    """Compute the logits."""
    cdef const crnn_operations *operations = _operations(net.double_precision)
    cdef Py_ssize_t k, first = net.cells - net.directions
    cdef crnn_rnn_call *top = net.forward + first
    for k in range(net.cells):
        operations.rnn_forward(&net.forward[k])
        if net.rates != NULL:
            _activate(net, k)
        if k < first:
            _to_above(net, k)
    for k in range(net.directions if net.features != NULL else 0):
        if net.double_precision:
            put_features(&net.reads[k], &top[k], <const double *>read_of(net, first + k),
                         <double *>net.features, net.head.n_in)
        else:
            put_features(&net.reads[k], &top[k], <const float *>read_of(net, first + k),
                         <float *>net.features, net.head.n_in)
    operations.linear_forward(&net.head)


cdef inline void backward_pass(network_calls *net) noexcept nogil:
    """Compute the gradients from that of the logits."""
    cdef const crnn_operations *operations = _operations(net.double_precision)
    cdef crnn_rnn_call *top = net.backward + net.cells - net.directions
    cdef Py_ssize_t k
    operations.linear_backward(&net.head)
    for k in range(net.directions if net.features != NULL else 0):
        if net.double_precision:
            take_gradients(&net.reads[k], &top[k], <double *>net.head.dx, net.head.n_in)
        else:
            take_gradients(&net.reads[k], &top[k], <float *>net.head.dx, net.head.n_in)
    for k in range(net.cells - 1, -1, -1):
        if net.rates != NULL:
            _activate_backward(net, k)
        operations.rnn_backward(&net.backward[k])
        if k >= net.directions and k % net.directions == 0:
            _to_below(net, k)


cdef inline void _activate(network_calls *net, Py_ssize_t k) noexcept nogil:
    """Compute the rates of recurrence k from its states."""
    cdef const crnn_rnn_call *call = &net.forward[k]
    cdef Py_ssize_t size = call.T * call.m * call.n_a
    memcpy(net.rates[k], call.a, size * net.item)
    _operations(net.double_precision).activate(call.activation, 1, size, net.rates[k])


cdef inline void _activate_backward(network_calls *net, Py_ssize_t k) noexcept nogil:
    """Make the gradients of the rates of recurrence k those of its states, in place."""
    cdef const crnn_operations *operations = _operations(net.double_precision)
    cdef const crnn_rnn_call *call = &net.backward[k]
    cdef Py_ssize_t i, n = call.n_a, row = n * net.item
    cdef const char *rates = <const char *>net.rates[k]
    if call.da != NULL:
        operations.activate_backward(call.activation, 1, call.T * call.m * n, rates,
                                     <void *>call.da)
    for i in range(call.m if call.da_n != NULL else 0):
        operations.activate_backward(call.activation, 1, n, rates + last_row(call, i) * row,
                                     <char *>call.da_n + i * row)


cdef inline void _to_above(network_calls *net, Py_ssize_t k) noexcept nogil:
    """Hand the states of recurrence k to the layer above, which reads both directions in one array
    or, without dropout, those of the only direction in place."""
    cdef const crnn_rnn_call *call = &net.forward[k]
    cdef Py_ssize_t n = call.n_a, rows = call.T * call.m, above = k - k % net.directions
    above += net.directions
    cdef const void *x = net.forward[above].x
    cdef const void *a = read_of(net, k)
    if net.directions == 2 and net.double_precision:
        put_columns(<double *>x + k % 2 * n, 2 * n, <const double *>a, rows, n)
    elif net.directions == 2:
        put_columns(<float *>x + k % 2 * n, 2 * n, <const float *>a, rows, n)
    if net.directions == 1:
        _drop(net, above, a, <void *>x)
    elif k + 1 == above:
        _drop(net, above, x, <void *>x)


cdef inline void _to_below(network_calls *net, Py_ssize_t k) noexcept nogil:
    """Hand the gradients of what the layer that begins with recurrence k reads to the one below."""
    cdef const crnn_rnn_call *above = &net.backward[k]
    cdef const crnn_rnn_call *below = &net.backward[k - net.directions]
    cdef void *dx = above.dx
    cdef Py_ssize_t i, n = above.n_a, rows = above.T * above.m
    if net.directions == 2 and net.double_precision:
        add_to(<double *>dx, <const double *>above[1].dx, 2 * rows * n)
    elif net.directions == 2:
        add_to(<float *>dx, <const float *>above[1].dx, 2 * rows * n)
    _drop(net, k, dx, dx)
    for i in range(2 if net.directions == 2 else 0):
        if net.double_precision:
            take_columns(<const double *>dx + i * n, 2 * n, <double *>below[i].da, rows, n)
        else:
            take_columns(<const float *>dx + i * n, 2 * n, <float *>below[i].da, rows, n)


cdef inline void _drop(network_calls *net, Py_ssize_t k, const void *x, void *y) noexcept nogil:
    """Dropout of what recurrence k reads, as in crnn._network.dropout, or of its gradient."""
    cdef const crnn_rnn_call *call = &net.forward[k]
    cdef uint64_t half = <uint64_t>1 << 63, layer = k // net.directions
    if net.dropout > 0:
        _operations(net.double_precision).dropout(
            call.T, call.m, call.n_x, 0, NULL, half + (net.seed + layer) % half, net.dropout, x, y)
