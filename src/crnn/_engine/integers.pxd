"""Range checks of lengths and symbols, shared by the entries from Python and from C."""

cdef extern from "integers.h" nogil:
    bint within "crnn_within"(const Py_ssize_t *numbers, Py_ssize_t n, Py_ssize_t least,
                              Py_ssize_t most)
    Py_ssize_t packed_rows "crnn_packed_rows"(const Py_ssize_t *lengths, Py_ssize_t m)
    bint find_lengths "crnn_find_lengths"(const Py_ssize_t *batch_sizes, Py_ssize_t T,
                                          Py_ssize_t *lengths, Py_ssize_t *last)
    void find_offsets "crnn_find_offsets"(const Py_ssize_t *lengths, Py_ssize_t m, Py_ssize_t T,
                                          Py_ssize_t *offsets)
    bint symbols_fit "crnn_symbols_fit"(const Py_ssize_t *symbols, const Py_ssize_t *lengths,
                                        Py_ssize_t T, Py_ssize_t m, Py_ssize_t n_x)
