"""Sums and largest states over time, and the way back, for callers without the GIL.

Steps are added in the order in which a recurrence reads them, so that the sums have the same bits
if a sequence comes in parts. Sums are in double precision.
"""
from crnn._engine.blas cimport real


cdef inline void add_row(double *sum, const real *row, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sum[j] += row[j]


cdef inline void first_row(real *most, int *where, const real *row, int t,
                           Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        most[j] = row[j]
        where[j] = t


cdef inline void raise_to(real *most, int *where, const real *row, int t,
                          Py_ssize_t n) noexcept nogil:
    """The first one read of equal numbers stays, and so does the first NaN."""
    cdef Py_ssize_t j
    cdef real v, old
    cdef bint larger
    for j in range(n):  # no branch depends on the numbers: a third faster
        v, old = row[j], most[j]
        larger = (not (v <= old)) & (old == old)
        most[j] = v if larger else old
        where[j] = t if larger else where[j]


cdef inline void raise_or_equal(real *most, int *where, const real *row, int t,
                                Py_ssize_t n) noexcept nogil:
    """The last one read of equal numbers wins, and so does the last NaN."""
    cdef Py_ssize_t j
    cdef real v, old
    cdef bint larger
    for j in range(n):
        v, old = row[j], most[j]
        larger = (not (v < old)) & ((old == old) | (v != v))
        most[j] = v if larger else old
        where[j] = t if larger else where[j]


cdef inline void pool_steps(const real *a, const Py_ssize_t *lengths, Py_ssize_t T, Py_ssize_t m,
                            Py_ssize_t n, Py_ssize_t first, bint falling, bint last_wins,
                            double *sums, real *largest, int *at) noexcept nogil:
    """`pooling.pool` of a (T, m, n): NULL stands for None."""
    cdef Py_ssize_t k, r, i
    cdef const real *row
    cdef int t
    for k in range(T):
        r = T - 1 - k if falling else k
        t = <int>(first + r)
        for i in range(m):
            if lengths != NULL and r >= lengths[i]:
                continue
            row = a + (r * m + i) * n
            if sums != NULL:
                add_row(sums + i * n, row, n)
            if at == NULL:
                continue
            if at[i * n] < 0:
                first_row(largest + i * n, at + i * n, row, t, n)
            elif last_wins:
                raise_or_equal(largest + i * n, at + i * n, row, t, n)
            else:
                raise_to(largest + i * n, at + i * n, row, t, n)


cdef inline void unpool_steps(real *da, const Py_ssize_t *lengths, Py_ssize_t T, Py_ssize_t m,
                              Py_ssize_t n, Py_ssize_t first, const real *dmean,
                              const real *dlargest, const int *at) noexcept nogil:
    """`pooling.unpool` to da (T, m, n): NULL stands for None."""
    cdef Py_ssize_t r, i, j
    cdef real *row
    cdef const real *most
    cdef const int *where
    cdef int t
    cdef bint counts
    for r in range(T):
        t = <int>(first + r)
        for i in range(m):
            row = da + (r * m + i) * n
            counts = lengths == NULL or r < lengths[i]
            for j in range(n):
                row[j] = dmean[i * n + j] if counts and dmean != NULL else 0
            if not counts or dlargest == NULL:
                continue
            most, where = dlargest + i * n, at + i * n
            for j in range(n):
                row[j] += most[j] if where[j] == t else 0
