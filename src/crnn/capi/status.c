#include "crnn.h"

const char *crnn_status_message(int status) {
    switch (status) {
    case CRNN_OK:
        return "no error";
    case CRNN_NULL_POINTER:
        return "an array or record that the call needs is NULL";
    case CRNN_VERSION_MISMATCH:
        return "struct_size: expected that of the record, with no field set that this version does "
               "not know";
    case CRNN_UNSUPPORTED_DTYPE:
        return "dtype: expected CRNN_FLOAT32 or CRNN_FLOAT64";
    case CRNN_UNSUPPORTED_OPTION:
        return "expected activation CRNN_TANH or, for the vanilla and the leaky cell, CRNN_RELU, "
               "equation CRNN_RATE or CRNN_CURRENT, reverse 0 or 1, threads >= 0, either x or "
               "symbols, and no dx with symbols";
    case CRNN_SIZE_OUT_OF_RANGE:
        return "expected T >= 1, m, n_x and n_a in 1..2147483647, and arrays that can be addressed";
    case CRNN_LENGTH_OUT_OF_RANGE:
        return "lengths: expected integers in 1..T; with offsets, lengths that never increase, the "
               "first of them T, and offsets that count the packed rows before each step";
    case CRNN_SYMBOL_OUT_OF_RANGE:
        return "x: expected integers in 0..n_x-1";
    case CRNN_MISALIGNED:
        return "an array is not aligned to the size of its elements";
    case CRNN_WORKSPACE_TOO_SMALL:
        return "workspace_bytes: expected at least the size that crnn_rnn_workspace gives";
    case CRNN_WRONG_CELL:
        return "cell: expected that of the function, and no field of another cell set";
    case CRNN_LEAK_OUT_OF_RANGE:
        return "expected every leak in (0, 1], and noise at least 0 and finite in its dtype";
    case CRNN_OUT_OF_MEMORY:
        return "there is not enough memory";
    case CRNN_FILE_UNREADABLE:
        return "the file cannot be opened or read";
    case CRNN_NOT_A_MODEL:
        return "not a model of crnn's, or damaged";
    case CRNN_UNSUPPORTED_MODEL:
        return "the model cannot be run step by step (it reads from right to left, pools its "
               "states "
               "or has a loss of its own), or needs a newer crnn";
    default:
        return "not a status of crnn";
    }
}
