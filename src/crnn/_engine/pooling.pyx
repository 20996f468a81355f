# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Sums and largest states over time, and the way back.

Steps are added in the order in which a recurrence reads them, so that the sums have the same bits
if a sequence comes in parts. Sums are in double precision.
"""
from crnn._engine.blas cimport real


def pool(const real[:, :, ::1] a, const Py_ssize_t[::1] lengths, Py_ssize_t first, bint falling,
         bint last_wins, double[:, ::1] sums, real[:, ::1] largest, Py_ssize_t[:, ::1] at):
    """Add the steps of a (steps, m, n) to the sums and the largest states (m, n) of those before.

    Row r of a is step ``first + r``, and counts for example i if ``r < lengths[i]``. The rows are
    read from the last one on if `falling`. `at` has the step of the largest state, or -1 before any
    was read. Of several equal ones it is the first one read, or with `last_wins` the last one.
    NaN is larger than any number. `sums`, or `largest` and `at`, may be None.
    """
    cdef Py_ssize_t T = a.shape[0], m = a.shape[1], n = a.shape[2], k, r, i, j
    cdef const real *row
    cdef real v
    cdef double *sum
    cdef real *most
    cdef Py_ssize_t *where
    with nogil:
        for k in range(T):
            r = T - 1 - k if falling else k
            for i in range(m):
                if lengths is not None and r >= lengths[i]:
                    continue
                row = &a[r, i, 0]
                if sums is not None:
                    sum = &sums[i, 0]
                    for j in range(n):
                        sum[j] += row[j]
                if largest is None:
                    continue
                most, where = &largest[i, 0], &at[i, 0]
                for j in range(n):
                    v = row[j]
                    if (v > most[j] or where[j] < 0 or (last_wins and v == most[j])
                            or (v != v and (last_wins or most[j] == most[j]))):
                        most[j] = v
                        where[j] = first + r


def unpool(real[:, :, ::1] da, const Py_ssize_t[::1] lengths, Py_ssize_t first,
           const real[:, ::1] dmean, const real[:, ::1] dlargest, const Py_ssize_t[:, ::1] at):
    """Set da (steps, m, n): dmean at each step that counts, and dlargest at the largest.

    The rows are those of `pool`; past an example's length da is 0. `dmean` (m, n), or `dlargest`
    and `at`, may be None.
    """
    cdef Py_ssize_t T = da.shape[0], m = da.shape[1], n = da.shape[2], r, i, j
    cdef real *row
    cdef bint counts
    with nogil:
        for r in range(T):
            for i in range(m):
                row = &da[r, i, 0]
                counts = lengths is None or r < lengths[i]
                for j in range(n):
                    row[j] = dmean[i, j] if counts and dmean is not None else 0
                if not counts or dlargest is None:
                    continue
                for j in range(n):
                    if at[i, j] == first + r:
                        row[j] += dlargest[i, j]
