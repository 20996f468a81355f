"""The arrays for the results of every cell: can those of the caller be used? New ones.

A module that cimports these functions calls `import_array` first.
"""
cimport numpy as cnp

from crnn._c_api cimport CRNN_GRU, CRNN_LSTM, crnn_rnn_call
from crnn._engine.arrays cimport fits_to_write, new
from crnn._engine.kernels cimport crnn_cell_of
from crnn._engine.reading cimport new_steps


cdef inline bint read_norms(crnn_rnn_call *call, Py_ssize_t rows, norms):
    """Whether norms is None or a float64 array (T, m), or (rows,) with a packed x."""
    cdef Py_ssize_t first = rows if rows > 0 else call.T
    if norms is None:
        return True
    if not fits_to_write(norms, cnp.NPY_DOUBLE, 1 if rows > 0 else 2, first, call.m, 0):
        return False
    call.norms = <double *>cnp.PyArray_DATA(norms)
    return True


cdef inline Py_ssize_t numbers_kept(const crnn_rnn_call *call, Py_ssize_t rows) noexcept:
    """How many numbers forward keeps for backward beside the states; rows is 0 if x is padded."""
    cdef Py_ssize_t i
    if rows == 0 and call.lengths == NULL:
        rows = call.T * call.m
    elif rows == 0:
        for i in range(call.m):
            rows += max(0, min(call.lengths[i], call.T))
    return crnn_cell_of(call.cell).kept * rows * call.n_a


cdef inline bint write_to(void **pointer, value, int real, int ndim, Py_ssize_t n0, Py_ssize_t n1,
                          bint optional):
    """Set the pointer of a result, if it fits; it may be None where it is optional."""
    if value is None:
        return optional
    if not fits_to_write(value, real, ndim, n0, n1, 0):
        return False
    pointer[0] = cnp.PyArray_DATA(value)
    return True


cdef inline tuple new_gradients(const crnn_rnn_call *call, int real, Py_ssize_t rows, bint need_dx):
    """Arrays for (dWaa, dWax, dba, dbaa, dx, da0, dc0), None where the cell has no such thing."""
    cdef Py_ssize_t units = crnn_cell_of(call.cell).gates * call.n_a
    dbaa = new(real, 1, call.n_a, 0, 0) if call.cell == CRNN_GRU else None
    dc0 = new(real, 2, call.m, call.n_a, 0) if call.cell == CRNN_LSTM else None
    dx = new_steps(real, call, rows, call.n_x) if need_dx and call.x != NULL else None
    return (new(real, 2, units, call.n_a, 0), new(real, 2, units, call.n_x, 0),
            new(real, 1, units, 0, 0), dbaa, dx, new(real, 2, call.m, call.n_a, 0), dc0)
