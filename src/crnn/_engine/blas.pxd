"""A linear map and its two gradients over BLAS: row-major, contiguous, any number of rows.

BLAS is column-major and uses 32-bit integers for sizes. Only this file deals with that. A row-major
matrix is the transpose of a column-major one, so each product is computed as its transpose. The
only dimension that can exceed 2^31, the T * m rows, is split into blocks. BLAS declares its
read-only arguments without `const`; the casts that this needs are all here.
"""
from libc.string cimport memset
from scipy.linalg.cython_blas cimport dgemm, dgemv, sgemm, sgemv

ctypedef int blas_int

ctypedef fused real:
    float
    double

cdef enum:
    MOST_ROWS = 1 << 20  # of one BLAS call: far below 2^31, so that a test can exceed it cheaply


cdef inline void _gemm(char transa, char transb, Py_ssize_t rows, Py_ssize_t columns,
                       Py_ssize_t depth, const real *A, Py_ssize_t lda, const real *B,
                       Py_ssize_t ldb, real beta, real *C) noexcept nogil:
    """C (rows, columns) = op(A) op(B) + beta C, column-major as in BLAS."""
    cdef blas_int m = <blas_int>rows, n = <blas_int>columns, k = <blas_int>depth
    cdef blas_int lda_ = <blas_int>lda, ldb_ = <blas_int>ldb
    cdef real one = 1
    if real is float:
        sgemm(&transa, &transb, &m, &n, &k, &one, <float *>A, &lda_, <float *>B, &ldb_,
              &beta, C, &m)
    else:
        dgemm(&transa, &transb, &m, &n, &k, &one, <double *>A, &lda_, <double *>B, &ldb_,
              &beta, C, &m)


cdef inline void _gemv(char trans, Py_ssize_t rows, Py_ssize_t columns, const real *A,
                       const real *x, Py_ssize_t n, real beta, real *y) noexcept nogil:
    """Column-major y (n) = op(A) x + beta y; A is (rows, columns)."""
    cdef blas_int m = <blas_int>rows, k = <blas_int>columns, step = 1
    cdef real one = 1
    if beta == 0:  # BLAS should do this, but some builds compute 0 * NaN of an uninitialised y
        memset(y, 0, n * sizeof(real))
    if real is float:
        sgemv(&trans, &m, &k, &one, <float *>A, &m, <float *>x, &step, &one, y, &step)
    else:
        dgemv(&trans, &m, &k, &one, <double *>A, &m, <double *>x, &step, &one, y, &step)


cdef inline void linear_forward(Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out,
                                const real *x, const real *W, real beta,
                                real *y) noexcept nogil:
    """y (rows, n_out) = x (rows, n_in) W' + beta y, for W (n_out, n_in); beta is 0 or 1."""
    cdef Py_ssize_t start = 0, block
    if rows == 1:
        _gemv(c'T', n_in, n_out, W, x, n_out, beta, y)
        return
    while start < rows:
        block = min(rows - start, <Py_ssize_t>MOST_ROWS)
        _gemm(c'T', c'N', n_out, block, n_in, W, n_in, x + start * n_in, n_in,
              beta, y + start * n_out)
        start += block


cdef inline void linear_backward_x(Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out,
                                   const real *dy, const real *W, real beta,
                                   real *dx) noexcept nogil:
    """dx (rows, n_in) = dy (rows, n_out) W + beta dx; beta is 0 or 1."""
    cdef Py_ssize_t start = 0, block
    if rows == 1:
        _gemv(c'N', n_in, n_out, W, dy, n_in, beta, dx)
        return
    while start < rows:
        block = min(rows - start, <Py_ssize_t>MOST_ROWS)
        _gemm(c'N', c'N', n_in, block, n_out, W, n_in, dy + start * n_out, n_out,
              beta, dx + start * n_in)
        start += block


cdef inline void linear_backward_W(Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out,
                                   const real *dy, const real *x, real beta,
                                   real *dW) noexcept nogil:
    """dW (n_out, n_in) = dy' x + beta dW, summed over rows; beta is 0 or 1. No rows: beta dW."""
    cdef Py_ssize_t start = 0, block
    if rows == 0 and beta == 0:
        memset(dW, 0, n_out * n_in * sizeof(real))
    while start < rows:
        block = min(rows - start, <Py_ssize_t>MOST_ROWS)
        _gemm(c'N', c'T', n_in, n_out, block, x + start * n_in, n_in, dy + start * n_out, n_out,
              beta if start == 0 else 1, dW)
        start += block
