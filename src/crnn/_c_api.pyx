# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The C interface (include/crnn.h): check the record of a call, divide its workspace, and run it.

These functions check the arguments of calls from C, as `validate` does for calls from Python. The
functions below them check nothing, and nothing is written before the checks have passed. No
function needs the GIL.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.float cimport DBL_MAX, FLT_MAX
from libc.stdint cimport SIZE_MAX, uintptr_t
from libc.string cimport memcpy, memset

from crnn._engine.integers cimport offsets_fit, packed_rows, symbols_fit, within
from crnn._engine.kernels cimport _operations, _threads, crnn_cell_of

cdef extern from "crnn.h":
    const char *CRNN_C_API_CAPSULE

cdef extern from *:
    const size_t offsetof_da_n "offsetof(crnn_rnn_call, da_n)"

cdef enum:
    ALIGNMENT = 64  # of the kernels' workspace
    LARGEST = 2147483647  # of m and of each n: BLAS counts in 32 bits
    LARGEST_RECORD = 4096  # bytes: a larger struct_size has not been initialised

cdef size_t FIRST_SIZE = offsetof_da_n  # of the record of version 0.1.0, which ended before da_n


cdef size_t _size(int dtype) noexcept nogil:
    """Bytes of a number, or 0 for an unknown dtype."""
    return 4 if dtype == CRNN_FLOAT32 else 8 if dtype == CRNN_FLOAT64 else 0


cdef int _read(const crnn_rnn_call *given, crnn_rnn_call *call) noexcept nogil:
    """Copy the record of an older or newer version to one of this version.

    Fields that an older record does not have are set to zero. A newer record is accepted if all
    fields that this version does not know are zero, because then the caller does not use them.
    """
    cdef size_t known, k
    if given == NULL:
        return CRNN_NULL_POINTER
    if not FIRST_SIZE <= given.struct_size <= LARGEST_RECORD:
        return CRNN_VERSION_MISMATCH
    known = min(given.struct_size, sizeof(crnn_rnn_call))
    for k in range(known, given.struct_size):
        if (<const char *>given)[k] != 0:
            return CRNN_VERSION_MISMATCH
    memset(call, 0, sizeof(crnn_rnn_call))
    memcpy(call, given, known)
    call.struct_size = sizeof(crnn_rnn_call)
    return _check_sizes(call)


cdef int _check_sizes(const crnn_rnn_call *call) noexcept nogil:
    """Check the dtype, the cell and the sizes, on which alone the workspace depends."""
    cdef double T, m, n_x, n_a, numbers
    if _size(call.dtype) == 0:
        return CRNN_UNSUPPORTED_DTYPE
    # In C the members of an enum may be unsigned, and a negative cell would be above them all.
    if call.cell < 0 or call.cell > <int>CRNN_LSTM:
        return CRNN_WRONG_CELL
    T, m, n_x, n_a = <double>call.T, <double>call.m, <double>call.n_x, <double>call.n_a
    if T < 1 or not 1 <= m <= LARGEST or not 1 <= n_x <= LARGEST or not 1 <= n_a <= LARGEST:
        return CRNN_SIZE_OUT_OF_RANGE
    # An upper bound for any array and for the workspace. A double cannot overflow here, and its
    # rounding error is far less than the factor of 2 below.
    numbers = ((T * m + 3 * m + 2048) * (2 * n_x + 3 * n_a + 8)
               + 3 * (n_a + 64) * (n_x + n_a + 128))
    if call.cell != CRNN_VANILLA:
        numbers *= 8  # weights and z have up to 4 numbers for each unit, and 5 more are kept
    if 2 * numbers * _size(call.dtype) > <double>(SIZE_MAX / 2):
        return CRNN_SIZE_OUT_OF_RANGE
    return CRNN_OK


cdef size_t _rows_at(const crnn_rnn_call *call, bint backward) noexcept nogil:
    """The offset, in bytes, of the rows that follow the kernels' part of the workspace.

    `_fill_in` describes the rows. The kernels' part is as large as any call of this cell and these
    sizes needs: one with lengths and symbols and, for the leaky cell, the equation "current".
    """
    cdef crnn_rnn_call sizes
    memset(&sizes, 0, sizeof(sizes))
    sizes.T, sizes.m, sizes.n_x, sizes.n_a = call.T, call.m, call.n_x, call.n_a
    sizes.cell = call.cell
    sizes.equation = CRNN_CURRENT if call.cell == CRNN_LEAKY else CRNN_RATE
    sizes.lengths = &sizes.T  # only compared with NULL, never read
    return _size(call.dtype) * <size_t>_operations(call.dtype == CRNN_FLOAT64).rnn_workspace(
        &sizes, backward)


cdef size_t _workspace_bytes(const crnn_rnn_call *call, bint backward) noexcept nogil:
    """The size of the workspace, with the bytes lost to aligning its start."""
    return _rows_at(call, backward) + _bytes_of_rows(call) + ALIGNMENT - 1


cdef size_t _bytes_of_units(const crnn_rnn_call *call) noexcept nogil:
    """Bytes of a number for each unit of each gate, such as ba."""
    return <size_t>crnn_cell_of(call.cell).gates * <size_t>call.n_a * _size(call.dtype)


cdef size_t _bytes_of_rows(const crnn_rnn_call *call) noexcept nogil:
    """Bytes of ba and, for a GRU, baa."""
    cdef size_t baa = <size_t>call.n_a if call.cell == CRNN_GRU else 0
    return _bytes_of_units(call) + baa * _size(call.dtype)


cdef int _check_arrays(const crnn_rnn_call *call, bint backward) noexcept nogil:
    """Check which arrays are given, and their alignment."""
    cdef uintptr_t addresses = (
        <uintptr_t>call.x | <uintptr_t>call.Waa | <uintptr_t>call.Wax | <uintptr_t>call.a0
        | <uintptr_t>call.c0 | <uintptr_t>call.leak | <uintptr_t>call.a | <uintptr_t>call.kept)
    cdef uintptr_t integers = (<uintptr_t>call.symbols | <uintptr_t>call.lengths
                               | <uintptr_t>call.offsets)
    if (call.x == NULL and call.symbols == NULL or call.Waa == NULL or call.Wax == NULL
            or call.a == NULL or call.workspace == NULL
            or call.cell == CRNN_LEAKY and call.leak == NULL):
        return CRNN_NULL_POINTER
    if call.x != NULL and call.symbols != NULL:
        return CRNN_UNSUPPORTED_OPTION
    if backward:
        if (call.da == NULL and call.da_n == NULL and call.dc_n == NULL or call.dWaa == NULL
                or call.dWax == NULL or call.cell != CRNN_VANILLA and call.kept == NULL):
            return CRNN_NULL_POINTER
        if call.symbols != NULL and call.dx != NULL:
            return CRNN_UNSUPPORTED_OPTION
        addresses |= (<uintptr_t>call.da | <uintptr_t>call.da_n | <uintptr_t>call.dWaa
                      | <uintptr_t>call.dWax | <uintptr_t>call.dba | <uintptr_t>call.dx
                      | <uintptr_t>call.da0 | <uintptr_t>call.dbaa | <uintptr_t>call.dc0
                      | <uintptr_t>call.dc_n)
        integers |= <uintptr_t>call.norms  # double, as long as Py_ssize_t or longer
    else:
        addresses |= <uintptr_t>call.ba | <uintptr_t>call.baa | <uintptr_t>call.c_n
    if addresses % _size(call.dtype) or integers % sizeof(Py_ssize_t):
        return CRNN_MISALIGNED
    return CRNN_OK


cdef bint _offsets_fit(const crnn_rnn_call *call) noexcept nogil:
    """Whether the lengths never increase from T, and the offsets are those of their packed rows."""
    return (call.lengths != NULL and call.lengths[0] == call.T
            and packed_rows(call.lengths, call.m) >= 0
            and offsets_fit(call.lengths, call.m, call.T, call.offsets))


cdef int _check_integers(const crnn_rnn_call *call) noexcept nogil:
    """Check the lengths, the offsets, and every symbol within its example's length."""
    if call.offsets != NULL:
        if not _offsets_fit(call):
            return CRNN_LENGTH_OUT_OF_RANGE
        if call.symbols != NULL and not within(
                call.symbols, packed_rows(call.lengths, call.m), 0, call.n_x - 1):
            return CRNN_SYMBOL_OUT_OF_RANGE
        return CRNN_OK
    if call.lengths != NULL and not within(call.lengths, call.m, 1, call.T):
        return CRNN_LENGTH_OUT_OF_RANGE
    if call.symbols != NULL and not symbols_fit(call.symbols, call.lengths, call.T, call.m,
                                                call.n_x):
        return CRNN_SYMBOL_OUT_OF_RANGE
    return CRNN_OK


cdef int _check_cell(const crnn_rnn_call *call, int cell) noexcept nogil:
    """Check that the call is of this cell, and that no field of another cell is set."""
    if (call.cell != cell
            or cell == CRNN_VANILLA and call.kept != NULL
            or cell != CRNN_GRU and (call.baa != NULL or call.dbaa != NULL)
            or cell != CRNN_LSTM and (call.c0 != NULL or call.c_n != NULL or call.dc_n != NULL
                                      or call.dc0 != NULL)
            or cell != CRNN_LEAKY and (call.leak != NULL or call.noise != 0 or call.seed != 0
                                       or call.equation != CRNN_RATE)):
        return CRNN_WRONG_CELL
    return CRNN_OK


cdef int _check_options(const crnn_rnn_call *call) noexcept nogil:
    """Check the activation, the equation, the direction and the number of threads."""
    cdef bint relu = call.cell == CRNN_VANILLA or call.cell == CRNN_LEAKY
    if (call.activation != CRNN_TANH and not (relu and call.activation == CRNN_RELU)
            or call.equation != CRNN_RATE and call.equation != CRNN_CURRENT
            or call.reverse != 0 and call.reverse != 1 or call.threads < 0):
        return CRNN_UNSUPPORTED_OPTION
    return CRNN_OK


cdef int _check_leak(const crnn_rnn_call *call) noexcept nogil:
    """Check the leak of every unit, which may be NaN, and the noise."""
    cdef Py_ssize_t j
    cdef double leak
    if call.cell != CRNN_LEAKY:
        return CRNN_OK
    for j in range(call.n_a):
        leak = ((<const float *>call.leak)[j] if call.dtype == CRNN_FLOAT32
                else (<const double *>call.leak)[j])
        if not 0 < leak <= 1:
            return CRNN_LEAK_OUT_OF_RANGE
    cdef double most = FLT_MAX if call.dtype == CRNN_FLOAT32 else DBL_MAX
    return CRNN_OK if 0 <= call.noise <= most else CRNN_LEAK_OUT_OF_RANGE


cdef int _check(const crnn_rnn_call *call, int cell, bint backward) noexcept nogil:
    """Check everything but the dtype and the sizes."""
    cdef int status = _check_cell(call, cell)
    if status == CRNN_OK:
        status = _check_options(call)
    if status == CRNN_OK:
        status = _check_arrays(call, backward)
    if status == CRNN_OK:
        status = _check_leak(call)
    if status == CRNN_OK and call.workspace_bytes < _workspace_bytes(call, backward):
        status = CRNN_WORKSPACE_TOO_SMALL
    if status == CRNN_OK:
        status = _check_integers(call)
    return status


cdef void _fill_in(crnn_rnn_call *call, bint backward, char *rows) noexcept nogil:
    """Set what the kernels need and the caller does not have.

    `rows` is memory for ba and, for a GRU, baa: zeros if they are missing, or a place for gradients
    that are not wanted.
    """
    cdef char *baa = rows + _bytes_of_units(call)
    if backward:
        call.dba = call.dba if call.dba != NULL else <void *>rows
        if call.cell == CRNN_GRU and call.dbaa == NULL:
            call.dbaa = baa
        return
    memset(rows, 0, _bytes_of_rows(call))
    call.ba = call.ba if call.ba != NULL else <const void *>rows
    if call.cell == CRNN_GRU and call.baa == NULL:
        call.baa = baa


cdef int _prepare(const crnn_rnn_call *given, int cell, bint backward,
                  crnn_rnn_call *call) noexcept nogil:
    """Copy and check a record, align its workspace, set its threads and fill it in."""
    cdef char *workspace
    cdef int allowed, status = _read(given, call)
    if status == CRNN_OK:
        status = _check(call, cell, backward)
    if status != CRNN_OK:
        return status
    workspace = <char *>call.workspace
    workspace += (ALIGNMENT - <uintptr_t>workspace % ALIGNMENT) % ALIGNMENT
    call.workspace = workspace
    _fill_in(call, backward, workspace + _rows_at(call, backward))
    allowed = _threads()
    call.threads = min(call.threads, allowed) if call.threads > 0 else allowed
    if call.lengths != NULL and within(call.lengths, call.m, call.T, call.T):
        call.lengths, call.offsets = NULL, NULL  # the same bits as a call without lengths
    return CRNN_OK


cdef int _forward(const crnn_rnn_call *given, int cell) noexcept nogil:
    cdef crnn_rnn_call call
    cdef int status = _prepare(given, cell, False, &call)
    if status == CRNN_OK:
        _operations(call.dtype == CRNN_FLOAT64).rnn_forward(&call)
    return status


cdef int _backward(const crnn_rnn_call *given, int cell) noexcept nogil:
    cdef crnn_rnn_call call
    cdef int status = _prepare(given, cell, True, &call)
    if status == CRNN_OK:
        _operations(call.dtype == CRNN_FLOAT64).rnn_backward(&call)
    return status


cdef int crnn_rnn_workspace(const crnn_rnn_call *given, int backward,
                            size_t *bytes) noexcept nogil:
    cdef crnn_rnn_call call
    cdef int status = _read(given, &call)
    if status == CRNN_OK and bytes == NULL:
        status = CRNN_NULL_POINTER
    if status == CRNN_OK:
        bytes[0] = _workspace_bytes(&call, backward)
    return status


cdef int crnn_rnn_forward(const crnn_rnn_call *given) noexcept nogil:
    return _forward(given, CRNN_VANILLA)


cdef int crnn_rnn_backward(const crnn_rnn_call *given) noexcept nogil:
    return _backward(given, CRNN_VANILLA)


cdef int crnn_leaky_forward(const crnn_rnn_call *given) noexcept nogil:
    return _forward(given, CRNN_LEAKY)


cdef int crnn_leaky_backward(const crnn_rnn_call *given) noexcept nogil:
    return _backward(given, CRNN_LEAKY)


cdef int crnn_gru_forward(const crnn_rnn_call *given) noexcept nogil:
    return _forward(given, CRNN_GRU)


cdef int crnn_gru_backward(const crnn_rnn_call *given) noexcept nogil:
    return _backward(given, CRNN_GRU)


cdef int crnn_lstm_forward(const crnn_rnn_call *given) noexcept nogil:
    return _forward(given, CRNN_LSTM)


cdef int crnn_lstm_backward(const crnn_rnn_call *given) noexcept nogil:
    return _backward(given, CRNN_LSTM)


cdef const char *crnn_status_message(int status) noexcept nogil:
    if status == CRNN_OK:
        return b"no error"
    if status == CRNN_NULL_POINTER:
        return b"an array or record that the call needs is NULL"
    if status == CRNN_VERSION_MISMATCH:
        return (b"struct_size: expected that of a crnn_rnn_call, with no field set that this "
                b"version does not know")
    if status == CRNN_UNSUPPORTED_DTYPE:
        return b"dtype: expected CRNN_FLOAT32 or CRNN_FLOAT64"
    if status == CRNN_UNSUPPORTED_OPTION:
        return (b"expected activation CRNN_TANH or, for the vanilla and the leaky cell, CRNN_RELU, "
                b"equation CRNN_RATE or CRNN_CURRENT, reverse 0 or 1, threads >= 0, either x or "
                b"symbols, and no dx with symbols")
    if status == CRNN_SIZE_OUT_OF_RANGE:
        return (b"expected T >= 1, m, n_x and n_a in 1..2147483647, and arrays that can be "
                b"addressed")
    if status == CRNN_LENGTH_OUT_OF_RANGE:
        return (b"lengths: expected integers in 1..T; with offsets, lengths that never increase, "
                b"the first of them T, and offsets that count the packed rows before each step")
    if status == CRNN_SYMBOL_OUT_OF_RANGE:
        return b"x: expected integers in 0..n_x-1"
    if status == CRNN_MISALIGNED:
        return b"an array is not aligned to the size of its elements"
    if status == CRNN_WORKSPACE_TOO_SMALL:
        return b"workspace_bytes: expected at least the size that crnn_rnn_workspace gives"
    if status == CRNN_WRONG_CELL:
        return b"cell: expected that of the function, and no field of another cell set"
    if status == CRNN_LEAK_OUT_OF_RANGE:
        return b"expected every leak in (0, 1], and noise at least 0 and finite in its dtype"
    return b"not a status of crnn"


cdef crnn_c_api table

table.struct_size = sizeof(table)
table.version = CRNN_C_API_VERSION
table.rnn_workspace = crnn_rnn_workspace
table.rnn_forward = crnn_rnn_forward
table.rnn_backward = crnn_rnn_backward
table.status_message = crnn_status_message
table.leaky_forward = crnn_leaky_forward
table.leaky_backward = crnn_leaky_backward
table.gru_forward = crnn_gru_forward
table.gru_backward = crnn_gru_backward
table.lstm_forward = crnn_lstm_forward
table.lstm_backward = crnn_lstm_backward

#: The table in a capsule, for C: crnn_import() of include/crnn.h.
v1 = PyCapsule_New(&table, CRNN_C_API_CAPSULE, NULL)
