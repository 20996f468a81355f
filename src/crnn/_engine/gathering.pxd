"""Batches gathered from examples, which are in one array or in one each, without the GIL."""
from libc.string cimport memcpy


cdef struct examples_of:
    const Py_ssize_t *addresses  # of the first row of each example; NULL if there is no such array
    Py_ssize_t row, step  # bytes of a row, and from a row to that of the next step
    char *batch


cdef inline void gather(const examples_of *of, const Py_ssize_t *chosen, Py_ssize_t first,
                        Py_ssize_t T, Py_ssize_t m, const Py_ssize_t *lengths,
                        bint dense) noexcept nogil:
    """Copy the rows of T steps, from `first` on, of the m chosen examples to the batch, time first.

    Rows past an example's length are not copied; `dense` leaves no room for them.
    """
    cdef Py_ssize_t t, i, k = 0
    for t in range(T):
        for i in range(m):
            if lengths == NULL or t < lengths[i]:
                memcpy(of.batch + k * of.row,
                       <const char *>of.addresses[chosen[i]] + (first + t) * of.step, of.row)
                k += 1
            elif not dense:
                k += 1
