# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The recurrence over scipy's BLAS: for CPUs that no microkernel was written for.

What can be grouped is grouped: one product for all inputs before the time loop, one each for dWaa,
dWax and dx after it; only ``Waa a<t-1>`` and ``Waa' dz<t+1>`` wait for time. Element-wise work is
the C kernels' (csrc/elementwise.h). The functions stand in a table like those of csrc/.

For one-hot inputs, column `symbol` of Wax is gathered on the way in and scatter-added on the way
back, both through its transpose `table` (n_x, n_a), whose rows are contiguous.
"""
from libc.string cimport memcpy, memset

from crnn._engine.blas cimport linear_backward_W, linear_backward_x, linear_forward, real
from crnn._engine.kernels cimport (RELU, RELU_BACKWARD, TANH, TANH_BACKWARD, crnn_epilogue,
                            crnn_kernels, crnn_linear, crnn_operations, crnn_rnn)

cdef extern from "denormals.h" nogil:
    ctypedef unsigned long long crnn_denormals  # of whatever type C has it
    crnn_denormals crnn_denormals_off() noexcept
    void crnn_denormals_restore(crnn_denormals before) noexcept

cdef const crnn_kernels *elementwise


cdef inline const crnn_operations *_elementwise(real *_) noexcept nogil:
    return elementwise.f32 if real is float else elementwise.f64


cdef Py_ssize_t _shortest(const crnn_rnn *call) noexcept nogil:
    """The first step at which any example is over: T without lengths."""
    cdef Py_ssize_t i, over = call.T
    if call.lengths != NULL:
        for i in range(call.m):
            over = min(over, call.lengths[i])
    return over


cdef void _fill_padding(const crnn_rnn *call, Py_ssize_t t, Py_ssize_t n, const real *rows,
                        real *at_t) noexcept nogil:
    """At step t, give each example that is over its row of `rows` (m, n), or zeros for NULL."""
    cdef Py_ssize_t i
    for i in range(call.m):
        if t >= call.lengths[i]:
            if rows != NULL:
                memcpy(at_t + i * n, rows + i * n, n * sizeof(real))
            else:
                memset(at_t + i * n, 0, n * sizeof(real))


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


cdef void _inputs(const crnn_rnn *call, real *z) noexcept nogil:
    """z<t> = Wax x<t> + ba for every step; past an example's length symbols are not read."""
    cdef Py_ssize_t t, i, j, m = call.m, n_a = call.n_a, n_x = call.n_x
    cdef real *table = <real *>call.workspace
    cdef const real *row
    cdef const real *ba = <const real *>call.ba
    _repeat[real](call.T * m, n_a, ba, z)
    if call.x != NULL:
        linear_forward[real](call.T * m, n_x, n_a, <const real *>call.x, <const real *>call.Wax,
                             1, z)
        return
    _transpose[real](n_a, n_x, <const real *>call.Wax, table)
    for t in range(call.T):
        for i in range(m):
            if call.lengths == NULL or t < call.lengths[i]:
                row = table + call.symbols[t * m + i] * n_a
                for j in range(n_a):
                    z[j] += row[j]
            z += n_a


cdef void _scatter_add(const crnn_rnn *call, const real *dz) noexcept nogil:
    """dWax = sum dz<t> x<t>' for one-hot x<t>."""
    cdef Py_ssize_t t, i, j, n_a = call.n_a
    cdef real *table = <real *>call.workspace
    cdef real *row
    memset(table, 0, call.n_x * n_a * sizeof(real))
    for t in range(call.T):
        for i in range(call.m):
            if call.lengths == NULL or t < call.lengths[i]:
                row = table + call.symbols[t * call.m + i] * n_a
                for j in range(n_a):
                    row[j] += dz[j]
            dz += n_a
    _transpose[real](call.n_x, n_a, table, <real *>call.dWax)


cdef void _rnn_forward(const crnn_rnn *call, real *a) noexcept nogil:
    cdef crnn_denormals before = crnn_denormals_off()
    cdef Py_ssize_t T = call.T, m = call.m, n_a = call.n_a, step = m * n_a, s, t
    cdef Py_ssize_t back = step if call.reverse else -step  # from a<t> to the state before it
    cdef Py_ssize_t over = _shortest(call)
    cdef const real *start = <const real *>call.a0
    cdef const real *previous = start
    cdef crnn_epilogue epilogue = RELU if call.relu else TANH
    cdef real *a_t

    _inputs[real](call, a)
    for s in range(T):
        t = T - 1 - s if call.reverse else s
        a_t = a + t * step
        if s > 0:
            previous = a_t + back
        if previous != NULL:
            linear_forward[real](m, n_a, n_a, previous, <const real *>call.Waa, 1, a_t)
        _elementwise[real](a).finish(epilogue, m, n_a, NULL, a_t)
        if t >= over:  # read right to left, an example that has not begun holds its a0
            _fill_padding[real](call, t, n_a, start if call.reverse else NULL, a_t)
    if call.reverse and start != NULL:
        for t in range(over, T):
            _fill_padding[real](call, t, n_a, NULL, a + t * step)
    crnn_denormals_restore(before)


cdef void _sum_over_steps(const crnn_rnn *call, Py_ssize_t t0, Py_ssize_t t1, Py_ssize_t n,
                          const real *dz, const real *given, Py_ssize_t shift, real *given_t,
                          real *dW) noexcept nogil:
    """dW (n_a, n) = sum dz<t> given<t + shift>' over steps t0 to t1, given (T, m, n).

    In the padding dz is 0, and what is given there is taken for zeros, in given_t (m, n): 0 times
    a NaN is NaN.
    """
    cdef Py_ssize_t t, m = call.m, n_a = call.n_a
    cdef Py_ssize_t over = min(max(_shortest(call), t0), t1)
    linear_backward_W[real]((over - t0) * m, n, n_a, dz + t0 * m * n_a,
                            given + (t0 + shift) * m * n, 0, dW)
    for t in range(over, t1):
        memcpy(given_t, given + (t + shift) * m * n, m * n * sizeof(real))
        _fill_padding[real](call, t, n, NULL, given_t)
        linear_backward_W[real](m, n, n_a, dz + t * m * n_a, given_t, 1, dW)


cdef void _rnn_backward(const crnn_rnn *call, const real *a) noexcept nogil:
    cdef crnn_denormals before = crnn_denormals_off()
    cdef Py_ssize_t T = call.T, m = call.m, n_a = call.n_a, n_x = call.n_x, step = m * n_a
    cdef Py_ssize_t s, t, i, over = _shortest(call)
    cdef Py_ssize_t ahead = -step if call.reverse else step  # from dz<t> to the one before it
    cdef real *first = <real *>call.workspace + n_x * n_a  # (m, n_a)
    cdef real *given_t = first + step  # (m, n_a) or (m, n_x)
    cdef real *dz = given_t + m * max(n_a, n_x)  # (T, m, n_a)
    cdef const real *da = <const real *>call.da
    cdef const real *Waa = <const real *>call.Waa
    cdef crnn_epilogue epilogue = RELU_BACKWARD if call.relu else TANH_BACKWARD
    cdef real *dz_t

    for s in range(T):
        t = s if call.reverse else T - 1 - s
        dz_t = dz + t * step
        memcpy(dz_t, da + t * step, step * sizeof(real))
        if s > 0:
            linear_backward_x[real](m, n_a, n_a, dz_t + ahead, Waa, 1, dz_t)
        _elementwise[real](dz).finish(epilogue, m, n_a, a + t * step, dz_t)
        if call.lengths != NULL and not call.reverse and t + 1 >= over:
            for i in range(m):  # of which this is the last step: 0 times infinity is NaN
                if t + 1 == call.lengths[i]:
                    memcpy(dz_t + i * n_a, da + t * step + i * n_a, n_a * sizeof(real))
                    _elementwise[real](dz).finish(epilogue, 1, n_a, a + t * step + i * n_a,
                                                  dz_t + i * n_a)
        if t >= over:
            _fill_padding[real](call, t, n_a, NULL, dz_t)

    # dWaa = sum dz<t> a<t-1>': every step but the first, then the first with a0.
    if call.reverse:
        _sum_over_steps[real](call, 0, T - 1, n_a, dz, a, 1, given_t, <real *>call.dWaa)
    else:
        _sum_over_steps[real](call, 1, T, n_a, dz, a, -1, given_t, <real *>call.dWaa)
    for i in range(m):  # the first step read: right to left, an example's last
        t = 0 if not call.reverse else T - 1 if call.lengths == NULL else call.lengths[i] - 1
        memcpy(first + i * n_a, dz + (t * m + i) * n_a, n_a * sizeof(real))
    if call.a0 != NULL:
        linear_backward_W[real](m, n_a, n_a, first, <const real *>call.a0, 1, <real *>call.dWaa)
    if call.da0 != NULL:
        linear_backward_x[real](m, n_a, n_a, first, Waa, 0, <real *>call.da0)

    _elementwise[real](dz).sum_rows(T * m, n_a, dz, call.dba)
    if call.x == NULL:
        _scatter_add[real](call, dz)
    else:
        _sum_over_steps[real](call, 0, T, n_x, dz, <const real *>call.x, 0, given_t,
                              <real *>call.dWax)
    if call.dx != NULL:
        linear_backward_x[real](T * m, n_x, n_a, dz, <const real *>call.Wax, 0, <real *>call.dx)
        for t in range(over, T):
            _fill_padding[real](call, t, n_x, NULL, <real *>call.dx + t * m * n_x)
    crnn_denormals_restore(before)


cdef void _linear_forward(const crnn_linear *call, real *y) noexcept nogil:
    _repeat[real](call.rows, call.n_out, <const real *>call.b, y)
    linear_forward[real](call.rows, call.n_in, call.n_out, <const real *>call.x,
                         <const real *>call.W, 1, y)


cdef void _linear_backward(const crnn_linear *call, const real *dy) noexcept nogil:
    linear_backward_W[real](call.rows, call.n_in, call.n_out, dy, <const real *>call.x, 0,
                            <real *>call.dW)
    linear_backward_x[real](call.rows, call.n_in, call.n_out, dy, <const real *>call.W, 0,
                            <real *>call.dx)
    _elementwise[real](<real *>call.db).sum_rows(call.rows, call.n_out, dy, call.db)


cdef void rnn_forward_f32(const crnn_rnn *call) noexcept nogil:
    _rnn_forward[float](call, <float *>call.a)


cdef void rnn_forward_f64(const crnn_rnn *call) noexcept nogil:
    _rnn_forward[double](call, <double *>call.a)


cdef void rnn_backward_f32(const crnn_rnn *call) noexcept nogil:
    _rnn_backward[float](call, <const float *>call.a)


cdef void rnn_backward_f64(const crnn_rnn *call) noexcept nogil:
    _rnn_backward[double](call, <const double *>call.a)


cdef void linear_forward_f32(const crnn_linear *call) noexcept nogil:
    _linear_forward[float](call, <float *>call.y)


cdef void linear_forward_f64(const crnn_linear *call) noexcept nogil:
    _linear_forward[double](call, <double *>call.y)


cdef void linear_backward_f32(const crnn_linear *call) noexcept nogil:
    _linear_backward[float](call, <const float *>call.dy)


cdef void linear_backward_f64(const crnn_linear *call) noexcept nogil:
    _linear_backward[double](call, <const double *>call.dy)


cdef Py_ssize_t rnn_workspace(Py_ssize_t T, Py_ssize_t m, Py_ssize_t n_x, Py_ssize_t n_a,
                              int backward) noexcept nogil:
    return n_x * n_a + (m * max(n_a, n_x) + (T + 1) * m * n_a if backward else 0)


cdef Py_ssize_t linear_workspace(Py_ssize_t n_in, Py_ssize_t n_out) noexcept nogil:
    return 1  # nothing is packed, but an array has an address only where it has a number


cdef crnn_operations f32, f64
cdef crnn_kernels table


cdef const crnn_kernels *kernels_over_blas(const crnn_kernels *with_elementwise) noexcept:
    """The table called "blas"; element-wise work is that of another table."""
    global elementwise, f32, f64, table
    elementwise = with_elementwise
    f32, f64 = elementwise.f32[0], elementwise.f64[0]
    f32.rnn_forward, f64.rnn_forward = rnn_forward_f32, rnn_forward_f64
    f32.rnn_backward, f64.rnn_backward = rnn_backward_f32, rnn_backward_f64
    f32.linear_forward, f64.linear_forward = linear_forward_f32, linear_forward_f64
    f32.linear_backward, f64.linear_backward = linear_backward_f32, linear_backward_f64
    f32.rnn_workspace, f64.rnn_workspace = rnn_workspace, rnn_workspace
    f32.linear_workspace, f64.linear_workspace = linear_workspace, linear_workspace
    table.name, table.f32, table.f64 = b"blas", &f32, &f64
    return &table
