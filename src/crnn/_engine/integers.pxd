"""Range checks of lengths and symbols, shared by the entry points from Python and from C."""

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef inline bint within(const Py_ssize_t *numbers, Py_ssize_t n, Py_ssize_t least,
                        Py_ssize_t most) noexcept nogil:
    """Whether all n numbers are in least..most. Branch-free, because they almost always are."""
    cdef Py_ssize_t k
    cdef bint wrong = False
    for k in range(n):
        wrong |= (numbers[k] < least) | (numbers[k] > most)
    return not wrong


cdef inline Py_ssize_t packed_rows(const Py_ssize_t *lengths, Py_ssize_t m) noexcept nogil:
    """The number of rows of packed arrays, or -1 unless lengths are >= 1 and never increase.

    A sum that overflows also gives -1: wrapped around, it could equal the rows of a small array.
    """
    cdef Py_ssize_t i, rows = 0
    for i in range(m):
        if (lengths[i] < 1 or i > 0 and lengths[i] > lengths[i - 1]
                or lengths[i] > PY_SSIZE_T_MAX - rows):
            return -1
        rows += lengths[i]
    return rows


cdef inline bint find_lengths(const Py_ssize_t *batch_sizes, Py_ssize_t T, Py_ssize_t *lengths,
                              Py_ssize_t *last) noexcept nogil:
    """Find lengths (m,) and each example's last packed row, last (m,), from batch sizes (T,).

    False if the batch sizes, the numbers of examples at each step, are not positive or rise.
    """
    cdef Py_ssize_t t, i, row = 0, running
    for t in range(T):
        running = batch_sizes[t + 1] if t + 1 < T else 0
        if batch_sizes[t] < 1 or not 0 <= running <= batch_sizes[t]:
            return False
        for i in range(running, batch_sizes[t]):  # their last step is t
            lengths[i], last[i] = t + 1, row + i
        row += batch_sizes[t]
    return True


cdef inline Py_ssize_t still_running(const Py_ssize_t *lengths, Py_ssize_t running,
                                     Py_ssize_t t) noexcept nogil:
    """How many of the first `running` lengths, which never increase, are longer than t."""
    while running > 0 and lengths[running - 1] <= t:
        running -= 1
    return running


cdef inline void find_offsets(const Py_ssize_t *lengths, Py_ssize_t m, Py_ssize_t T,
                              Py_ssize_t *offsets) noexcept nogil:
    """offsets (T,): the packed rows before step t, for lengths that never increase."""
    cdef Py_ssize_t t, row = 0, running = m
    for t in range(T):
        running = still_running(lengths, running, t)
        offsets[t] = row
        row += running


cdef inline bint offsets_fit(const Py_ssize_t *lengths, Py_ssize_t m, Py_ssize_t T,
                             const Py_ssize_t *offsets) noexcept nogil:
    """Whether these are the offsets that `find_offsets` finds."""
    cdef Py_ssize_t t, row = 0, running = m
    for t in range(T):
        running = still_running(lengths, running, t)
        if offsets[t] != row:
            return False
        row += running
    return True


cdef inline bint symbols_fit(const Py_ssize_t *symbols, const Py_ssize_t *lengths, Py_ssize_t T,
                             Py_ssize_t m, Py_ssize_t n_x) noexcept nogil:
    """Whether all symbols (T, m) within the lengths are in 0..n_x - 1; others are ignored."""
    cdef Py_ssize_t t, i
    if lengths == NULL:
        return within(symbols, T * m, 0, n_x - 1)
    for t in range(T):
        for i in range(m):
            if t < lengths[i] and not 0 <= symbols[t * m + i] < n_x:
                return False
    return True
