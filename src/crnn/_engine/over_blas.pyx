# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The recurrence over scipy's BLAS, for CPUs without a microkernel of their own.

Products are grouped as far as possible: one product for all inputs before the time loop, and one
each for dWaa, dWax and dx after it. Only ``Waa a<t-1>`` and ``Waa' dz<t+1>`` are computed step by
step. The C kernels do the element-wise work (csrc/elementwise.inc). The functions are entries of a
table like those of csrc/.

With lengths, the rows within the lengths are copied to dense arrays (dense_rows.pxd), in the order
that csrc/lengths.inc describes; there a group of steps is copied at a time, here all of them. For
one-hot inputs the forward pass reads column `symbol` of Wax, and the backward pass adds to that
column of dWax. Both use a transpose (n_x, n_a), whose rows are contiguous.

Only the vanilla cell runs over BLAS. The other cells run on the kernels of the table whose
element-wise functions these are.
"""
from libc.string cimport memcpy, memset

from crnn._c_api cimport CRNN_VANILLA, crnn_rnn_call
from crnn._engine.blas cimport linear_backward_W, linear_backward_x, linear_forward, real
from crnn._engine.dense_rows cimport (
    fill_index, find_rows, gather, gather_examples, integers_of_rows, rows_of_call, running_at,
    scatter)
from crnn._engine.kernels cimport crnn_kernels, crnn_linear, crnn_operations

cdef extern from "denormals.h" nogil:
    ctypedef unsigned long long crnn_denormals  # the C compiler uses the type in the header
    crnn_denormals crnn_denormals_off() noexcept
    void crnn_denormals_restore(crnn_denormals before) noexcept

cdef const crnn_kernels *elementwise

cdef enum:
    BLOCK_ROWS = 1 << 12  # rows of a partial sum: a BLAS may add them up in one chain


cdef inline const crnn_operations *_elementwise(real *_) noexcept nogil:
    return elementwise.f32 if real is float else elementwise.f64


cdef void _repeat(Py_ssize_t rows, Py_ssize_t n, const real *row, real *y) noexcept nogil:
    """Every row of y (rows, n) = row (n)."""
    cdef Py_ssize_t i
    for i in range(rows):
        memcpy(y + i * n, row, n * sizeof(real))


cdef void _transpose(Py_ssize_t rows, Py_ssize_t columns, const real *A, real *B) noexcept nogil:
    """B (columns, rows) = A' for A (rows, columns)."""
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            B[j * rows + i] = A[i * columns + j]


cdef void _sum_over_rows(Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, const real *dy,
                         const real *x, bint add, real *part, real *dW) noexcept nogil:
    """dW (n_out, n_in) = dy' x, or += with `add`.

    BLOCK_ROWS rows are summed at a time, in `part`.
    """
    cdef Py_ssize_t start = 0, block, k
    if rows <= BLOCK_ROWS:
        linear_backward_W[real](rows, n_in, n_out, dy, x, 1 if add else 0, dW)
        return
    while start < rows:
        block = min(rows - start, <Py_ssize_t>BLOCK_ROWS)
        linear_backward_W[real](block, n_in, n_out, dy + start * n_out, x + start * n_in, 0, part)
        for k in range(n_in * n_out):
            dW[k] = dW[k] + part[k] if add else part[k]
        add = True
        start += block


cdef void _input_products(const crnn_rnn_call *call, const rows_of_call *rows, const real *x,
                          real *table, real *z) noexcept nogil:
    """z = Wax x + ba for every row. With lengths, x and z are dense."""
    cdef Py_ssize_t r, j, n_a = call.n_a, n_x = call.n_x
    cdef const real *row
    _repeat[real](rows.count, n_a, <const real *>call.ba, z)
    if x != NULL:
        linear_forward[real](rows.count, n_x, n_a, x, <const real *>call.Wax, 1, z)
        return
    _transpose[real](n_a, n_x, <const real *>call.Wax, table)
    for r in range(rows.count):
        row = table + call.symbols[r if rows.index == NULL else rows.index[r]] * n_a
        for j in range(n_a):
            z[r * n_a + j] += row[j]


cdef void _add_symbols(const crnn_rnn_call *call, const rows_of_call *rows, const real *dz,
                       double *table) noexcept nogil:
    """dWax = sum dz<t> x<t>' for one-hot x<t>, added up in double."""
    cdef Py_ssize_t r, j, k, n_a = call.n_a, n_x = call.n_x
    cdef double *row
    cdef real *dWax = <real *>call.dWax
    memset(table, 0, n_x * n_a * sizeof(double))
    for r in range(rows.count):
        row = table + call.symbols[r if rows.index == NULL else rows.index[r]] * n_a
        for j in range(n_a):
            row[j] += dz[r * n_a + j]
    for j in range(n_a):
        for k in range(n_x):
            dWax[j * n_x + k] = <real>table[k * n_a + j]


cdef inline real *_aligned_after(real *numbers, Py_ssize_t count) noexcept nogil:
    """The first address at a multiple of 64 bytes after `count` numbers."""
    cdef Py_ssize_t line = 64 // sizeof(real)
    return numbers + (count + line - 1) // line * line


cdef void _rnn_forward(const crnn_rnn_call *call, real *a) noexcept nogil:
    cdef crnn_denormals denormals = crnn_denormals_off()
    cdef Py_ssize_t T = call.T, m = call.m, n_a = call.n_a, s, running = m
    cdef real *table = <real *>call.workspace  # (n_x, n_a)
    cdef real *start = _aligned_after(table, call.n_x * n_a)  # (m, n_a): a0 in order
    cdef real *integers = _aligned_after(start, m * n_a)
    cdef rows_of_call rows = find_rows(call, integers)
    cdef const real *x = <const real *>call.x
    cdef const real *previous = <const real *>call.a0
    cdef real *dense_x
    cdef real *z = a
    cdef Py_ssize_t step = -m * n_a if call.reverse else m * n_a  # without lengths

    if rows.order != NULL:
        dense_x = _aligned_after(integers, integers_of_rows(call, a))  # (rows, n_x)
        z = _aligned_after(dense_x, T * m * call.n_x)  # (rows, n_a)
        if x != NULL:
            gather[real](&rows, call.n_x, x, dense_x)
            x = dense_x
        if previous != NULL:
            gather_examples[real](&rows, m, n_a, previous, start)
            previous = start
    _input_products[real](call, &rows, x, table, z)
    cdef real *dense = z
    if rows.order == NULL and call.reverse:
        z += (T - 1) * m * n_a
    for s in range(T):
        running = running_at(call, &rows, running, s)
        if running == 0:
            break
        if previous != NULL:
            linear_forward[real](running, n_a, n_a, previous, <const real *>call.Waa, 1, z)
        _elementwise[real](a).activate(call.activation, running, n_a, z)
        previous = z
        z += step if rows.order == NULL else running * n_a
    if rows.order != NULL:
        scatter[real](call, &rows, n_a, dense, a)
    crnn_denormals_restore(denormals)


cdef void _add_da_n(const crnn_rnn_call *call, const rows_of_call *rows, Py_ssize_t first,
                    Py_ssize_t last, real *dz) noexcept nogil:
    """Add da_n to the rows dz of the examples whose last step this is: ranks first to last - 1."""
    cdef Py_ssize_t rank, i, j, n_a = call.n_a
    cdef const real *da_n = <const real *>call.da_n
    if da_n == NULL:
        return
    for rank in range(first, last):
        i = rank if rows.order == NULL else rows.order[rank]
        for j in range(n_a):
            dz[rank * n_a + j] += da_n[i * n_a + j]


cdef void _rnn_backward(const crnn_rnn_call *call, const real *a) noexcept nogil:
    cdef crnn_denormals denormals = crnn_denormals_off()
    cdef Py_ssize_t T = call.T, m = call.m, n_a = call.n_a, n_x = call.n_x
    cdef Py_ssize_t s, running = 0, continuing = 0, shift = m if call.reverse else -m
    cdef double *table = <double *>call.workspace  # (n_x, n_a)
    cdef real *part = _aligned_after(<real *>table, n_x * n_a * sizeof(double) // sizeof(real))
    cdef real *some = _aligned_after(part, n_a * max(n_a, n_x))  # (m, n_a)
    cdef real *dz = _aligned_after(some, m * n_a)  # (rows, n_a)
    cdef real *integers = _aligned_after(dz, T * m * n_a)
    cdef rows_of_call rows = find_rows(call, integers)
    cdef real *dense = _aligned_after(integers, integers_of_rows(call, part))  # (rows, n_a or n_x)
    cdef const real *Waa = <const real *>call.Waa
    cdef const real *x = <const real *>call.x
    cdef const real *da = <const real *>call.da
    cdef bint ordered = rows.order != NULL, back = call.reverse and not ordered
    cdef const real *after = NULL
    cdef real *dz_s
    cdef const real *a_s
    cdef Py_ssize_t at = 0 if back else rows.count, r0, first = (T - 1) * m if back else 0

    if da == NULL:
        memset(dz, 0, rows.count * n_a * sizeof(real))
    elif ordered:
        gather[real](&rows, n_a, da, dz)
    else:
        memcpy(dz, da, rows.count * n_a * sizeof(real))
    if ordered:
        gather[real](&rows, n_a, a, dense)
    for s in range(T - 1, -1, -1):
        running = running_at(call, &rows, m, s)
        if running == 0:
            continue
        if not back:
            at -= running
        dz_s = dz + at * n_a
        a_s = (<const real *>dense if ordered else a) + at * n_a
        if continuing > 0:
            linear_backward_x[real](continuing, n_a, n_a, after, Waa, 1, dz_s)
        _add_da_n[real](call, &rows, continuing, running, dz_s)
        _elementwise[real](dz).activate_backward(call.activation, running, n_a, a_s, dz_s)
        after, continuing = dz_s, running
        if back:
            at += running

    # dWaa = sum dz<t> a<t-1>': every step but the first, then the first with a0.
    r0 = 0 if back else m
    if ordered:
        fill_index(call, &rows, 1)
        gather[real](&rows, n_a, a, dense)
        fill_index(call, &rows, 0)
        _sum_over_rows[real](rows.count - m, n_a, n_a, dz + m * n_a, dense + m * n_a, False, part,
                             <real *>call.dWaa)
    else:
        _sum_over_rows[real](rows.count - m, n_a, n_a, dz + r0 * n_a, a + (r0 + shift) * n_a,
                             False, part, <real *>call.dWaa)
    if call.a0 != NULL:
        gather_examples[real](&rows, m, n_a, <const real *>call.a0, some)
        _sum_over_rows[real](m, n_a, n_a, dz + first * n_a, some, True, part, <real *>call.dWaa)
    if call.da0 != NULL:
        linear_backward_x[real](m, n_a, n_a, dz + first * n_a, Waa, 0, some)
        for s in range(m):
            memcpy(<real *>call.da0 + (rows.order[s] if ordered else s) * n_a, some + s * n_a,
                   n_a * sizeof(real))
    _elementwise[real](dz).sum_rows(rows.count, n_a, dz, call.dba)
    if x == NULL:
        _add_symbols[real](call, &rows, dz, table)
    else:
        if ordered:
            gather[real](&rows, n_x, x, dense)
            x = dense
        _sum_over_rows[real](rows.count, n_x, n_a, dz, x, False, part, <real *>call.dWax)
    if call.dx != NULL:
        linear_backward_x[real](rows.count, n_x, n_a, dz, <const real *>call.Wax, 0,
                                dense if ordered else <real *>call.dx)
        if ordered:
            scatter[real](call, &rows, n_x, dense, <real *>call.dx)
    crnn_denormals_restore(denormals)


cdef void _linear_forward(const crnn_linear *call, real *y) noexcept nogil:
    _repeat[real](call.rows, call.n_out, <const real *>call.b, y)
    linear_forward[real](call.rows, call.n_in, call.n_out, <const real *>call.x,
                         <const real *>call.W, 1, y)


cdef void _linear_backward(const crnn_linear *call, const real *dy) noexcept nogil:
    _sum_over_rows[real](call.rows, call.n_in, call.n_out, dy, <const real *>call.x, False,
                         <real *>call.workspace, <real *>call.dW)
    if call.dx != NULL:
        linear_backward_x[real](call.rows, call.n_in, call.n_out, dy, <const real *>call.W, 0,
                                <real *>call.dx)
    _elementwise[real](<real *>call.db).sum_rows(call.rows, call.n_out, dy, call.db)


cdef void rnn_forward_f32(const crnn_rnn_call *call) noexcept nogil:
    if call.cell != CRNN_VANILLA:
        elementwise.f32.rnn_forward(call)
    else:
        _rnn_forward[float](call, <float *>call.a)


cdef void rnn_forward_f64(const crnn_rnn_call *call) noexcept nogil:
    if call.cell != CRNN_VANILLA:
        elementwise.f64.rnn_forward(call)
    else:
        _rnn_forward[double](call, <double *>call.a)


cdef bint _is_left(const crnn_rnn_call *call) noexcept nogil:
    """Whether a backward call is left to the table with the element-wise functions."""
    return call.cell != CRNN_VANILLA or call.norms != NULL


cdef void rnn_backward_f32(const crnn_rnn_call *call) noexcept nogil:
    if _is_left(call):
        elementwise.f32.rnn_backward(call)
    else:
        _rnn_backward[float](call, <const float *>call.a)


cdef void rnn_backward_f64(const crnn_rnn_call *call) noexcept nogil:
    if _is_left(call):
        elementwise.f64.rnn_backward(call)
    else:
        _rnn_backward[double](call, <const double *>call.a)


cdef Py_ssize_t rnn_packing_f32(const crnn_rnn_call *call, Py_ssize_t *numbers) noexcept nogil:
    if call.cell != CRNN_VANILLA:
        return elementwise.f32.rnn_packing(call, numbers)
    numbers[0] = 0  # BLAS packs weights itself
    return 0


cdef Py_ssize_t rnn_packing_f64(const crnn_rnn_call *call, Py_ssize_t *numbers) noexcept nogil:
    if call.cell != CRNN_VANILLA:
        return elementwise.f64.rnn_packing(call, numbers)
    numbers[0] = 0
    return 0


cdef void linear_forward_f32(const crnn_linear *call) noexcept nogil:
    _linear_forward[float](call, <float *>call.y)


cdef void linear_forward_f64(const crnn_linear *call) noexcept nogil:
    _linear_forward[double](call, <double *>call.y)


cdef void linear_backward_f32(const crnn_linear *call) noexcept nogil:
    _linear_backward[float](call, <const float *>call.dy)


cdef void linear_backward_f64(const crnn_linear *call) noexcept nogil:
    _linear_backward[double](call, <const double *>call.dy)


cdef Py_ssize_t _workspace(const crnn_rnn_call *call, bint backward, real *_) noexcept nogil:
    """Numbers in the workspace of _rnn_forward or _rnn_backward; 16 align each array."""
    cdef Py_ssize_t T = call.T, m = call.m, n_x = call.n_x, n_a = call.n_a
    cdef Py_ssize_t size = m * n_a + 6 * 16
    if backward:
        size += (n_x * n_a * sizeof(double) // sizeof(real) + n_a * max(n_a, n_x) + T * m * n_a)
    else:
        size += n_x * n_a
    if call.lengths != NULL:
        size += integers_of_rows(call, _) + T * m * (max(n_a, n_x) if backward else n_a + n_x)
    return size


cdef Py_ssize_t rnn_workspace_f32(const crnn_rnn_call *call, int backward) noexcept nogil:
    cdef Py_ssize_t size = elementwise.f32.rnn_workspace(call, backward)
    if call.cell == CRNN_VANILLA:  # the caller may want norms or not
        size = max(size, _workspace[float](call, backward, NULL))
    return size


cdef Py_ssize_t rnn_workspace_f64(const crnn_rnn_call *call, int backward) noexcept nogil:
    cdef Py_ssize_t size = elementwise.f64.rnn_workspace(call, backward)
    if call.cell == CRNN_VANILLA:
        size = max(size, _workspace[double](call, backward, NULL))
    return size


cdef Py_ssize_t linear_workspace(const crnn_linear *call) noexcept nogil:
    # At least 1, because the address of an empty array cannot be taken.
    return call.n_in * call.n_out if call.rows > BLOCK_ROWS else 1


cdef crnn_operations f32, f64
cdef crnn_kernels table


cdef const crnn_kernels *kernels_over_blas(const crnn_kernels *with_elementwise) noexcept:
    """The table called "blas". Its element-wise functions are those of another table."""
    global elementwise, f32, f64, table
    elementwise = with_elementwise
    f32, f64 = elementwise.f32[0], elementwise.f64[0]
    f32.rnn_forward, f64.rnn_forward = rnn_forward_f32, rnn_forward_f64
    f32.rnn_packing, f64.rnn_packing = rnn_packing_f32, rnn_packing_f64
    f32.rnn_backward, f64.rnn_backward = rnn_backward_f32, rnn_backward_f64
    f32.linear_forward, f64.linear_forward = linear_forward_f32, linear_forward_f64
    f32.linear_backward, f64.linear_backward = linear_backward_f32, linear_backward_f64
    f32.rnn_workspace, f64.rnn_workspace = rnn_workspace_f32, rnn_workspace_f64
    f32.linear_workspace, f64.linear_workspace = linear_workspace, linear_workspace
    table.name, table.f32, table.f64 = b"blas", &f32, &f64
    return &table
