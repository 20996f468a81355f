"""What `cimport crnn` has: the C interface, documented in include/crnn.h."""

from crnn._c_api cimport (
    CRNN_C_API_VERSION, CRNN_CURRENT, CRNN_FLOAT32, CRNN_FLOAT64, CRNN_GRU, CRNN_LEAK_OUT_OF_RANGE,
    CRNN_LEAKY, CRNN_LENGTH_OUT_OF_RANGE, CRNN_LSTM, CRNN_MISALIGNED, CRNN_NULL_POINTER, CRNN_OK,
    CRNN_RATE, CRNN_RELU, CRNN_SIZE_OUT_OF_RANGE, CRNN_SYMBOL_OUT_OF_RANGE, CRNN_TANH,
    CRNN_UNSUPPORTED_DTYPE, CRNN_UNSUPPORTED_OPTION, CRNN_VANILLA, CRNN_VERSION_MISMATCH,
    CRNN_WORKSPACE_TOO_SMALL, CRNN_WRONG_CELL, crnn_gru_backward, crnn_gru_forward,
    crnn_leaky_backward, crnn_leaky_forward, crnn_lstm_backward, crnn_lstm_forward,
    crnn_rnn_backward, crnn_rnn_call, crnn_rnn_forward, crnn_rnn_new, crnn_rnn_workspace,
    crnn_status_message)
