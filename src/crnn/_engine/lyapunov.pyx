# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""How small differences grow along a trajectory: Jacobian products and their QR, without the GIL.

The Jacobian of a step is never built. Its factors are multiplied onto Q, of k columns (see
`crnn.inspect._cells.Slopes`):

    Q := diag(keep) Q + sum over gates of diag(gate) Waa_gate diag(read) Q

and of an LSTM, whose state is (a, c) with the parts Qa, Qc,

    Qc := diag(keep) Qc + sum over i, f, g of diag(gate) Waa_gate Qa
    Qa := diag(gate_o) Waa_o Qa + diag(through) Qc, the new one

A QR decomposition (householder.pxd) costs more than a product at these sizes. So it is taken only
after several steps: with J<t+s> ... J<t+1> Q = Q' R, the log of R_jj is the sum of the logs that a
decomposition after every step gives (G. Benettin et al., "Lyapunov characteristic exponents for
smooth dynamical systems", Meccanica 15 (1980), 9-30). Rounding adds a relative error of about 1e-16
times the ratio of the largest number in R to the smallest R_jj. If that ratio exceeds 1e8 the steps
are done again, half as many at a time; so the error of each log stays near 1e-8.

Arrays are row-major, so Q is stored as its transpose (k, N), which is what LAPACK calls (N, k).
"""
from libc.math cimport INFINITY, fabs, log
from libc.string cimport memcpy

cimport numpy as cnp

from crnn._engine.workspace import aligned

from crnn._engine.arrays cimport fits, fits_to_write, new, zeros
from crnn._engine.householder cimport form_Q, qr, reflectors, reflectors_of, reflectors_size
from crnn._engine.kernels cimport _operations, _threads, crnn_linear

cnp.import_array()

cdef enum:
    MOST_STEPS = 32  # between two decompositions

cdef double MOST_SPREAD = log(1e8)
cdef double SMALLEST = 1e-250  # beyond it and its inverse, digits are lost or numbers overflow


cdef struct slopes:
    Py_ssize_t n, N, k, gates   # units, numbers of a state, columns of Q, gates
    const double *Waa           # (gates n, n)
    const double *keep          # (rows, n)
    const double *gate          # (rows, gates, n)
    const double *read          # (rows, n), or NULL for 1
    const double *through       # (rows, n), or NULL if the state is one part
    crnn_linear product         # P (k, gates n) = part (k, n) Waa', with everything but its input
    double *part                # (k, n): what Waa multiplies, where that is not Q itself
    double *P


cdef void _multiply_Waa(slopes *J, Py_ssize_t row, const double *Q) noexcept nogil:
    """P = Q diag(read) Waa', for the part of Q that is a."""
    cdef Py_ssize_t n = J.n, i, j
    cdef const double *read = NULL
    if J.read != NULL:
        read = J.read + row * n
    J.product.x = Q if J.part == NULL else J.part
    if J.part != NULL:
        for j in range(J.k):
            for i in range(n):
                J.part[j * n + i] = Q[j * J.N + i] if read == NULL else Q[j * J.N + i] * read[i]
    _operations(True).linear_forward(&J.product)


cdef void _multiply(slopes *J, Py_ssize_t row, double *Q) noexcept nogil:
    """Q (k, N) := Q J'<row>."""
    cdef Py_ssize_t n = J.n, N = J.N, width = J.gates * J.n, i, j, g
    cdef const double *keep = J.keep + row * n
    cdef const double *gate = J.gate + row * width
    cdef const double *through
    cdef const double *factor
    cdef const double *p
    cdef double *q
    _multiply_Waa(J, row, Q)
    for j in range(J.k):
        p = J.P + j * width
        q = Q + j * N + (N - n)  # the last part: the whole state, or c
        for i in range(n):
            q[i] = keep[i] * q[i] + gate[i] * p[i]
        for g in range(1, J.gates if J.through == NULL else J.gates - 1):
            factor = gate + g * n
            for i in range(n):
                q[i] += factor[i] * p[g * n + i]
        if J.through != NULL:
            through = J.through + row * n
            factor, p = gate + (J.gates - 1) * n, p + (J.gates - 1) * n
            for i in range(n):
                q[i - n] = factor[i] * p[i] + through[i] * q[i]


cdef double _spread(Py_ssize_t N, Py_ssize_t k, const double *R) noexcept nogil:
    """The log of the largest number of R over its smallest R_jj, or infinity."""
    cdef Py_ssize_t i, j
    cdef double largest = 0, smallest = INFINITY, value
    for j in range(k):
        for i in range(j + 1):
            value = fabs(R[j * N + i])
            if not value <= 1 / SMALLEST:  # also NaN
                return INFINITY
            largest = max(largest, value)
        smallest = min(smallest, fabs(R[j * N + j]))
    return INFINITY if smallest < SMALLEST else log(largest / smallest)


cdef Py_ssize_t _next_interval(double spread, Py_ssize_t steps) noexcept nogil:
    """How many steps to take next, so that the spread stays below its limit."""
    cdef Py_ssize_t most = min(2 * steps, <Py_ssize_t>MOST_STEPS)
    cdef double wanted
    if spread <= 0:
        return most
    wanted = 0.85 * MOST_SPREAD * steps / spread
    return most if wanted >= most else max(1, <Py_ssize_t>wanted)


cdef Py_ssize_t _advance(slopes *J, Py_ssize_t rows, Py_ssize_t interval, double *Q,
                         double *growth, const reflectors *H) noexcept nogil:
    """Carry Q over all rows, and decompose it in H; return the next interval."""
    cdef Py_ssize_t row = 0, steps, s, j
    cdef double spread
    while row < rows:
        steps = min(interval, rows - row)
        memcpy(H.Y, Q, J.k * J.N * sizeof(double))
        for s in range(steps):
            _multiply(J, row + s, H.Y)
        qr(H)
        spread = _spread(J.N, J.k, H.Y)
        if steps > 1 and not spread <= MOST_SPREAD:
            interval = steps // 2
            continue
        for j in range(J.k):
            growth[j] += log(fabs(H.Y[j * J.N + j]))
        form_Q(H, Q)
        row += steps
        if steps == interval:  # else these were the last rows only
            interval = _next_interval(spread, steps)
    return interval


def advance(Waa, keep, gates, read, through, Q, growth, Py_ssize_t interval):
    """Multiply the Jacobians of successive steps onto Q, and add the logs of its growth.

    Q (k, N) has orthonormal rows and gets those after the last step; `growth` (k,) gets the sum
    over steps of log R_jj added to it. `Waa` is (gates n, n), `keep`, `read` and `through` are
    (rows, n), `gates` is (rows, gates, n), all of float64; `read` and `through` may be None. At
    most `interval` steps are taken before the first decomposition; returned is what the next call
    may begin with.

    Raises ValueError if an array does not fit.
    """
    cdef slopes J
    cdef int number = cnp.NPY_DOUBLE
    cdef Py_ssize_t rows = len(keep)
    J.n, J.N, J.k, J.gates = Waa.shape[1], Q.shape[1], len(Q), gates.shape[1]
    if not (fits(Waa, number, 2, J.gates * J.n, J.n, 0) and fits(keep, number, 2, rows, J.n, 0)
            and fits(gates, number, 3, rows, J.gates, J.n)
            and (read is None or fits(read, number, 2, rows, J.n, 0))
            and (through is None or fits(through, number, 2, rows, J.n, 0))
            and J.N == (J.n if through is None else 2 * J.n) and 1 <= J.k <= J.N
            and fits_to_write(Q, number, 2, J.k, J.N, 0)
            and fits_to_write(growth, number, 1, J.k, 0, 0) and interval >= 1):
        raise ValueError("advance: an argument does not fit the others")
    J.Waa = <const double *>cnp.PyArray_DATA(Waa)
    J.keep = <const double *>cnp.PyArray_DATA(keep)
    J.gate = <const double *>cnp.PyArray_DATA(gates)
    J.read = J.through = NULL
    if read is not None:
        J.read = <const double *>cnp.PyArray_DATA(read)
    if through is not None:
        J.through = <const double *>cnp.PyArray_DATA(through)
    Y = new(number, 2, J.k, J.N, 0)
    part = None if read is None and through is None else new(number, 2, J.k, J.n, 0)
    P, bias = new(number, 2, J.k, J.gates * J.n, 0), zeros(number, J.gates * J.n)
    numbers = new(number, 1, reflectors_size(J.N, J.k), 0, 0)
    cdef double *to_Q = <double *>cnp.PyArray_DATA(Q)
    cdef double *to_growth = <double *>cnp.PyArray_DATA(growth)
    cdef reflectors H = reflectors_of(J.N, J.k, <double *>cnp.PyArray_DATA(Y),
                                      <double *>cnp.PyArray_DATA(numbers))
    J.part = NULL if part is None else <double *>cnp.PyArray_DATA(part)
    J.P = <double *>cnp.PyArray_DATA(P)
    J.product.rows, J.product.n_in, J.product.n_out = J.k, J.n, J.gates * J.n
    J.product.W, J.product.b, J.product.y = J.Waa, cnp.PyArray_DATA(bias), J.P
    J.product.threads = _threads()
    workspace = aligned(_operations(True).linear_workspace(&J.product), Q.dtype)
    J.product.workspace = cnp.PyArray_DATA(workspace)
    with nogil:
        interval = _advance(&J, rows, interval, to_Q, to_growth, &H)
    return interval
