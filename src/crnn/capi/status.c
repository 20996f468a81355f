#include "crnn.h"

/* Each message names the fields and arguments that the status can be about. */
const char *crnn_status_message(int status) {
    switch (status) {
    case CRNN_OK:
        return "no error";
    case CRNN_NULL_POINTER:
        return "NULL, but needed: the record, x or symbols, Waa, Wax, a, workspace, leak (leaky); "
               "for backward dWaa, dWax, one of da, da_n and dc_n, and kept (all but vanilla); "
               "for a size bytes; for a stepper Waa, Wax, Wya, leak (leaky), or an argument";
    case CRNN_VERSION_MISMATCH:
        return "struct_size: expected that of the record, with no field set that this version does "
               "not know";
    case CRNN_UNSUPPORTED_DTYPE:
        return "dtype: expected CRNN_FLOAT32 or CRNN_FLOAT64";
    case CRNN_UNSUPPORTED_OPTION:
        return "expected activation CRNN_TANH or, for the vanilla and the leaky cell, CRNN_RELU, "
               "equation CRNN_RATE or CRNN_CURRENT, reverse 0 or 1, threads at least 0 (or 1 for a "
               "setting), either x or symbols, no dx with symbols, link CRNN_LINEAR, CRNN_SOFTMAX, "
               "CRNN_SIGMOID or, with an even n_y, CRNN_DEVIATION, and kernels that this CPU has";
    case CRNN_SIZE_OUT_OF_RANGE:
        return "expected T >= 1, m, n_x, n_a and n_y in 1..2147483647, num_layers in 1..10000, "
               "arrays that can be addressed, row in 0..m-1, and bytes equal to state_bytes";
    case CRNN_LENGTH_OUT_OF_RANGE:
        return "lengths: expected integers in 1..T; with offsets, lengths that never increase, the "
               "first of them T, and offsets that count the packed rows before each step";
    case CRNN_SYMBOL_OUT_OF_RANGE:
        return "symbols: expected integers in 0..n_x-1";
    case CRNN_MISALIGNED:
        return "not at a multiple of its numbers' size: x, symbols, Waa, Wax, ba, baa, a0, c0, "
               "lengths, offsets, leak, a, kept; for forward c_n; for backward da, da_n, dc_n, "
               "dWaa, dWax, dba, dbaa, dx, da0, dc0 or norms; for a stepper Wya, by or y";
    case CRNN_WORKSPACE_TOO_SMALL:
        return "workspace_bytes: expected at least the size that crnn_rnn_workspace gives";
    case CRNN_WRONG_CELL:
        return "cell: expected that of the function, and no field that only another has: kept (all "
               "but vanilla), baa, dbaa (GRU), c0, c_n, dc_n, dc0 (LSTM), leak, noise, seed, "
               "equation (leaky)";
    case CRNN_LEAK_OUT_OF_RANGE:
        return "leak, noise: expected every leak in (0, 1], and noise at least 0 and finite in its "
               "dtype";
    case CRNN_OUT_OF_MEMORY:
        return "there is not enough memory";
    case CRNN_FILE_UNREADABLE:
        return "the file cannot be opened or read, or is not a regular file";
    case CRNN_NOT_A_MODEL:
        return "not a model of crnn's, or damaged";
    case CRNN_UNSUPPORTED_MODEL:
        return "the model cannot be run step by step (it reads from right to left, pools its "
               "states or has a loss of its own), or needs a newer crnn";
    default:
        return "not a status of crnn";
    }
}
