# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The recurrence through time, forward and backward, over BLAS and the C kernels.

Every function takes arrays that the caller has validated and allocated, releases the GIL once
and writes its results into the arrays it was given. Nothing here raises.

Shapes are those of the package: x (T, m, n_x), a (T, m, n_a), Waa (n_a, n_a), Wax (n_a, n_x),
ba (n_a,), a0 (m, n_a), lengths (m,). Where an input is `symbols` (T, m) instead of x, it stands for
one-hot rows: column `symbols` of Wax is gathered on the way in and scatter-added on the way back,
both through the transposed `table` (n_x, n_a), whose rows are contiguous.
"""
from libc.string cimport memcpy, memset

from crnn._blas cimport linear_backward_W, linear_backward_x, linear_forward, real
from crnn._kernels cimport crnn_find_kernels, crnn_kernels

# Chosen once, before any kernel runs (select, called by the package's __init__).
cdef const crnn_kernels *kernels = crnn_find_kernels(NULL)


def select(name=None):
    """Use the C kernels called `name`, or the best for this CPU; give the name of those in use.

    Raises ValueError, and changes nothing, where there are none of that name that can run here.
    """
    global kernels
    cdef bytes wanted
    cdef const crnn_kernels *found
    if name is None:
        found = crnn_find_kernels(NULL)
    else:
        wanted = name.encode()
        found = crnn_find_kernels(wanted)
    if found == NULL:
        raise ValueError(f"no kernels called {name!r} can run on this machine")
    kernels = found
    return kernels.name.decode()


cdef inline void _activate(bint relu, Py_ssize_t m, Py_ssize_t n_a, const real *ba,
                           real *z) noexcept nogil:
    """a<t> = tanh(z<t> + ba), or relu, in place."""
    if real is float:
        if relu:
            kernels.f32.bias_relu(m, n_a, ba, z)
        else:
            kernels.f32.bias_tanh(m, n_a, ba, z)
    else:
        if relu:
            kernels.f64.bias_relu(m, n_a, ba, z)
        else:
            kernels.f64.bias_tanh(m, n_a, ba, z)


cdef inline void _activate_backward(bint relu, Py_ssize_t m, Py_ssize_t n_a, const real *a,
                                    real *dz) noexcept nogil:
    """dz<t> = da<t> (1 - a<t>^2), or da<t> [a<t> > 0], in place."""
    if real is float:
        if relu:
            kernels.f32.relu_backward(m, n_a, a, dz)
        else:
            kernels.f32.tanh_backward(m, n_a, a, dz)
    else:
        if relu:
            kernels.f64.relu_backward(m, n_a, a, dz)
        else:
            kernels.f64.tanh_backward(m, n_a, a, dz)


cdef inline void _add_bias(Py_ssize_t rows, Py_ssize_t n, const real *b, real *y) noexcept nogil:
    if real is float:
        kernels.f32.add_bias(rows, n, b, y)
    else:
        kernels.f64.add_bias(rows, n, b, y)


cdef inline void _sum_rows(Py_ssize_t rows, Py_ssize_t n, const real *dy,
                           real *db) noexcept nogil:
    if real is float:
        kernels.f32.sum_rows(rows, n, dy, db)
    else:
        kernels.f64.sum_rows(rows, n, dy, db)


cdef Py_ssize_t _shortest(Py_ssize_t T, const Py_ssize_t[::1] lengths) noexcept nogil:
    """The first step at which any example is over: T without lengths."""
    cdef Py_ssize_t i
    if lengths is not None:
        for i in range(lengths.shape[0]):
            T = min(T, lengths[i])
    return T


cdef void _fill_padding(Py_ssize_t t, const Py_ssize_t[::1] lengths, Py_ssize_t n,
                        const real *rows, real *at_t) noexcept nogil:
    """At step t, give each example that is over its row of `rows` (m, n), or zeros for NULL."""
    cdef Py_ssize_t i
    for i in range(lengths.shape[0]):
        if t >= lengths[i]:
            if rows != NULL:
                memcpy(at_t + i * n, rows + i * n, n * sizeof(real))
            else:
                memset(at_t + i * n, 0, n * sizeof(real))


cdef void _clear_padding(Py_ssize_t T, Py_ssize_t m, const Py_ssize_t[::1] lengths, Py_ssize_t n,
                         real *sequence) noexcept nogil:
    """Exact zeros past each example's length: sequence (T, m, n)."""
    cdef Py_ssize_t t
    for t in range(_shortest(T, lengths), T):
        _fill_padding[real](t, lengths, n, NULL, sequence + t * m * n)


cdef void _gather(const Py_ssize_t[:, ::1] symbols, const Py_ssize_t[::1] lengths, Py_ssize_t n_a,
                  const real *table, real *z) noexcept nogil:
    """z<t> = Wax x<t> for one-hot x<t>; past an example's length zeros, symbols are not read."""
    cdef Py_ssize_t t, i
    for t in range(symbols.shape[0]):
        for i in range(symbols.shape[1]):
            if lengths is None or t < lengths[i]:
                memcpy(z, table + symbols[t, i] * n_a, n_a * sizeof(real))
            else:
                memset(z, 0, n_a * sizeof(real))
            z += n_a


cdef void _scatter_add(const Py_ssize_t[:, ::1] symbols, const Py_ssize_t[::1] lengths,
                       Py_ssize_t n_a, const real *dz, real *dtable) noexcept nogil:
    """dWax = sum dz<t> x<t>' for one-hot x<t>, into the transposed dtable (n_x, n_a)."""
    cdef Py_ssize_t t, i, j
    cdef real *row
    for t in range(symbols.shape[0]):
        for i in range(symbols.shape[1]):
            if lengths is None or t < lengths[i]:
                row = dtable + symbols[t, i] * n_a
                for j in range(n_a):
                    row[j] += dz[j]
            dz += n_a


def rnn_forward(const real[:, ::1] Waa, const real[:, ::1] Wax, const real[::1] ba,
                const real[:, :, ::1] x, const Py_ssize_t[:, ::1] symbols,
                const real[:, ::1] table, const real[:, ::1] a0,
                const Py_ssize_t[::1] lengths, bint reverse, bint relu, real[:, :, ::1] a):
    """Fill a (T, m, n_a): a<t> = tanh(Waa a<t-1> + Wax x<t> + ba).

    Either x or both symbols and table are given, the others are None; a0 and lengths may be None.
    """
    cdef Py_ssize_t T = a.shape[0], m = a.shape[1], n_a = a.shape[2], n_x = Wax.shape[1]
    cdef Py_ssize_t s, t, over, step = m * n_a
    cdef Py_ssize_t back = step if reverse else -step  # from a<t> to the state before it
    cdef const real *start = NULL if a0 is None else &a0[0, 0]
    cdef const real *previous = start
    cdef real *a_t

    with nogil:
        over = _shortest(T, lengths)
        if symbols is None:
            linear_forward[real](T * m, n_x, n_a, &x[0, 0, 0], &Wax[0, 0], 0, &a[0, 0, 0])
        else:
            _gather[real](symbols, lengths, n_a, &table[0, 0], &a[0, 0, 0])
        for s in range(T):
            t = T - 1 - s if reverse else s
            a_t = &a[t, 0, 0]
            if s > 0:
                previous = a_t + back
            if previous != NULL:
                linear_forward[real](m, n_a, n_a, previous, &Waa[0, 0], 1, a_t)
            _activate[real](relu, m, n_a, &ba[0], a_t)
            if t >= over:  # read right to left, an example that has not begun holds its a0
                _fill_padding[real](t, lengths, n_a, start if reverse else NULL, a_t)
        if reverse and start != NULL:
            _clear_padding[real](T, m, lengths, n_a, &a[0, 0, 0])


def rnn_backward(const real[:, ::1] Waa, const real[:, ::1] Wax, const real[:, :, ::1] da,
                 const real[:, :, ::1] a, const real[:, :, ::1] x,
                 const Py_ssize_t[:, ::1] symbols, const real[:, ::1] a0,
                 const Py_ssize_t[::1] lengths, bint reverse, bint relu,
                 real[:, :, ::1] dz, real[:, ::1] first, real[:, ::1] dWaa, real[:, ::1] dWax,
                 real[:, ::1] dtable, real[::1] dba, real[:, :, ::1] dx, real[:, ::1] da0):
    """Fill dWaa, dWax (or dtable, its transpose, for symbols), dba, and dx and da0 unless None.

    dz (T, m, n_a) and first (m, n_a) are workspaces. x past an example's length must be finite.
    """
    cdef Py_ssize_t T = a.shape[0], m = a.shape[1], n_a = a.shape[2], n_x = Wax.shape[1]
    cdef Py_ssize_t s, t, i, over, step = m * n_a, size = m * n_a * sizeof(real)
    cdef Py_ssize_t ahead = -step if reverse else step  # from dz<t> to the one computed before it
    cdef real *dz_t

    with nogil:
        over = _shortest(T, lengths)
        for s in range(T):
            t = s if reverse else T - 1 - s
            dz_t = &dz[t, 0, 0]
            memcpy(dz_t, &da[t, 0, 0], size)
            if s > 0:
                linear_backward_x[real](m, n_a, n_a, dz_t + ahead, &Waa[0, 0], 1, dz_t)
            _activate_backward[real](relu, m, n_a, &a[t, 0, 0], dz_t)
            if t >= over:
                _fill_padding[real](t, lengths, n_a, NULL, dz_t)

        # dWaa = sum dz<t> a<t-1>': every step but the first, then the first with a0.
        if reverse:
            linear_backward_W[real](step * (T - 1) // n_a, n_a, n_a, &dz[0, 0, 0],
                                    &a[0, 0, 0] + step, 0, &dWaa[0, 0])
        else:
            linear_backward_W[real](step * (T - 1) // n_a, n_a, n_a, &dz[0, 0, 0] + step,
                                    &a[0, 0, 0], 0, &dWaa[0, 0])
        if a0 is not None or da0 is not None:
            for i in range(m):  # the first step read: right to left, an example's last
                t = 0 if not reverse else T - 1 if lengths is None else lengths[i] - 1
                memcpy(&first[i, 0], &dz[t, i, 0], n_a * sizeof(real))
        if a0 is not None:
            linear_backward_W[real](m, n_a, n_a, &first[0, 0], &a0[0, 0], 1, &dWaa[0, 0])
        if da0 is not None:
            linear_backward_x[real](m, n_a, n_a, &first[0, 0], &Waa[0, 0], 0, &da0[0, 0])

        if symbols is None:
            linear_backward_W[real](T * m, n_x, n_a, &dz[0, 0, 0], &x[0, 0, 0], 0, &dWax[0, 0])
        else:
            memset(&dtable[0, 0], 0, n_x * n_a * sizeof(real))
            _scatter_add[real](symbols, lengths, n_a, &dz[0, 0, 0], &dtable[0, 0])
        _sum_rows[real](T * m, n_a, &dz[0, 0, 0], &dba[0])
        if dx is not None:
            linear_backward_x[real](T * m, n_x, n_a, &dz[0, 0, 0], &Wax[0, 0], 0, &dx[0, 0, 0])
            _clear_padding[real](T, m, lengths, n_x, &dx[0, 0, 0])


def output_forward(const real[:, ::1] Wya, const real[::1] by, const real[:, ::1] a,
                   real[:, ::1] logits):
    """Fill logits (rows, n_y) = a (rows, n) Wya' + by."""
    cdef Py_ssize_t rows = logits.shape[0], n_y = logits.shape[1], n = Wya.shape[1]
    with nogil:
        linear_forward[real](rows, n, n_y, &a[0, 0], &Wya[0, 0], 0, &logits[0, 0])
        _add_bias[real](rows, n_y, &by[0], &logits[0, 0])


def output_backward(const real[:, ::1] Wya, const real[:, ::1] dlogits, const real[:, ::1] a,
                    real[:, ::1] dWya, real[::1] dby, real[:, ::1] da):
    """Fill dWya = sum dlogits a', dby = sum dlogits and da (rows, n) = dlogits Wya."""
    cdef Py_ssize_t rows = dlogits.shape[0], n_y = dlogits.shape[1], n = Wya.shape[1]
    with nogil:
        linear_backward_W[real](rows, n, n_y, &dlogits[0, 0], &a[0, 0], 0, &dWya[0, 0])
        _sum_rows[real](rows, n_y, &dlogits[0, 0], &dby[0])
        linear_backward_x[real](rows, n, n_y, &dlogits[0, 0], &Wya[0, 0], 0, &da[0, 0])
