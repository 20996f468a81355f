#include "check.h"

#include <float.h>
#include <stdint.h>

#include "engine.h"
#include "integers.h"
#include "shared.h"

_Static_assert(offsetof(crnn_rnn_call, struct_size) == 0 &&
                   offsetof(crnn_stepper_weights, struct_size) == 0,
               "crnn_read_record reads struct_size from the beginning of a record");

int crnn_read_record(const void *given, size_t first, void *record, size_t size) {
    const char *bytes = given;
    size_t struct_size;
    if (given == NULL)
        return CRNN_NULL_POINTER;
    memcpy(&struct_size, given, sizeof struct_size);
    if (struct_size < first || struct_size > CRNN_MOST_RECORD)
        return CRNN_VERSION_MISMATCH;
    const size_t known = struct_size < size ? struct_size : size;
    for (size_t k = known; k < struct_size; k++)
        if (bytes[k] != 0)
            return CRNN_VERSION_MISMATCH;
    memcpy(record, given, known);
    memset((char *)record + known, 0, size - known);
    memcpy(record, &size, sizeof size);
    return CRNN_OK;
}

static int check_sizes(const crnn_rnn_call *call) {
    const double T = (double)call->T, m = (double)call->m;
    const double n_x = (double)call->n_x, n_a = (double)call->n_a;
    if (crnn_number_size(call->dtype) == 0)
        return CRNN_UNSUPPORTED_DTYPE;
    if (call->cell < CRNN_VANILLA || call->cell > CRNN_LSTM)
        return CRNN_WRONG_CELL;
    if (T < 1 || m < 1 || m > CRNN_LARGEST_SIZE || n_x < 1 || n_x > CRNN_LARGEST_SIZE || n_a < 1 ||
        n_a > CRNN_LARGEST_SIZE)
        return CRNN_SIZE_OUT_OF_RANGE;
    /* An upper bound for any array and for the workspace. A double cannot overflow here, and its
     * rounding error is far less than the factor of 2 below. */
    double numbers =
        (T * m + 3 * m + 2048) * (2 * n_x + 3 * n_a + 8) + 3 * (n_a + 64) * (n_x + n_a + 128);
    if (call->cell != CRNN_VANILLA)
        numbers *= 8; /* weights and z have up to 4 numbers for each unit, and 5 more are kept */
    if (2 * numbers * (double)crnn_number_size(call->dtype) > (double)(SIZE_MAX / 2))
        return CRNN_SIZE_OUT_OF_RANGE;
    return CRNN_OK;
}

int crnn_read_call(const crnn_rnn_call *given, crnn_rnn_call *call) {
    /* The record of version 0.1.0 ended before da_n. */
    const int status = crnn_read_record(given, offsetof(crnn_rnn_call, da_n), call, sizeof *call);
    return status == CRNN_OK ? check_sizes(call) : status;
}

size_t crnn_bytes_of_units(const crnn_rnn_call *call) {
    return (size_t)crnn_cell_of(call->cell).gates * (size_t)call->n_a *
           crnn_number_size(call->dtype);
}

size_t crnn_bytes_of_biases(const crnn_rnn_call *call) {
    const size_t baa = call->cell == CRNN_GRU ? (size_t)call->n_a : 0;
    const size_t bytes = crnn_bytes_of_units(call) + baa * crnn_number_size(call->dtype);
    return (bytes + CRNN_WORKSPACE_ALIGNMENT - 1) / CRNN_WORKSPACE_ALIGNMENT *
           CRNN_WORKSPACE_ALIGNMENT;
}

/* The kernels' part is as large as any call of this cell and these sizes needs: one with lengths
 * and symbols and, for the leaky cell, the equation "current". */
static size_t kernels_bytes(const crnn_rnn_call *call, int backward,
                            const crnn_operations *kernels) {
    crnn_rnn_call sizes;
    memset(&sizes, 0, sizeof sizes);
    sizes.T = call->T, sizes.m = call->m, sizes.n_x = call->n_x, sizes.n_a = call->n_a;
    sizes.cell = call->cell;
    sizes.equation = call->cell == CRNN_LEAKY ? CRNN_CURRENT : CRNN_RATE;
    sizes.lengths = &sizes.T; /* only compared with NULL, never read */
    return crnn_number_size(call->dtype) * (size_t)kernels->rnn_workspace(&sizes, backward);
}

size_t crnn_workspace_bytes(const crnn_rnn_call *call, int backward,
                            const crnn_operations *kernels) {
    return crnn_bytes_of_biases(call) + kernels_bytes(call, backward, kernels) +
           CRNN_WORKSPACE_ALIGNMENT - 1;
}

/* Check that the call is of this cell, and that no field of another cell is set. */
static int check_cell(const crnn_rnn_call *call, int cell) {
    const int of_gru = call->baa != NULL || call->dbaa != NULL;
    const int of_lstm =
        call->c0 != NULL || call->c_n != NULL || call->dc_n != NULL || call->dc0 != NULL;
    const int of_leaky =
        call->leak != NULL || call->noise != 0 || call->seed != 0 || call->equation != CRNN_RATE;
    if (call->cell != cell || (cell == CRNN_VANILLA && call->kept != NULL) ||
        (cell != CRNN_GRU && of_gru) || (cell != CRNN_LSTM && of_lstm) ||
        (cell != CRNN_LEAKY && of_leaky))
        return CRNN_WRONG_CELL;
    return CRNN_OK;
}

/* Check the activation, the equation, the direction and the number of threads. */
static int check_options(const crnn_rnn_call *call) {
    const int relu = call->cell == CRNN_VANILLA || call->cell == CRNN_LEAKY;
    if ((call->activation != CRNN_TANH && !(relu && call->activation == CRNN_RELU)) ||
        (call->equation != CRNN_RATE && call->equation != CRNN_CURRENT) ||
        (call->reverse != 0 && call->reverse != 1) || call->threads < 0)
        return CRNN_UNSUPPORTED_OPTION;
    return CRNN_OK;
}

/* All bits that are set in any of the addresses. */
static uintptr_t bits_of(const void *const *addresses, size_t n) {
    uintptr_t bits = 0;
    for (size_t k = 0; k < n; k++)
        bits |= (uintptr_t)addresses[k];
    return bits;
}
#define BITS_OF(...)                                                                               \
    bits_of((const void *const[]){__VA_ARGS__},                                                    \
            sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *))

static int check_arrays_of_backward(const crnn_rnn_call *call) {
    if ((call->da == NULL && call->da_n == NULL && call->dc_n == NULL) || call->dWaa == NULL ||
        call->dWax == NULL || (call->cell != CRNN_VANILLA && call->kept == NULL))
        return CRNN_NULL_POINTER;
    if (call->symbols != NULL && call->dx != NULL)
        return CRNN_UNSUPPORTED_OPTION;
    const uintptr_t numbers = BITS_OF(call->da, call->da_n, call->dc_n, call->dWaa, call->dWax,
                                      call->dba, call->dx, call->da0, call->dbaa, call->dc0);
    if (numbers % crnn_number_size(call->dtype) || (uintptr_t)call->norms % sizeof(ptrdiff_t))
        return CRNN_MISALIGNED; /* a double is as long as a ptrdiff_t or longer */
    return CRNN_OK;
}

/* Check which arrays are given, and their alignment. */
static int check_arrays(const crnn_rnn_call *call, int backward) {
    if ((call->x == NULL && call->symbols == NULL) || call->Waa == NULL || call->Wax == NULL ||
        call->a == NULL || call->workspace == NULL ||
        (call->cell == CRNN_LEAKY && call->leak == NULL))
        return CRNN_NULL_POINTER;
    if (call->x != NULL && call->symbols != NULL)
        return CRNN_UNSUPPORTED_OPTION;
    const int status = backward ? check_arrays_of_backward(call) : CRNN_OK;
    if (status != CRNN_OK)
        return status;
    const uintptr_t numbers =
        BITS_OF(call->x, call->Waa, call->Wax, call->a0, call->c0, call->leak, call->a, call->kept);
    const uintptr_t of_forward = backward ? 0 : BITS_OF(call->ba, call->baa, call->c_n);
    const uintptr_t integers = BITS_OF(call->symbols, call->lengths, call->offsets);
    if ((numbers | of_forward) % crnn_number_size(call->dtype) || integers % sizeof(ptrdiff_t))
        return CRNN_MISALIGNED;
    return CRNN_OK;
}

/* Branch-free, because nearly all leaks are right: compilers make vectors of these loops. */
static int leaks_fit32(ptrdiff_t n, const float *leak) {
    int wrong = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        wrong |= !((leak[j] > 0) & (leak[j] <= 1));
    return !wrong;
}
static int leaks_fit64(ptrdiff_t n, const double *leak) {
    int wrong = 0;
    for (ptrdiff_t j = 0; j < n; j++)
        wrong |= !((leak[j] > 0) & (leak[j] <= 1));
    return !wrong;
}

int crnn_check_leaks(int dtype, ptrdiff_t n, const void *leak) {
    const int fit = dtype == CRNN_FLOAT32 ? leaks_fit32(n, leak) : leaks_fit64(n, leak);
    return fit ? CRNN_OK : CRNN_LEAK_OUT_OF_RANGE;
}

/* Check the leak of every unit, and the noise. */
static int check_leaky(const crnn_rnn_call *call) {
    const double most = call->dtype == CRNN_FLOAT32 ? FLT_MAX : DBL_MAX;
    if (call->cell != CRNN_LEAKY)
        return CRNN_OK;
    if (!(call->noise >= 0 && call->noise <= most))
        return CRNN_LEAK_OUT_OF_RANGE;
    return crnn_check_leaks(call->dtype, call->n_a, call->leak);
}

/* Whether the lengths never increase from T, and the offsets are those of their packed rows. */
static int offsets_fit(const crnn_rnn_call *call) {
    return call->lengths != NULL && call->lengths[0] == call->T &&
           crnn_packed_rows(call->lengths, call->m) >= 0 &&
           crnn_offsets_fit(call->lengths, call->m, call->T, call->offsets);
}

/* Check the lengths, the offsets, and every symbol within its example's length. */
static int check_integers(const crnn_rnn_call *call) {
    if (call->offsets != NULL) {
        if (!offsets_fit(call))
            return CRNN_LENGTH_OUT_OF_RANGE;
        const ptrdiff_t rows = crnn_packed_rows(call->lengths, call->m);
        if (call->symbols != NULL && !crnn_within(call->symbols, rows, 0, call->n_x - 1))
            return CRNN_SYMBOL_OUT_OF_RANGE;
        return CRNN_OK;
    }
    if (call->lengths != NULL && !crnn_within(call->lengths, call->m, 1, call->T))
        return CRNN_LENGTH_OUT_OF_RANGE;
    if (call->symbols != NULL &&
        !crnn_symbols_fit(call->symbols, call->lengths, call->T, call->m, call->n_x))
        return CRNN_SYMBOL_OUT_OF_RANGE;
    return CRNN_OK;
}

int crnn_check_call(const crnn_rnn_call *call, int cell, int backward,
                    const crnn_operations *kernels) {
    int status = check_cell(call, cell);
    if (status == CRNN_OK)
        status = check_options(call);
    if (status == CRNN_OK)
        status = check_arrays(call, backward);
    if (status == CRNN_OK)
        status = check_leaky(call);
    if (status == CRNN_OK && call->workspace_bytes < crnn_workspace_bytes(call, backward, kernels))
        status = CRNN_WORKSPACE_TOO_SMALL;
    return status == CRNN_OK ? check_integers(call) : status;
}
