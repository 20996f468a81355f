/* The functions of crnn.h: check the record of a call, divide its workspace, and run it. */
#include "check.h"
#include "engine.h"
#include "integers.h"

/* Set what the kernels need and the caller does not have. `biases` is memory for ba and, for a GRU,
 * baa: zeros if they are missing, or a place for gradients that are not wanted. */
static void fill_in(crnn_rnn_call *call, int backward, char *biases) {
    char *baa = biases + crnn_bytes_of_units(call);
    const int gru = call->cell == CRNN_GRU;
    if (backward) {
        call->dba = call->dba != NULL ? call->dba : biases;
        call->dbaa = call->dbaa != NULL || !gru ? call->dbaa : baa;
        return;
    }
    if (call->ba == NULL || (gru && call->baa == NULL))
        memset(biases, 0, crnn_bytes_of_biases(call));
    call->ba = call->ba != NULL ? call->ba : biases;
    call->baa = call->baa != NULL || !gru ? call->baa : baa;
}

/* Copy and check a record, align its workspace, set its threads, fill it in, and find its kernels:
 * once, because a program may select others meanwhile, whose workspace has another size. */
static int prepare(const crnn_rnn_call *given, int cell, int backward, crnn_rnn_call *call,
                   const crnn_operations **kernels) {
    int status = crnn_read_call(given, call);
    if (status != CRNN_OK)
        return status;
    *kernels = crnn_operations_for(call->dtype);
    status = crnn_check_call(call, cell, backward, *kernels);
    if (status != CRNN_OK)
        return status;
    char *workspace = call->workspace;
    const size_t off = (uintptr_t)workspace % CRNN_WORKSPACE_ALIGNMENT;
    workspace += off == 0 ? 0 : CRNN_WORKSPACE_ALIGNMENT - off;
    call->workspace = workspace + crnn_bytes_of_biases(call);
    fill_in(call, backward, workspace);
    const int most = crnn_most_threads();
    call->threads = call->threads > 0 && call->threads < most ? call->threads : most;
    if (call->lengths != NULL && crnn_within(call->lengths, call->m, call->T, call->T)) {
        call->lengths = NULL; /* the same bits as a call without lengths */
        call->offsets = NULL;
    }
    return CRNN_OK;
}

static int forward(const crnn_rnn_call *given, int cell) {
    crnn_rnn_call call;
    const crnn_operations *kernels;
    const int status = prepare(given, cell, 0, &call, &kernels);
    if (status == CRNN_OK)
        kernels->rnn_forward(&call);
    return status;
}

static int backward(const crnn_rnn_call *given, int cell) {
    crnn_rnn_call call;
    const crnn_operations *kernels;
    const int status = prepare(given, cell, 1, &call, &kernels);
    if (status == CRNN_OK)
        kernels->rnn_backward(&call);
    return status;
}

int crnn_rnn_workspace(const crnn_rnn_call *given, int backward, size_t *bytes) {
    crnn_rnn_call call;
    const int status = crnn_read_call(given, &call);
    if (status != CRNN_OK)
        return status;
    if (bytes == NULL)
        return CRNN_NULL_POINTER;
    *bytes = crnn_workspace_bytes(&call, backward, crnn_operations_for(call.dtype));
    return CRNN_OK;
}

int crnn_rnn_forward(const crnn_rnn_call *call) { return forward(call, CRNN_VANILLA); }
int crnn_rnn_backward(const crnn_rnn_call *call) { return backward(call, CRNN_VANILLA); }
int crnn_leaky_forward(const crnn_rnn_call *call) { return forward(call, CRNN_LEAKY); }
int crnn_leaky_backward(const crnn_rnn_call *call) { return backward(call, CRNN_LEAKY); }
int crnn_gru_forward(const crnn_rnn_call *call) { return forward(call, CRNN_GRU); }
int crnn_gru_backward(const crnn_rnn_call *call) { return backward(call, CRNN_GRU); }
int crnn_lstm_forward(const crnn_rnn_call *call) { return forward(call, CRNN_LSTM); }
int crnn_lstm_backward(const crnn_rnn_call *call) { return backward(call, CRNN_LSTM); }

const crnn_c_api crnn_functions = {
    .struct_size = sizeof(crnn_c_api),
    .version = CRNN_C_API_VERSION,
    .rnn_workspace = crnn_rnn_workspace,
    .rnn_forward = crnn_rnn_forward,
    .rnn_backward = crnn_rnn_backward,
    .status_message = crnn_status_message,
    .leaky_forward = crnn_leaky_forward,
    .leaky_backward = crnn_leaky_backward,
    .gru_forward = crnn_gru_forward,
    .gru_backward = crnn_gru_backward,
    .lstm_forward = crnn_lstm_forward,
    .lstm_backward = crnn_lstm_backward,
};
