"""The QR decomposition of a matrix of some hundred columns, blocked, with its Q.

LAPACK's dgeqrf and dorgqr take one column at a time up to 128 columns, at a fifth of the speed of a
product; and each of these hundreds of small steps may wake the threads of BLAS. Here dgeqrf
decomposes panels of PANEL columns, and everything else is products, at 128 columns too small for
threads: with the reflectors of a panel in the columns of V and dlarft's triangular T,

    H' C = C - V T' V' C        H C = C - V T V' C

(R. Schreiber and C. Van Loan, "A storage-efficient WY representation for products of Householder
transformations", SIAM Journal on Scientific and Statistical Computing 10 (1989), 53-57). At 128 x
128 this takes 0.23 ms, dgeqrf and dorgqr 0.52 (one thread, AVX-512); panels of 16 and 32 columns
took 0.26 and 0.29.

Matrices are column-major, as in LAPACK.
"""
from libc.string cimport memset
from scipy.linalg.cython_blas cimport dgemm
from scipy.linalg.cython_lapack cimport dgeqrf, dlarft

from crnn._engine.blas cimport blas_int

cdef enum:
    PANEL = 8


cdef struct reflectors:
    Py_ssize_t N, k     # rows and columns, k <= N
    double *Y           # (N, k): the matrix, then R and below its diagonal the reflectors
    double *tau         # (k,)
    double *T           # (PANEL, PANEL) for each panel
    double *V           # (N, PANEL): the reflectors of a panel
    double *W           # (PANEL, k), twice


cdef inline Py_ssize_t reflectors_size(Py_ssize_t N, Py_ssize_t k) noexcept nogil:
    """The numbers of tau, T, V and W together."""
    return k + (k + PANEL - 1) // PANEL * PANEL * PANEL + N * PANEL + 2 * PANEL * k


cdef inline reflectors reflectors_of(Py_ssize_t N, Py_ssize_t k, double *Y,
                                     double *numbers) noexcept nogil:
    """A decomposition of Y that uses `reflectors_size` numbers."""
    cdef reflectors H
    H.N, H.k, H.Y, H.tau = N, k, Y, numbers
    H.T = H.tau + k
    H.V = H.T + (k + PANEL - 1) // PANEL * PANEL * PANEL
    H.W = H.V + N * PANEL
    return H


cdef inline void _product(char transa, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t depth,
                          double alpha, const double *A, Py_ssize_t lda, const double *B,
                          Py_ssize_t ldb, double beta, double *C, Py_ssize_t ldc) noexcept nogil:
    """C (rows, columns) = alpha op(A) B + beta C."""
    cdef char no = c'N'
    cdef blas_int m = <blas_int>rows, n = <blas_int>columns, k = <blas_int>depth
    cdef blas_int lda_ = <blas_int>lda, ldb_ = <blas_int>ldb, ldc_ = <blas_int>ldc
    dgemm(&transa, &no, &m, &n, &k, &alpha, <double *>A, &lda_, <double *>B, &ldb_, &beta, C, &ldc_)


cdef inline void _apply(const reflectors *H, Py_ssize_t first, char transt, Py_ssize_t columns,
                        double *C) noexcept nogil:
    """C (N - first, columns) = H' C, or H C with transt = N, for the panel that begins at `first`.

    C is a part of a matrix of N rows.
    """
    cdef Py_ssize_t width = min(<Py_ssize_t>PANEL, H.k - first), rows = H.N - first, i, j
    cdef const double *panel = H.Y + first * H.N + first
    cdef double *W = H.W
    cdef double *TW = H.W + PANEL * H.k
    for j in range(width):
        for i in range(rows):
            H.V[j * rows + i] = panel[j * H.N + i] if i > j else i == j
    _product(c'T', width, columns, rows, 1, H.V, rows, C, H.N, 0, W, width)
    _product(transt, width, columns, width, 1, H.T + first * PANEL, PANEL, W, width, 0, TW, width)
    _product(c'N', rows, columns, width, -1, H.V, rows, TW, width, 1, C, H.N)


cdef inline void qr(const reflectors *H) noexcept nogil:
    """Decompose Y: R replaces its upper triangle."""
    cdef Py_ssize_t first = 0, width
    cdef blas_int m, n, ld = <blas_int>H.N, size = <blas_int>(2 * PANEL * H.k), block = PANEL, info
    cdef char forward = c'F', by_columns = c'C'
    cdef double *panel
    cdef double *T
    while first < H.k:
        width = min(<Py_ssize_t>PANEL, H.k - first)
        m, n = <blas_int>(H.N - first), <blas_int>width
        panel, T = H.Y + first * H.N + first, H.T + first * PANEL
        dgeqrf(&m, &n, panel, &ld, H.tau + first, H.W, &size, &info)
        memset(T, 0, PANEL * PANEL * sizeof(double))  # dlarft writes the upper triangle only
        dlarft(&forward, &by_columns, &m, &n, panel, &ld, H.tau + first, T, &block)
        if first + width < H.k:
            _apply(H, first, c'T', H.k - first - width, panel + width * H.N)
        first += width


cdef inline void form_Q(const reflectors *H, double *Q) noexcept nogil:
    """Q (N, k) with orthonormal columns, so that Q R is what `qr` decomposed."""
    cdef Py_ssize_t first = (H.k - 1) // PANEL * PANEL, j
    memset(Q, 0, H.N * H.k * sizeof(double))
    for j in range(H.k):
        Q[j * H.N + j] = 1
    while first >= 0:
        _apply(H, first, c'N', H.k - first, Q + first * H.N + first)
        first -= PANEL
