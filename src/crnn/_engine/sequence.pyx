# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The entry from Python to the recurrence: it runs arguments that need no conversion.

Through NumPy's C interface an array is checked in nanoseconds; acquiring a typed memoryview of it
takes a microsecond, and a check in Python takes several, which is more than a short sequence
needs. So these functions either compute the result, or return None without having done anything.
If they return None, `validate` converts the arguments or raises the error, and the caller tries
again with the converted arguments.

Shapes are those of the package: x (T, m, n_x) or integers (T, m), a (T, m, n_a), Waa (n_a, n_a),
Wax (n_a, n_x), ba (n_a,), a0 (m, n_a), lengths (m,). Packed arrays have one axis of rows instead of
T and m: x (rows, n_x) or integers (rows,), a (rows, n_a). An array fits if it is a plain ndarray,
C-contiguous, aligned and of native byte order, and has the dtype of Waa or, for integers, intp.
"""
from libc.float cimport FLT_MAX
from libc.limits cimport INT_MAX
from libc.stdint cimport uintptr_t
from libc.string cimport memset

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import aligned, give_back, take

from crnn._c_api cimport (
    CRNN_CURRENT, CRNN_GRU, CRNN_LEAKY, CRNN_LSTM, CRNN_RATE, CRNN_RELU, CRNN_TANH, crnn_rnn_call)
from crnn._engine.arrays cimport apart, fits, fits_to_write
from crnn._engine.integers cimport find_lengths, find_offsets, packed_rows, symbols_fit, within
from crnn._engine.kernels cimport (
    _operations, _threads, cell_number, crnn_cell_of, crnn_operations)

cnp.import_array()

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


cdef bint _all_apart(tuple outs, tuple inputs):
    """Whether no array of outs shares memory with another one, or with an input."""
    cdef Py_ssize_t k, j
    for k in range(len(outs)):
        if outs[k] is not None:
            for value in inputs:
                if not apart(outs[k], value):
                    return False
            for j in range(k):
                if not apart(outs[k], outs[j]):
                    return False
    return True


cdef bint _read_padded(crnn_rnn_call *call, int real, x, lengths):
    """Fill in T, m, lengths and x (T, m, n_x) or symbols (T, m). Returns whether they fit."""
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    if cnp.PyArray_NDIM(x) < 2 or shape[0] < 1:
        return False
    call.T, call.m = shape[0], shape[1]
    if lengths is not None:
        if not fits(lengths, cnp.NPY_INTP, 1, call.m, 0, 0):
            return False
        call.lengths = <const Py_ssize_t *>cnp.PyArray_DATA(lengths)
        if not within(call.lengths, call.m, 1, call.T):
            return False
        if within(call.lengths, call.m, call.T, call.T):
            call.lengths = NULL
    if fits(x, real, 3, call.T, call.m, call.n_x):
        call.x = cnp.PyArray_DATA(x)
        return True
    if not fits(x, cnp.NPY_INTP, 2, call.T, call.m, 0):
        return False
    call.symbols = <const Py_ssize_t *>cnp.PyArray_DATA(x)
    return symbols_fit(call.symbols, call.lengths, call.T, call.m, call.n_x)


cdef Py_ssize_t _read_packed(crnn_rnn_call *call, int real, x, lengths):
    """The same for packed x (rows, n_x) or symbols (rows,).

    Returns the number of rows, or 0 if the arguments do not fit.
    """
    cdef Py_ssize_t rows
    if (lengths is None or not cnp.PyArray_CheckExact(lengths) or cnp.PyArray_NDIM(lengths) != 1
            or not fits(lengths, cnp.NPY_INTP, 1, len(lengths), 0, 0) or len(lengths) == 0):
        return 0
    call.lengths = <const Py_ssize_t *>cnp.PyArray_DATA(lengths)
    call.m, call.T, call.x, call.symbols = len(lengths), call.lengths[0], NULL, NULL
    rows = packed_rows(call.lengths, call.m)
    if rows < 0:
        return 0
    if fits(x, real, 2, rows, call.n_x, 0):
        call.x = cnp.PyArray_DATA(x)
        return rows
    if not fits(x, cnp.NPY_INTP, 1, rows, 0, 0):
        return 0
    call.symbols = <const Py_ssize_t *>cnp.PyArray_DATA(x)
    return rows if within(call.symbols, rows, 0, call.n_x - 1) else 0


cdef bint _steps_fit(value, int real, const crnn_rnn_call *call, Py_ssize_t rows, Py_ssize_t n):
    """Whether value has n numbers for each step: (T, m, n), or (rows, n) if packed."""
    if rows > 0:
        return fits(value, real, 2, rows, n, 0)
    return fits(value, real, 3, call.T, call.m, n)


cdef object _new_steps(int real, const crnn_rnn_call *call, Py_ssize_t rows, Py_ssize_t n):
    """An uninitialised array that fits `_steps_fit`."""
    if rows > 0:
        return _new(real, 2, rows, n, 0)
    return _new(real, 3, call.T, call.m, n)


cdef int _read(crnn_rnn_call *call, Py_ssize_t *rows, Py_ssize_t gates, x, Waa, Wax, a0, lengths,
               reverse, activation):
    """Fill in the arguments that forward and backward share; `rows` is 0 if x is not packed.

    Returns NumPy's type number of the floats, or 0 if an argument does not fit.
    """
    cdef int real
    rows[0] = 0
    cdef cnp.npy_intp *shape
    memset(call, 0, sizeof(crnn_rnn_call))
    if not (cnp.PyArray_CheckExact(x) and cnp.PyArray_CheckExact(Waa)
            and cnp.PyArray_CheckExact(Wax)):
        return 0
    real = cnp.PyArray_TYPE(Waa)
    if ((real != cnp.NPY_FLOAT and real != cnp.NPY_DOUBLE) or cnp.PyArray_NDIM(Wax) != 2
            or cnp.PyArray_NDIM(Waa) != 2):
        return 0
    shape = cnp.PyArray_DIMS(Wax)
    call.n_a, call.n_x = cnp.PyArray_DIMS(Waa)[1], shape[1]
    if not (fits(Waa, real, 2, gates * call.n_a, call.n_a, 0)
            and fits(Wax, real, 2, gates * call.n_a, call.n_x, 0)):
        return 0
    if not _read_padded(call, real, x, lengths):
        rows[0] = _read_packed(call, real, x, lengths)
        if rows[0] == 0:
            return 0
    if not (1 <= call.m <= INT_MAX and 1 <= call.n_x <= INT_MAX and 1 <= call.n_a <= INT_MAX):
        return 0
    if a0 is not None:
        if not fits(a0, real, 2, call.m, call.n_a, 0):
            return 0
        call.a0 = cnp.PyArray_DATA(a0)
    if reverse is not False and reverse is not True:
        return 0
    if type(activation) is not str or activation not in ("tanh", "relu"):
        return 0
    call.Waa, call.Wax = cnp.PyArray_DATA(Waa), cnp.PyArray_DATA(Wax)
    call.reverse = reverse
    call.activation = CRNN_RELU if activation == "relu" else CRNN_TANH
    return real


cdef object _new(int dtype, int ndim, Py_ssize_t n0, Py_ssize_t n1, Py_ssize_t n2):
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = n0, n1, n2
    return cnp.PyArray_EMPTY(ndim, shape, dtype, 0)


cdef object _packed_weights(crnn_rnn_call *call, int real, dict packed):
    """The weights of a call as `rnn_pack` packs them, from `packed` or now; None without packing.

    `packed` belongs to the weights and biases of the call, by the kernels that packed them and the
    number of the packing. Raises ValueError if it holds another number of weights.
    """
    cdef const crnn_operations *operations = _operations(real == cnp.NPY_DOUBLE)
    cdef void *data
    cdef Py_ssize_t numbers
    cdef Py_ssize_t packing = operations.rnn_packing(call, &numbers)
    if numbers == 0:
        return None
    key = (<uintptr_t>operations.rnn_pack, packing)  # of these kernels and this dtype
    weights = packed.get(key)
    if weights is None:
        weights = aligned(numbers, FLOAT64 if real == cnp.NPY_DOUBLE else FLOAT32)
        data = cnp.PyArray_DATA(weights)
        with nogil:
            operations.rnn_pack(call, data)
        packed[key] = weights
    elif not fits(weights, real, 1, numbers, 0, 0):
        raise ValueError(
            f"packed: expected the weights of this call, {numbers} numbers as its kernels pack "
            f"them, got {len(weights)}"
        )
    return weights


cdef int _run(crnn_rnn_call *call, Py_ssize_t rows, int real, bint backward,
              dict packed=None) except -1:
    """Take a workspace, set the number of threads, and run the kernel without the GIL.

    `packed` holds the packed weights of forward calls, as for `_packed_weights`.
    """
    cdef const crnn_operations *operations = _operations(real == cnp.NPY_DOUBLE)
    cdef Py_ssize_t size = operations.rnn_workspace(call, backward)
    cdef object offsets, weights = None
    cdef void *weights_data = NULL
    call.threads = _threads()
    if packed is not None:
        weights = _packed_weights(call, real, packed)
    if weights is not None:
        weights_data = cnp.PyArray_DATA(weights)
    workspace = take(size * (8 if real == cnp.NPY_DOUBLE else 4))
    call.workspace = cnp.PyArray_DATA(workspace)
    if rows > 0 and call.lengths[call.m - 1] == call.T:  # equal lengths: the rows are (T, m)
        call.lengths = NULL
    elif rows > 0:
        offsets = cnp.PyArray_EMPTY(1, <cnp.npy_intp *>&call.T, cnp.NPY_INTP, 0)
        call.offsets = <const Py_ssize_t *>cnp.PyArray_DATA(offsets)
        find_offsets(call.lengths, call.m, call.T, <Py_ssize_t *>cnp.PyArray_DATA(offsets))
    with nogil:
        if backward:
            operations.rnn_backward(call)
        elif weights_data != NULL:
            operations.rnn_forward_packed(call, weights_data)
        else:
            operations.rnn_forward(call)
    give_back(workspace)
    return 0


def rnn_forward(x, Waa, Wax, ba, a0, lengths, reverse, activation, out):
    """The states a (T, m, n_a), in `out` if it is given. None if an argument does not fit."""
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows
    cdef int real = _read(&call, &rows, 1, x, Waa, Wax, a0, lengths, reverse, activation)
    if real == 0:
        return None
    if ba is None:
        ba = cnp.PyArray_ZEROS(1, <cnp.npy_intp *>&call.n_a, real, 0)
    elif not fits(ba, real, 1, call.n_a, 0, 0):
        return None
    if out is None:
        out = _new_steps(real, &call, rows, call.n_a)
    elif not (_steps_fit(out, real, &call, rows, call.n_a)
              and cnp.PyArray_ISWRITEABLE(out) and apart(out, x)
              and apart(out, Waa) and apart(out, Wax) and apart(out, ba) and apart(out, a0)
              and apart(out, lengths)):
        return None
    call.ba, call.a = cnp.PyArray_DATA(ba), cnp.PyArray_DATA(out)
    _run(&call, rows, real, False)
    return out


def rnn_backward(da, a, x, Waa, Wax, a0, lengths, reverse, activation, need_dx, into, da_n=None):
    """The gradients (dWaa, dWax, dba, dx, da0). None if an argument does not fit.

    da_n (m, n_a) is dL/da of the last step that each example reads, and is added to da there. With
    it da may be None, which stands for zeros.

    dx is None for integer x, or if it is not needed. `into` is such a tuple of arrays for the
    results; its dx and da0 are None if they are not wanted.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows
    cdef int real = _read(&call, &rows, 1, x, Waa, Wax, a0, lengths, reverse, activation)
    if (real == 0 or (da is None and da_n is None)
            or (da is not None and not _steps_fit(da, real, &call, rows, call.n_a))
            or (da_n is not None and not fits(da_n, real, 2, call.m, call.n_a, 0))
            or not _steps_fit(a, real, &call, rows, call.n_a)
            or (need_dx is not True and need_dx is not False)):
        return None
    if into is None:
        dWaa, dWax = _new(real, 2, call.n_a, call.n_a, 0), _new(real, 2, call.n_a, call.n_x, 0)
        dba, da0 = _new(real, 1, call.n_a, 0, 0), _new(real, 2, call.m, call.n_a, 0)
        dx = None
        if need_dx and call.x != NULL:
            dx = _new_steps(real, &call, rows, call.n_x)
        into = (dWaa, dWax, dba, dx, da0)
    else:
        if not isinstance(into, tuple) or len(into) != 5:
            return None
        dWaa, dWax, dba, dx, da0 = into
        if not (fits_to_write(dWaa, real, 2, call.n_a, call.n_a, 0)
                and fits_to_write(dWax, real, 2, call.n_a, call.n_x, 0)
                and fits_to_write(dba, real, 1, call.n_a, 0, 0)
                and (dx is None or (_steps_fit(dx, real, &call, rows, call.n_x)
                                    and cnp.PyArray_ISWRITEABLE(dx)))
                and (dx is None or call.x != NULL)
                and (da0 is None or fits_to_write(da0, real, 2, call.m, call.n_a, 0))
                and _all_apart((dWaa, dWax, dba, dx, da0), (da, da_n, a, x, Waa, Wax, a0,
                                                            lengths))):
            return None
    call.a = cnp.PyArray_DATA(a)
    if da is not None:
        call.da = cnp.PyArray_DATA(da)
    if da_n is not None:
        call.da_n = cnp.PyArray_DATA(da_n)
    call.dWaa, call.dWax = cnp.PyArray_DATA(dWaa), cnp.PyArray_DATA(dWax)
    call.dba = cnp.PyArray_DATA(dba)
    if dx is not None:
        call.dx = cnp.PyArray_DATA(dx)
    if da0 is not None:
        call.da0 = cnp.PyArray_DATA(da0)
    _run(&call, rows, real, True)
    return into


cdef int _read_cell(crnn_rnn_call *call, Py_ssize_t *rows, inputs):
    """`_read` for the inputs of any cell, with its rule.

    inputs and its rule are those of `recurrence`. Returns 0 if an argument does not fit.
    """
    cdef int real
    x, Waa, Wax, _ba, _baa, a0, c0, lengths, reverse, rule = inputs
    cell, activation, leak, noise, seed, equation = rule
    cdef int kind = cell_number(cell)
    real = _read(call, rows, crnn_cell_of(kind).gates, x, Waa, Wax, a0, lengths, reverse,
                 activation)
    if real == 0 or equation not in ("rate", "current"):
        return 0
    if real == cnp.NPY_FLOAT and noise > FLT_MAX:  # it would be infinite
        return 0
    call.cell, call.noise, call.seed = kind, noise, seed
    call.equation = CRNN_CURRENT if equation == "current" else CRNN_RATE
    if kind == CRNN_LEAKY:
        if not fits(leak, real, 1, call.n_a, 0, 0):
            return 0
        call.leak = cnp.PyArray_DATA(leak)
    if c0 is not None:
        if kind != CRNN_LSTM or not fits(c0, real, 2, call.m, call.n_a, 0):
            return 0
        call.c0 = cnp.PyArray_DATA(c0)
    return real


cdef Py_ssize_t _numbers_kept(const crnn_rnn_call *call, Py_ssize_t rows) noexcept:
    """How many numbers forward keeps for backward beside the states; rows is 0 if x is padded."""
    cdef Py_ssize_t i
    if rows == 0 and call.lengths == NULL:
        rows = call.T * call.m
    elif rows == 0:
        for i in range(call.m):
            rows += call.lengths[i]
    return crnn_cell_of(call.cell).kept * rows * call.n_a


cdef object _zeros(int real, Py_ssize_t n):
    return cnp.PyArray_ZEROS(1, <cnp.npy_intp *>&n, real, 0)


def cell_forward(inputs, keep, out, packed):
    """The states of any cell: (a, c_n, kept), where c_n and kept may be None.

    None if an argument does not fit. The arguments are those of `recurrence.cell_forward`.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows
    cdef int real = _read_cell(&call, &rows, inputs)
    if real == 0:
        return None
    ba, baa, c_n, kept = inputs[3], inputs[4], None, None
    if ba is None:
        ba = _zeros(real, crnn_cell_of(call.cell).gates * call.n_a)
    elif not fits(ba, real, 1, crnn_cell_of(call.cell).gates * call.n_a, 0, 0):
        return None
    if call.cell == CRNN_GRU:
        if baa is None:
            baa = _zeros(real, call.n_a)
        elif not fits(baa, real, 1, call.n_a, 0, 0):
            return None
        call.baa = cnp.PyArray_DATA(baa)
    if out is None:
        out = _new_steps(real, &call, rows, call.n_a)
    elif not (_steps_fit(out, real, &call, rows, call.n_a) and cnp.PyArray_ISWRITEABLE(out)
              and _all_apart((out,), (*inputs[:8], ba, baa, inputs[9][2]))):
        return None
    if call.cell == CRNN_LSTM:
        c_n = _new(real, 2, call.m, call.n_a, 0)
        call.c_n = cnp.PyArray_DATA(c_n)
    if keep is not False and crnn_cell_of(call.cell).kept > 0:
        kept = keep
        if keep is True:
            kept = _new(real, 1, _numbers_kept(&call, rows), 0, 0)
        elif not (fits_to_write(kept, real, 1, _numbers_kept(&call, rows), 0, 0)
                  and _all_apart((kept,), (out, *inputs[:8], ba, baa, inputs[9][2]))):
            return None
        call.kept = cnp.PyArray_DATA(kept)
    call.ba, call.a = cnp.PyArray_DATA(ba), cnp.PyArray_DATA(out)
    _run(&call, rows, real, False, packed)
    return out, c_n, kept


cdef bint _write(void **pointer, value, int real, int ndim, Py_ssize_t n0, Py_ssize_t n1,
                 bint optional):
    """Set the pointer of a result, if it fits; it may be None where it is optional."""
    if value is None:
        return optional
    if not fits_to_write(value, real, ndim, n0, n1, 0):
        return False
    pointer[0] = cnp.PyArray_DATA(value)
    return True


cdef tuple _new_gradients(const crnn_rnn_call *call, int real, Py_ssize_t rows, bint need_dx):
    """Arrays for (dWaa, dWax, dba, dbaa, dx, da0, dc0), None where the cell has no such thing."""
    cdef Py_ssize_t units = crnn_cell_of(call.cell).gates * call.n_a
    dbaa = _new(real, 1, call.n_a, 0, 0) if call.cell == CRNN_GRU else None
    dc0 = _new(real, 2, call.m, call.n_a, 0) if call.cell == CRNN_LSTM else None
    dx = _new_steps(real, call, rows, call.n_x) if need_dx and call.x != NULL else None
    return (_new(real, 2, units, call.n_a, 0), _new(real, 2, units, call.n_x, 0),
            _new(real, 1, units, 0, 0), dbaa, dx, _new(real, 2, call.m, call.n_a, 0), dc0)


def cell_backward(inputs, states, da, need_dx, into, da_n, dc_n):
    """The gradients (dWaa, dWax, dba, dbaa, dx, da0, dc0) of any cell.

    None if an argument does not fit. The arguments are those of `recurrence.cell_backward`.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows, units
    cdef int real = _read_cell(&call, &rows, inputs)
    a, kept = states[0], states[2]
    if (real == 0 or (da is None and da_n is None and dc_n is None)
            or (da is not None and not _steps_fit(da, real, &call, rows, call.n_a))
            or (da_n is not None and not fits(da_n, real, 2, call.m, call.n_a, 0))
            or (dc_n is not None and not (call.cell == CRNN_LSTM
                                          and fits(dc_n, real, 2, call.m, call.n_a, 0)))
            or not _steps_fit(a, real, &call, rows, call.n_a)
            or (crnn_cell_of(call.cell).kept > 0
                and not fits(kept, real, 1, _numbers_kept(&call, rows), 0, 0))):
        return None
    units = crnn_cell_of(call.cell).gates * call.n_a
    if into is None:
        into = _new_gradients(&call, real, rows, need_dx)
    dWaa, dWax, dba, dbaa, dx, da0, dc0 = into
    if not (_write(&call.dWaa, dWaa, real, 2, units, call.n_a, False)
            and _write(&call.dWax, dWax, real, 2, units, call.n_x, False)
            and _write(&call.dba, dba, real, 1, units, 0, False)
            and _write(&call.dbaa, dbaa, real, 1, call.n_a, 0, call.cell != CRNN_GRU)
            and _write(&call.da0, da0, real, 2, call.m, call.n_a, True)
            and _write(&call.dc0, dc0, real, 2, call.m, call.n_a, True)
            and (dx is None or (call.x != NULL and _steps_fit(dx, real, &call, rows, call.n_x)
                                and cnp.PyArray_ISWRITEABLE(dx)))
            and _all_apart(tuple(into), (da, da_n, dc_n, a, kept, *inputs[:8], inputs[9][2]))):
        return None
    if call.cell != CRNN_LSTM:
        call.dc0 = NULL
    call.a = cnp.PyArray_DATA(a)
    if kept is not None:
        call.kept = cnp.PyArray_DATA(kept)
    if da is not None:
        call.da = cnp.PyArray_DATA(da)
    if da_n is not None:
        call.da_n = cnp.PyArray_DATA(da_n)
    if dc_n is not None:
        call.dc_n = cnp.PyArray_DATA(dc_n)
    if dx is not None:
        call.dx = cnp.PyArray_DATA(dx)
    _run(&call, rows, real, True)
    return into


def lengths_of(batch_sizes):
    """The lengths (m,) of packed examples and the rows (m,) of their last steps.

    They come from batch_sizes (T,), how many examples each step has, as PyTorch's PackedSequence
    holds it. One compiled call, because a few of NumPy's cost more than a short sequence.
    """
    cdef const Py_ssize_t *sizes = NULL
    if (cnp.PyArray_CheckExact(batch_sizes) and cnp.PyArray_NDIM(batch_sizes) == 1
            and fits(batch_sizes, cnp.NPY_INTP, 1, len(batch_sizes), 0, 0)
            and len(batch_sizes) > 0):
        sizes = <const Py_ssize_t *>cnp.PyArray_DATA(batch_sizes)
    if sizes != NULL and sizes[0] > 0:
        lengths = cnp.PyArray_EMPTY(1, <cnp.npy_intp *>sizes, cnp.NPY_INTP, 0)
        last = cnp.PyArray_EMPTY(1, <cnp.npy_intp *>sizes, cnp.NPY_INTP, 0)
        if find_lengths(sizes, len(batch_sizes), <Py_ssize_t *>cnp.PyArray_DATA(lengths),
                        <Py_ssize_t *>cnp.PyArray_DATA(last)):
            return lengths, last
    raise ValueError(
        "batch_sizes: expected positive int64 numbers (T,) that never rise, the examples of each "
        f"step, got {batch_sizes!r}"
    )
