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
from libc.stdint cimport uintptr_t
from libc.string cimport memset

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import SMALL, aligned, give_back, take

from crnn._c_api cimport CRNN_CURRENT, CRNN_GRU, CRNN_LSTM, CRNN_RATE, crnn_rnn_call
from crnn._engine.arrays cimport all_apart, apart, fits, fits_to_write, new, zeros
from crnn._engine.integers cimport find_lengths, find_offsets
from crnn._engine.kernels cimport (_operations, _threads, cell_number, crnn_cell_of,
                                   crnn_operations, crnn_segment)
from crnn._engine.reading cimport new_steps, read, read_cell, steps_fit
from crnn._engine.results cimport new_gradients, numbers_kept, read_norms, write_to

cnp.import_array()

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


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


cdef class Segment:
    """The place of a call in a longer sequence, and what backward hands from call to call.

    A segment is some successive steps, in arrays that have these steps only: `crnn_segment` in
    csrc/crnn_kernels.h says which steps, what its lengths mean, and in which order to go through
    the segments. The object belongs to one recurrence, and its backward calls use it in turn.
    """
    cdef crnn_segment record
    cdef object carried  # the memory of record.carried

    def place(self, Py_ssize_t t0, bint first, bint last):
        """Set the t of the first step, and whether it has the first and the last step read."""
        self.record.t0, self.record.first, self.record.last = t0, first, last
        return self

    cdef bint carry(self, const crnn_rnn_call *call, int real):
        """Prepare the memory of a backward call. Returns whether it has what this call needs."""
        cdef const crnn_operations *operations = _operations(real == cnp.NPY_DOUBLE)
        cdef Py_ssize_t numbers = operations.segment_carried(call)
        if self.carried is None and self.record.last:
            self.carried = aligned(numbers, FLOAT64 if real == cnp.NPY_DOUBLE else FLOAT32)
        if self.carried is None or not fits(self.carried, real, 1, numbers, 0, 0):
            return False
        self.record.carried = cnp.PyArray_DATA(self.carried)
        return True


cdef int _run(crnn_rnn_call *call, Py_ssize_t rows, int real, bint backward,
              dict packed=None, Segment segment=None) except -1:
    """Take a workspace, set the number of threads, and run the kernel without the GIL.

    `packed` holds the packed weights of forward calls, as for `_packed_weights`.
    """
    cdef const crnn_operations *operations = _operations(real == cnp.NPY_DOUBLE)
    cdef Py_ssize_t size
    cdef crnn_segment *part = NULL
    if segment is None:
        size = operations.rnn_workspace(call, backward)
    else:
        size = operations.segment_workspace(call, backward)
        part = &segment.record
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
        if part != NULL and backward:
            operations.segment_backward(call, part)
        elif part != NULL:
            operations.segment_forward(call, weights_data, part)
        elif backward:
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
    cdef int real = read(&call, &rows, 1, x, Waa, Wax, a0, lengths, reverse, activation)
    if real == 0:
        return None
    if ba is None:
        ba = cnp.PyArray_ZEROS(1, <cnp.npy_intp *>&call.n_a, real, 0)
    elif not fits(ba, real, 1, call.n_a, 0, 0):
        return None
    if out is None:
        out = new_steps(real, &call, rows, call.n_a)
    elif not (steps_fit(out, real, &call, rows, call.n_a)
              and cnp.PyArray_ISWRITEABLE(out) and apart(out, x)
              and apart(out, Waa) and apart(out, Wax) and apart(out, ba) and apart(out, a0)
              and apart(out, lengths)):
        return None
    call.ba, call.a = cnp.PyArray_DATA(ba), cnp.PyArray_DATA(out)
    _run(&call, rows, real, False)
    return out


def rnn_backward(da, a, x, Waa, Wax, a0, lengths, reverse, activation, need_dx, into, da_n=None,
                 norms=None):
    """The gradients (dWaa, dWax, dba, dx, da0). None if an argument does not fit.

    da_n (m, n_a) is dL/da of the last step that each example reads, and is added to da there. With
    it da may be None, which stands for zeros.

    dx is None for integer x, or if it is not needed. `into` is such a tuple of arrays for the
    results; its dx and da0 are None if they are not wanted. `norms` is as for
    `recurrence.cell_backward`.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows
    cdef int real = read(&call, &rows, 1, x, Waa, Wax, a0, lengths, reverse, activation)
    if (real == 0 or (da is None and da_n is None)
            or (da is not None and not steps_fit(da, real, &call, rows, call.n_a))
            or (da_n is not None and not fits(da_n, real, 2, call.m, call.n_a, 0))
            or not steps_fit(a, real, &call, rows, call.n_a)
            or not read_norms(&call, rows, norms)
            or (need_dx is not True and need_dx is not False)):
        return None
    if into is None:
        dWaa, dWax = new(real, 2, call.n_a, call.n_a, 0), new(real, 2, call.n_a, call.n_x, 0)
        dba, da0 = new(real, 1, call.n_a, 0, 0), new(real, 2, call.m, call.n_a, 0)
        dx = None
        if need_dx and call.x != NULL:
            dx = new_steps(real, &call, rows, call.n_x)
        into = (dWaa, dWax, dba, dx, da0)
    else:
        if not isinstance(into, tuple) or len(into) != 5:
            return None
        dWaa, dWax, dba, dx, da0 = into
        if not (fits_to_write(dWaa, real, 2, call.n_a, call.n_a, 0)
                and fits_to_write(dWax, real, 2, call.n_a, call.n_x, 0)
                and fits_to_write(dba, real, 1, call.n_a, 0, 0)
                and (dx is None or (steps_fit(dx, real, &call, rows, call.n_x)
                                    and cnp.PyArray_ISWRITEABLE(dx)))
                and (dx is None or call.x != NULL)
                and (da0 is None or fits_to_write(da0, real, 2, call.m, call.n_a, 0))
                and all_apart((dWaa, dWax, dba, dx, da0), (da, da_n, a, x, Waa, Wax, a0,
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


cdef object _new_kept(int real, Py_ssize_t n):
    """An array for what forward keeps. A large one begins at a cache line: up to 2 % faster."""
    cdef object dtype = FLOAT64 if real == cnp.NPY_DOUBLE else FLOAT32
    return aligned(n, dtype) if n * dtype.itemsize > SMALL else new(real, 1, n, 0, 0)


def cell_forward(inputs, keep, out, packed, Segment segment=None):
    """The states of any cell: (a, c_n, kept), where c_n and kept may be None.

    None if an argument does not fit. The arguments are those of `recurrence.cell_forward`.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows
    cdef int real = read_cell(&call, &rows, inputs, segment is not None)
    if real == 0:
        return None
    ba, baa, c_n, kept = inputs[3], inputs[4], None, None
    if ba is None:
        ba = zeros(real, crnn_cell_of(call.cell).gates * call.n_a)
    elif not fits(ba, real, 1, crnn_cell_of(call.cell).gates * call.n_a, 0, 0):
        return None
    if call.cell == CRNN_GRU:
        if baa is None:
            baa = zeros(real, call.n_a)
        elif not fits(baa, real, 1, call.n_a, 0, 0):
            return None
        call.baa = cnp.PyArray_DATA(baa)
    if out is None:
        out = new_steps(real, &call, rows, call.n_a)
    elif not (steps_fit(out, real, &call, rows, call.n_a) and cnp.PyArray_ISWRITEABLE(out)
              and all_apart((out,), (*inputs[:8], ba, baa, inputs[9][2]))):
        return None
    if call.cell == CRNN_LSTM:
        c_n = new(real, 2, call.m, call.n_a, 0)
        call.c_n = cnp.PyArray_DATA(c_n)
    if keep is not False and crnn_cell_of(call.cell).kept > 0:
        kept = keep
        if keep is True:
            kept = _new_kept(real, numbers_kept(&call, rows))
        elif not (fits_to_write(kept, real, 1, numbers_kept(&call, rows), 0, 0)
                  and all_apart((kept,), (out, *inputs[:8], ba, baa, inputs[9][2]))):
            return None
        call.kept = cnp.PyArray_DATA(kept)
    call.ba, call.a = cnp.PyArray_DATA(ba), cnp.PyArray_DATA(out)
    _run(&call, rows, real, False, packed, segment)
    return out, c_n, kept


def units_of_a_block(inputs):
    """How many units' numbers lie together in what forward keeps: see csrc/cells.inc."""
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows, numbers
    cdef int real = read_cell(&call, &rows, inputs)
    assert real != 0
    return _operations(real == cnp.NPY_DOUBLE).rnn_packing(&call, &numbers) // 2


def cell_backward(inputs, states, da, need_dx, into, da_n, dc_n, norms=None,
                  Segment segment=None):
    """The gradients (dWaa, dWax, dba, dbaa, dx, da0, dc0) of any cell.

    None if an argument does not fit. The arguments are those of `recurrence.cell_backward`.
    """
    cdef crnn_rnn_call call
    cdef Py_ssize_t rows, units
    cdef int real = read_cell(&call, &rows, inputs, segment is not None)
    a, kept = states[0], states[2]
    if (real == 0 or (da is None and da_n is None and dc_n is None)
            or (da is not None and not steps_fit(da, real, &call, rows, call.n_a))
            or (da_n is not None and not fits(da_n, real, 2, call.m, call.n_a, 0))
            or (dc_n is not None and not (call.cell == CRNN_LSTM
                                          and fits(dc_n, real, 2, call.m, call.n_a, 0)))
            or not steps_fit(a, real, &call, rows, call.n_a)
            or not read_norms(&call, rows, norms)
            or (crnn_cell_of(call.cell).kept > 0
                and not fits(kept, real, 1, numbers_kept(&call, rows), 0, 0))):
        return None
    units = crnn_cell_of(call.cell).gates * call.n_a
    if into is None:
        into = new_gradients(&call, real, rows, need_dx)
    dWaa, dWax, dba, dbaa, dx, da0, dc0 = into
    if not (write_to(&call.dWaa, dWaa, real, 2, units, call.n_a, False)
            and write_to(&call.dWax, dWax, real, 2, units, call.n_x, False)
            and write_to(&call.dba, dba, real, 1, units, 0, False)
            and write_to(&call.dbaa, dbaa, real, 1, call.n_a, 0, call.cell != CRNN_GRU)
            and write_to(&call.da0, da0, real, 2, call.m, call.n_a, True)
            and write_to(&call.dc0, dc0, real, 2, call.m, call.n_a, True)
            and (dx is None or (call.x != NULL and steps_fit(dx, real, &call, rows, call.n_x)
                                and cnp.PyArray_ISWRITEABLE(dx)))
            and all_apart(tuple(into), (da, da_n, dc_n, a, kept, *inputs[:8], inputs[9][2]))):
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
    if segment is not None and not segment.carry(&call, real):
        return None
    _run(&call, rows, real, True, None, segment)
    return into


def segment_sizes(cell, equation, shape, bint symbols, bint lengths, bint double_precision):
    """Rows of a chunk, and the numbers in the workspace, in a Segment and in packed weights.

    shape is T, m, n_x, n_a: T steps in a segment. The workspace is that of forward and of backward,
    which are both kept for later calls.
    """
    cdef const crnn_operations *operations = _operations(double_precision)
    cdef crnn_rnn_call call
    cdef Py_ssize_t one = 1, packed
    memset(&call, 0, sizeof(call))
    call.T, call.m, call.n_x, call.n_a = shape
    call.cell = cell_number(cell)
    call.equation = CRNN_CURRENT if equation == "current" else CRNN_RATE
    if not symbols:  # whether these are NULL matters, not what they hold
        call.x = &one
    if lengths:
        call.lengths = &one
    operations.rnn_packing(&call, &packed)
    return (operations.chunk_rows(&call),
            operations.segment_workspace(&call, 0) + operations.segment_workspace(&call, 1),
            operations.segment_carried(&call), packed)


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
