# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Sums and largest states over time, and the way back."""
from crnn._engine.blas cimport real
from crnn._engine.pooling cimport pool_steps, unpool_steps


def pool(const real[:, :, ::1] a, const Py_ssize_t[::1] lengths, Py_ssize_t first, bint falling,
         bint last_wins, double[:, ::1] sums, real[:, ::1] largest, int[:, ::1] at):
    """Add the steps of a (steps, m, n) to the sums and the largest states (m, n) of those before.

    Row r of a is step ``first + r``, and counts for example i if ``r < lengths[i]``. The rows are
    read from the last one on if `falling`. `at` has the step of the largest state, or -1 before any
    was read. Of several equal ones it is the first one read, or with `last_wins` the last one.
    NaN is larger than any number. `sums`, or `largest` and `at`, may be None.
    """
    cdef const Py_ssize_t *ends = <const Py_ssize_t *>NULL if lengths is None else &lengths[0]
    cdef double *sum = <double *>NULL if sums is None else &sums[0, 0]
    cdef real *most = <real *>NULL if largest is None else &largest[0, 0]
    cdef int *where = <int *>NULL if at is None else &at[0, 0]
    with nogil:
        pool_steps(&a[0, 0, 0], ends, a.shape[0], a.shape[1], a.shape[2], first, falling,
                   last_wins, sum, most, where)


def unpool(real[:, :, ::1] da, const Py_ssize_t[::1] lengths, Py_ssize_t first,
           const real[:, ::1] dmean, const real[:, ::1] dlargest, const int[:, ::1] at):
    """Set da (steps, m, n): dmean at each step that counts, and dlargest at the largest.

    The rows are those of `pool`; past an example's length da is 0. `dmean` (m, n), or `dlargest`
    and `at`, may be None.
    """
    cdef const Py_ssize_t *ends = <const Py_ssize_t *>NULL if lengths is None else &lengths[0]
    cdef const real *mean = <const real *>NULL if dmean is None else &dmean[0, 0]
    cdef const real *most = <const real *>NULL if dlargest is None else &dlargest[0, 0]
    cdef const int *where = <const int *>NULL if at is None else &at[0, 0]
    with nogil:
        unpool_steps(&da[0, 0, 0], ends, da.shape[0], da.shape[1], da.shape[2], first, mean, most,
                     where)
