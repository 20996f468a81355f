"""What `cimport crnn` has: the C interface, documented in include/crnn.h."""

from crnn._c_api cimport (CRNN_C_API_VERSION, CRNN_FLOAT32, CRNN_FLOAT64,
                          CRNN_LENGTH_OUT_OF_RANGE, CRNN_MISALIGNED, CRNN_NULL_POINTER, CRNN_OK,
                          CRNN_RELU, CRNN_SIZE_OUT_OF_RANGE, CRNN_SYMBOL_OUT_OF_RANGE, CRNN_TANH,
                          CRNN_UNSUPPORTED_DTYPE, CRNN_UNSUPPORTED_OPTION, CRNN_VERSION_MISMATCH,
                          CRNN_WORKSPACE_TOO_SMALL, crnn_rnn_backward, crnn_rnn_call,
                          crnn_rnn_forward, crnn_rnn_new, crnn_rnn_workspace, crnn_status_message)
