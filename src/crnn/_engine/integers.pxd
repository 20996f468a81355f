"""Lengths and symbols, as both compiled doors read them: are they within their ranges?"""


cdef inline bint within(const Py_ssize_t *numbers, Py_ssize_t n, Py_ssize_t least,
                        Py_ssize_t most) noexcept nogil:
    """Whether all n numbers are in least..most: without a branch, as most calls are right."""
    cdef Py_ssize_t k
    cdef bint wrong = False
    for k in range(n):
        wrong |= (numbers[k] < least) | (numbers[k] > most)
    return not wrong


cdef inline bint symbols_fit(const Py_ssize_t *symbols, const Py_ssize_t *lengths, Py_ssize_t T,
                             Py_ssize_t m, Py_ssize_t n_x) noexcept nogil:
    """Whether all symbols (T, m) are in 0..n_x - 1; past an example's length anything may stand."""
    cdef Py_ssize_t t, i
    if lengths == NULL:
        return within(symbols, T * m, 0, n_x - 1)
    for t in range(T):
        for i in range(m):
            if t < lengths[i] and not 0 <= symbols[t * m + i] < n_x:
                return False
    return True
