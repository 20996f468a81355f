"""The C interface (include/crnn.h), for Cython. `cimport crnn` has all of it."""

cdef extern from "crnn.h" nogil:
    enum: CRNN_C_API_VERSION

    enum crnn_dtype:
        CRNN_FLOAT32, CRNN_FLOAT64

    enum crnn_activation:
        CRNN_TANH, CRNN_RELU

    enum crnn_cell:
        CRNN_VANILLA, CRNN_LEAKY, CRNN_GRU, CRNN_LSTM

    enum crnn_equation:
        CRNN_RATE, CRNN_CURRENT

    enum crnn_status:
        CRNN_OK
        CRNN_NULL_POINTER
        CRNN_VERSION_MISMATCH
        CRNN_UNSUPPORTED_DTYPE
        CRNN_UNSUPPORTED_OPTION
        CRNN_SIZE_OUT_OF_RANGE
        CRNN_LENGTH_OUT_OF_RANGE
        CRNN_SYMBOL_OUT_OF_RANGE
        CRNN_MISALIGNED
        CRNN_WORKSPACE_TOO_SMALL
        CRNN_WRONG_CELL
        CRNN_LEAK_OUT_OF_RANGE
        CRNN_OUT_OF_MEMORY
        CRNN_FILE_UNREADABLE
        CRNN_NOT_A_MODEL
        CRNN_UNSUPPORTED_MODEL

    ctypedef struct crnn_rnn_call:
        size_t struct_size
        int dtype, activation, reverse, threads
        Py_ssize_t T, m, n_x, n_a
        const void *x
        const Py_ssize_t *symbols
        const void *Waa
        const void *Wax
        const void *ba
        const void *a0
        const Py_ssize_t *lengths
        void *a
        const void *da
        void *dWaa
        void *dWax
        void *dba
        void *dx
        void *da0
        void *workspace
        size_t workspace_bytes
        const void *da_n
        const Py_ssize_t *offsets
        int cell, equation
        const void *baa
        const void *c0
        void *c_n
        void *kept
        const void *dc_n
        void *dbaa
        void *dc0
        const void *leak
        double noise
        unsigned long long seed
        double *norms

    crnn_rnn_call crnn_rnn_new()

    ctypedef struct crnn_c_api:
        size_t struct_size
        int version
        int (*rnn_workspace)(const crnn_rnn_call *call, int backward,
                             size_t *bytes) noexcept nogil
        int (*rnn_forward)(const crnn_rnn_call *call) noexcept nogil
        int (*rnn_backward)(const crnn_rnn_call *call) noexcept nogil
        const char *(*status_message)(int status) noexcept nogil
        int (*leaky_forward)(const crnn_rnn_call *call) noexcept nogil
        int (*leaky_backward)(const crnn_rnn_call *call) noexcept nogil
        int (*gru_forward)(const crnn_rnn_call *call) noexcept nogil
        int (*gru_backward)(const crnn_rnn_call *call) noexcept nogil
        int (*lstm_forward)(const crnn_rnn_call *call) noexcept nogil
        int (*lstm_backward)(const crnn_rnn_call *call) noexcept nogil


cdef int crnn_rnn_workspace(const crnn_rnn_call *call, int backward, size_t *bytes) noexcept nogil
cdef int crnn_rnn_forward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_rnn_backward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_leaky_forward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_leaky_backward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_gru_forward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_gru_backward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_lstm_forward(const crnn_rnn_call *call) noexcept nogil
cdef int crnn_lstm_backward(const crnn_rnn_call *call) noexcept nogil
cdef const char *crnn_status_message(int status) noexcept nogil
