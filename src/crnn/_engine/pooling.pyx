# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Sums and largest states over time, and the way back.

Steps are added in the order in which a recurrence reads them, so that the sums have the same bits
if a sequence comes in parts. Sums are in double precision.
"""
from crnn._engine.blas cimport real


cdef void add_row(double *sum, const real *row, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sum[j] += row[j]


cdef void first_row(real *most, int *where, const real *row, int t, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        most[j] = row[j]
        where[j] = t


cdef void raise_to(real *most, int *where, const real *row, int t, Py_ssize_t n) noexcept nogil:
    """The first one read of equal numbers stays, and so does the first NaN."""
    cdef Py_ssize_t j
    cdef real v, old
    cdef bint larger
    for j in range(n):  # no branch depends on the numbers: a third faster
        v, old = row[j], most[j]
        larger = (not (v <= old)) & (old == old)
        most[j] = v if larger else old
        where[j] = t if larger else where[j]


cdef void raise_or_equal(real *most, int *where, const real *row, int t,
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


def pool(const real[:, :, ::1] a, const Py_ssize_t[::1] lengths, Py_ssize_t first, bint falling,
         bint last_wins, double[:, ::1] sums, real[:, ::1] largest, int[:, ::1] at):
    """Add the steps of a (steps, m, n) to the sums and the largest states (m, n) of those before.

    Row r of a is step ``first + r``, and counts for example i if ``r < lengths[i]``. The rows are
    read from the last one on if `falling`. `at` has the step of the largest state, or -1 before any
    was read. Of several equal ones it is the first one read, or with `last_wins` the last one.
    NaN is larger than any number. `sums`, or `largest` and `at`, may be None.
    """
    cdef Py_ssize_t T = a.shape[0], m = a.shape[1], n = a.shape[2], k, r, i
    cdef int t
    with nogil:
        for k in range(T):
            r = T - 1 - k if falling else k
            t = <int>(first + r)
            for i in range(m):
                if lengths is not None and r >= lengths[i]:
                    continue
                if sums is not None:
                    add_row(&sums[i, 0], &a[r, i, 0], n)
                if largest is None:
                    continue
                if at[i, 0] < 0:
                    first_row(&largest[i, 0], &at[i, 0], &a[r, i, 0], t, n)
                elif last_wins:
                    raise_or_equal(&largest[i, 0], &at[i, 0], &a[r, i, 0], t, n)
                else:
                    raise_to(&largest[i, 0], &at[i, 0], &a[r, i, 0], t, n)


def unpool(real[:, :, ::1] da, const Py_ssize_t[::1] lengths, Py_ssize_t first,
           const real[:, ::1] dmean, const real[:, ::1] dlargest, const int[:, ::1] at):
    """Set da (steps, m, n): dmean at each step that counts, and dlargest at the largest.

    The rows are those of `pool`; past an example's length da is 0. `dmean` (m, n), or `dlargest`
    and `at`, may be None.
    """
    cdef Py_ssize_t T = da.shape[0], m = da.shape[1], n = da.shape[2], r, i, j
    cdef real *row
    cdef const real *mean
    cdef const real *most
    cdef const int *where
    cdef int t
    cdef bint counts
    with nogil:
        for r in range(T):
            t = <int>(first + r)
            for i in range(m):
                row = &da[r, i, 0]
                counts = lengths is None or r < lengths[i]
                mean = &dmean[i, 0] if counts and dmean is not None else NULL
                for j in range(n):
                    row[j] = 0 if mean == NULL else mean[j]
                if not counts or dlargest is None:
                    continue
                most, where = &dlargest[i, 0], &at[i, 0]
                for j in range(n):
                    row[j] += most[j] if where[j] == t else 0
