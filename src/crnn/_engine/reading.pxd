"""The arguments that forward and backward of every cell read, written to the record of a call.

A module that cimports these functions calls `import_array` first.
"""
from libc.float cimport FLT_MAX
from libc.limits cimport INT_MAX
from libc.string cimport memset

cimport numpy as cnp

from crnn._c_api cimport (
    CRNN_CURRENT, CRNN_LEAKY, CRNN_LSTM, CRNN_RATE, CRNN_RELU, CRNN_TANH, crnn_rnn_call)
from crnn._engine.arrays cimport fits, new
from crnn._engine.integers cimport packed_rows, symbols_fit, within
from crnn._engine.kernels cimport cell_number, crnn_cell_of


cdef inline bint steps_fit(value, int real, const crnn_rnn_call *call, Py_ssize_t rows,
                           Py_ssize_t n):
    """Whether value has n numbers for each step: (T, m, n), or (rows, n) if packed."""
    if rows > 0:
        return fits(value, real, 2, rows, n, 0)
    return fits(value, real, 3, call.T, call.m, n)


cdef inline object new_steps(int real, const crnn_rnn_call *call, Py_ssize_t rows, Py_ssize_t n):
    """An uninitialised array that fits `steps_fit`."""
    if rows > 0:
        return new(real, 2, rows, n, 0)
    return new(real, 3, call.T, call.m, n)


cdef inline bint read_padded(crnn_rnn_call *call, int real, x, lengths, bint segment):
    """Fill in T, m, lengths and x (T, m, n_x) or symbols (T, m). Returns whether they fit.

    The lengths of a segment are counted from its first step, and may lie outside of it.
    """
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    if cnp.PyArray_NDIM(x) < 2 or shape[0] < 1:
        return False
    call.T, call.m = shape[0], shape[1]
    if lengths is not None:
        if not fits(lengths, cnp.NPY_INTP, 1, call.m, 0, 0):
            return False
        call.lengths = <const Py_ssize_t *>cnp.PyArray_DATA(lengths)
        if not segment and not within(call.lengths, call.m, 1, call.T):
            return False
        if not segment and within(call.lengths, call.m, call.T, call.T):
            call.lengths = NULL
    if fits(x, real, 3, call.T, call.m, call.n_x):
        call.x = cnp.PyArray_DATA(x)
        return True
    if not fits(x, cnp.NPY_INTP, 2, call.T, call.m, 0):
        return False
    call.symbols = <const Py_ssize_t *>cnp.PyArray_DATA(x)
    return symbols_fit(call.symbols, call.lengths, call.T, call.m, call.n_x)


cdef inline Py_ssize_t read_packed(crnn_rnn_call *call, int real, x, lengths):
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


cdef inline int read(crnn_rnn_call *call, Py_ssize_t *rows, Py_ssize_t gates, x, Waa, Wax, a0,
                     lengths, reverse, activation, bint segment=False):
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
    if not read_padded(call, real, x, lengths, segment):
        rows[0] = read_packed(call, real, x, lengths)
        if rows[0] == 0 or segment:
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


cdef inline int read_cell(crnn_rnn_call *call, Py_ssize_t *rows, inputs, bint segment=False):
    """`read` for the inputs of any cell, with its rule.

    inputs and its rule are those of `recurrence`. Returns 0 if an argument does not fit.
    """
    cdef int real
    x, Waa, Wax, _ba, _baa, a0, c0, lengths, reverse, rule = inputs
    cell, activation, leak, noise, seed, equation = rule
    cdef int kind = cell_number(cell)
    real = read(call, rows, crnn_cell_of(kind).gates, x, Waa, Wax, a0, lengths, reverse,
                activation, segment)
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
