"""The rows of a call over BLAS: with lengths they are copied to dense arrays and back.

A dense array has the rows within the lengths, step after step and the longest example first. Its
first rows at a step are then those of the examples that go on.
"""
from libc.string cimport memcpy, memset

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.blas cimport real

cdef extern from "order.h" nogil:
    void crnn_order_by_length(Py_ssize_t m, const Py_ssize_t *lengths, Py_ssize_t *order,
                              Py_ssize_t *scratch) noexcept


cdef struct rows_of_call:
    Py_ssize_t count    # rows (steps of examples) within the lengths
    Py_ssize_t *order   # (m,): the examples by falling length; NULL without lengths
    Py_ssize_t *index   # (count,): which of the caller's T m rows each dense row is; or NULL


cdef inline Py_ssize_t running_at(const crnn_rnn_call *call, const rows_of_call *rows,
                                  Py_ssize_t n, Py_ssize_t s) noexcept nogil:
    """How many of the first n examples of the order read step s. Without lengths, n."""
    if rows.order != NULL:
        while n > 0 and call.lengths[rows.order[n - 1]] <= s:
            n -= 1
    return n


cdef inline void fill_index(const crnn_rnn_call *call, rows_of_call *rows,
                            Py_ssize_t back) noexcept nogil:
    """Fill in index: for each row, the caller's row `back` steps earlier.

    If there is no such step, it is the row of the first step that is read.
    """
    cdef Py_ssize_t s, t, rank, i, running = call.m, m = call.m
    rows.count = 0
    for s in range(call.T):
        running = running_at(call, rows, running, s)
        for rank in range(running):
            i = rows.order[rank]
            t = max(0, s - back)
            if call.reverse:
                t = call.lengths[i] - 1 - t
            rows.index[rows.count] = (t * m if call.offsets == NULL else call.offsets[t]) + i
            rows.count += 1


cdef inline rows_of_call find_rows(const crnn_rnn_call *call, void *integers) noexcept nogil:
    """The rows of a call. With lengths, `integers` has room for m + T m integers."""
    cdef rows_of_call rows
    rows.count, rows.order, rows.index = call.T * call.m, NULL, NULL
    if call.lengths != NULL:
        rows.order = <Py_ssize_t *>integers
        rows.index = rows.order + call.m
        crnn_order_by_length(call.m, call.lengths, rows.order, rows.index)
        fill_index(call, &rows, 0)
    return rows


cdef inline Py_ssize_t integers_of_rows(const crnn_rnn_call *call, real *_) noexcept nogil:
    """The integers of `find_rows`, as a count of reals that take as much memory."""
    return (call.m + call.T * call.m) * sizeof(Py_ssize_t) // sizeof(real)


cdef inline void gather(const rows_of_call *rows, Py_ssize_t n, const real *given,
                        real *dense) noexcept nogil:
    """Copy the caller's rows of n numbers to dense rows."""
    cdef Py_ssize_t r
    for r in range(rows.count):
        memcpy(dense + r * n, given + rows.index[r] * n, n * sizeof(real))


cdef inline void scatter(const crnn_rnn_call *call, const rows_of_call *rows, Py_ssize_t n,
                         const real *dense, real *given) noexcept nogil:
    """Copy dense rows to the caller's array (T, m, n), with zeros past an example's length."""
    cdef Py_ssize_t r, t, i
    for r in range(rows.count):
        memcpy(given + rows.index[r] * n, dense + r * n, n * sizeof(real))
    for t in range(call.T if call.offsets == NULL else 0):
        for i in range(call.m):
            if t >= call.lengths[i]:
                memset(given + (t * call.m + i) * n, 0, n * sizeof(real))


cdef inline void gather_examples(const rows_of_call *rows, Py_ssize_t m, Py_ssize_t n,
                                 const real *given, real *dense) noexcept nogil:
    """Copy rows (m, n), one per example, into the order of the dense rows."""
    cdef Py_ssize_t i
    for i in range(m):
        memcpy(dense + i * n, given + (i if rows.order == NULL else rows.order[i]) * n,
               n * sizeof(real))
