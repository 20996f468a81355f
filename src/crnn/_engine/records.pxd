"""The records of `network` and `gathering`, filled in from arrays that have been checked.

A module that cimports these functions calls `import_array` first.
"""
from crnn._c_api cimport crnn_rnn_call
from crnn._engine.gathering cimport examples_of
from crnn._engine.kernels cimport crnn_linear
from crnn._engine.network cimport network_calls
from crnn._engine.outputs cimport direction_read
from crnn._engine.reading cimport read_cell
from crnn._engine.starts cimport start_of
from crnn._engine.updates cimport data as _data


cdef inline object read_network(network_calls *net, cells, between, reads, head, double noise):
    """Set all calls, whose memory the caller has allocated; the arguments are those of `Steps`."""
    cdef Py_ssize_t k
    net.cells, net.directions = len(cells), max(len(between), 1)
    net.item = head[0].itemsize
    net.double_precision = net.item == sizeof(double)
    for k in range(net.cells):
        _read_recurrence(&net.forward[k], &net.backward[k], cells[k])
        if net.rates != NULL:
            net.rates[k] = _data(cells[k][6])
        net.forward[k].noise = net.backward[k].noise = noise
        if between and k < net.cells - 2:
            net.backward[k].da = _data(between[k % 2])
        elif k > 0 and not between:
            net.backward[k - 1].da = net.backward[k].dx
    for k in range(len(reads)):
        _read_direction(&net.reads[k], &net.backward[net.cells - net.directions + k], reads[k])
    _read_head(net, head)


cdef inline object _read_recurrence(crnn_rnn_call *forward, crnn_rnn_call *backward, cell):
    cdef Py_ssize_t rows = 0
    inputs, a, kept, c_n, dx, gradients, _ = cell
    if read_cell(forward, &rows, inputs) == 0 or rows != 0:
        raise RuntimeError("the arrays of a recurrence do not fit")
    forward.ba, forward.baa = _data(inputs[3]), _data(inputs[4])
    forward.a, forward.kept = _data(a), _data(kept)
    backward[0] = forward[0]
    forward.c_n = _data(c_n)
    backward.dx = _data(dx)
    backward.dWaa, backward.dWax = _data(gradients[0]), _data(gradients[1])
    backward.dba, backward.dbaa = _data(gradients[2]), _data(gradients[3])


cdef inline object _read_direction(direction_read *of, crnn_rnn_call *top, read):
    """Set what the output layer reads of a direction."""
    columns, sums, largest, at, da, da_n, dmean, dlargest = read
    of.every, of.last, of.mean, of.most = columns
    of.sums, of.largest, of.at = <double *>_data(sums), _data(largest), <int *>_data(at)
    of.da, of.da_n = _data(da), _data(da_n)
    of.dmean, of.dlargest = _data(dmean), _data(dlargest)
    top.da, top.da_n = of.da, of.da_n


cdef inline object _read_head(network_calls *net, arrays):
    """Set the call of the output layer."""
    cdef crnn_linear *head = &net.head
    Wya, by, dWya, dby, logits, features, dfeatures = arrays
    net.features = _data(features)
    head.n_out, head.n_in = Wya.shape
    head.W, head.b, head.dW, head.db = _data(Wya), _data(by), _data(dWya), _data(dby)
    head.y, head.dy, head.dx = _data(logits), _data(logits), _data(dfeatures)


cdef inline object read_starts(start_of *starts, network_calls *net, given):
    """Set where the recurrences begin; the argument is that of `Steps`."""
    cdef Py_ssize_t i
    cdef crnn_rnn_call *backward
    for i in range(len(given)):
        of = &starts[i]
        of.recurrence, of.cell, value, trained, dvalue, dtrained, examples = given[i]
        of.value, of.trained = _data(value), _data(trained)
        of.dvalue, of.dtrained = _data(dvalue), _data(dtrained)
        read_examples(&of.given, examples)
        backward = &net.backward[of.recurrence]
        if of.cell:
            backward.dc0 = of.dvalue
        else:
            backward.da0 = of.dvalue


cdef inline object read_examples(examples_of *of, data):
    """Set where the examples of an array are, which may be None."""
    if data is not None:
        addresses, of.row, of.step, batch, _held = data
        of.addresses, of.batch = <const Py_ssize_t *>_data(addresses), <char *>_data(batch)
