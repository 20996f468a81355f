"""The calls of a forward and a backward pass of a whole network, for callers without the GIL.

They are those of crnn._network.layers, in the same order, so the results have the same bits.
"""
from crnn._c_api cimport crnn_rnn_call
from crnn._engine.kernels cimport _operations, crnn_linear, crnn_operations
from crnn._engine.outputs cimport (direction_read, put_columns, put_features, sum_apart,
                                   take_gradients)


cdef struct network_calls:
    bint double_precision, every_step
    Py_ssize_t cells, directions
    crnn_rnn_call *forward  # of each recurrence
    crnn_rnn_call *backward
    direction_read reads[2]  # what the output layer reads of each direction, if there are features
    void *features  # (rows, width), or NULL if it reads the states of the only direction in place
    crnn_linear head  # its dy is y, the logits, and its dx the gradient of the features


cdef inline void place(network_calls *net, Py_ssize_t T, Py_ssize_t m, const Py_ssize_t *lengths,
                       Py_ssize_t rows) noexcept nogil:
    """Set the sizes of a batch, and what depends on them; `rows` are those of the logits.

    Batches with lengths, which may be NULL, need features.
    """
    cdef Py_ssize_t k, top = net.cells - 1, last = 0
    cdef Py_ssize_t item = sizeof(double) if net.double_precision else sizeof(float)
    for k in range(net.cells):
        net.forward[k].T, net.forward[k].m, net.forward[k].lengths = T, m, lengths
        net.backward[k].T, net.backward[k].m, net.backward[k].lengths = T, m, lengths
    net.head.rows = rows
    if net.features != NULL:
        net.head.x = net.features
    elif net.every_step:
        net.head.x, net.backward[top].da = net.forward[top].a, net.head.dx
    else:
        last = 0 if net.forward[top].reverse else T - 1
        net.head.x = <char *>net.forward[top].a + last * m * net.head.n_in * item
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


cdef inline void forward_pass(network_calls *net) noexcept nogil:
    """Compute the logits."""
    cdef const crnn_operations *operations = _operations(net.double_precision)
    cdef crnn_rnn_call *top = net.forward + net.cells - net.directions
    cdef Py_ssize_t k
    for k in range(net.cells):
        operations.rnn_forward(&net.forward[k])
        if net.directions == 2 and k < net.cells - 2:
            _put_below(net, k)
    for k in range(net.directions if net.features != NULL else 0):
        if net.double_precision:
            put_features(&net.reads[k], &top[k], <double *>net.features, net.head.n_in)
        else:
            put_features(&net.reads[k], &top[k], <float *>net.features, net.head.n_in)
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
        operations.rnn_backward(&net.backward[k])
        if net.directions == 2 and k >= 2 and k % 2 == 0:
            _take_from_above(net, k)


cdef inline void _put_below(network_calls *net, Py_ssize_t k) noexcept nogil:
    """Copy the states of one of two directions to the input of the layer above."""
    cdef const crnn_rnn_call *call = &net.forward[k]
    cdef const void *below = net.forward[k - k % 2 + 2].x
    cdef Py_ssize_t n = call.n_a, rows = call.T * call.m
    if net.double_precision:
        put_columns(<double *>below + k % 2 * n, 2 * n, <const double *>call.a, rows, n)
    else:
        put_columns(<float *>below + k % 2 * n, 2 * n, <const float *>call.a, rows, n)


cdef inline void _take_from_above(network_calls *net, Py_ssize_t k) noexcept nogil:
    """The gradients of both directions below the layer that begins with recurrence k."""
    cdef const crnn_rnn_call *above = &net.backward[k]
    cdef const crnn_rnn_call *below = &net.backward[k - 2]
    cdef Py_ssize_t n = above.n_a, rows = above.T * above.m
    if net.double_precision:
        sum_apart(<const double *>above[0].dx, <const double *>above[1].dx, rows, n,
                  <double *>below[0].da, <double *>below[1].da)
    else:
        sum_apart(<const float *>above[0].dx, <const float *>above[1].dx, rows, n,
                  <float *>below[0].da, <float *>below[1].da)
