/* A model's states and packed weights, and its steps (crnn_stepper.h). */
#include "crnn_stepper.h"

#include <stdint.h>

#include "integers.h"
#include "stepper_memory.h"

/* Whether an array of the stepper's numbers may not begin at this address. */
static int misaligned(const crnn_stepper *stepper, const void *array) {
    return (uintptr_t)array % stepper->number != 0;
}

static int step(crnn_stepper *stepper, const void *x, const ptrdiff_t *symbols, void *y) {
    if (misaligned(stepper, x) || misaligned(stepper, y))
        return CRNN_MISALIGNED;
    stepper->call.x = x;
    stepper->call.symbols = symbols;
    stepper->call.y = y;
    stepper->kernels->stream_step(&stepper->call);
    return CRNN_OK;
}

int crnn_stepper_step(crnn_stepper *stepper, const void *x, void *y) {
    if (stepper == NULL || x == NULL || y == NULL)
        return CRNN_NULL_POINTER;
    return step(stepper, x, NULL, y);
}

int crnn_stepper_step_symbols(crnn_stepper *stepper, const ptrdiff_t *symbols, void *y) {
    if (stepper == NULL || symbols == NULL || y == NULL)
        return CRNN_NULL_POINTER;
    if ((uintptr_t)symbols % sizeof *symbols != 0)
        return CRNN_MISALIGNED;
    if (!crnn_within(symbols, stepper->call.m, 0, stepper->call.n_x - 1))
        return CRNN_SYMBOL_OUT_OF_RANGE;
    return step(stepper, NULL, symbols, y);
}

int crnn_stepper_get_state(const crnn_stepper *stepper, void *state, size_t bytes) {
    if (stepper == NULL || state == NULL)
        return CRNN_NULL_POINTER;
    if (bytes != stepper->state_bytes)
        return CRNN_SIZE_OUT_OF_RANGE;
    memcpy(state, stepper->call.a, bytes);
    return CRNN_OK;
}

int crnn_stepper_set_state(crnn_stepper *stepper, const void *state, size_t bytes) {
    if (stepper == NULL || state == NULL)
        return CRNN_NULL_POINTER;
    if (bytes != stepper->state_bytes)
        return CRNN_SIZE_OUT_OF_RANGE;
    memcpy(stepper->call.a, state, bytes);
    return CRNN_OK;
}

int crnn_stepper_reset(crnn_stepper *stepper) {
    if (stepper == NULL)
        return CRNN_NULL_POINTER;
    memcpy(stepper->call.a, stepper->initial, stepper->state_bytes);
    return CRNN_OK;
}

int crnn_stepper_reset_row(crnn_stepper *stepper, ptrdiff_t row) {
    if (stepper == NULL)
        return CRNN_NULL_POINTER;
    const ptrdiff_t m = stepper->call.m;
    if (row < 0 || row >= m)
        return CRNN_SIZE_OUT_OF_RANGE;
    const size_t bytes = (size_t)stepper->call.n_a * stepper->number;
    /* (states num_layers, m, n_a) */
    for (size_t at = (size_t)row * bytes; at < stepper->state_bytes; at += (size_t)m * bytes)
        memcpy((char *)stepper->call.a + at, (const char *)stepper->initial + at, bytes);
    return CRNN_OK;
}

int crnn_stepper_get_sizes(const crnn_stepper *stepper, crnn_stepper_sizes *sizes) {
    if (stepper == NULL || sizes == NULL)
        return CRNN_NULL_POINTER;
    const size_t given = sizes->struct_size;
    if (given < sizeof *sizes || given > CRNN_MOST_RECORD) /* the first version had all fields */
        return CRNN_VERSION_MISMATCH;
    const crnn_stream *call = &stepper->call;
    const crnn_stepper_sizes all = {.struct_size = given,
                                    .dtype = stepper->dtype,
                                    .cell = call->cell,
                                    .link = call->link,
                                    .m = call->m,
                                    .n_x = call->n_x,
                                    .n_a = call->n_a,
                                    .n_y = call->n_y,
                                    .num_layers = call->num_layers,
                                    .state_bytes = stepper->state_bytes};
    memset(sizes, 0, given); /* fields of a later version are 0 */
    memcpy(sizes, &all, sizeof all);
    return CRNN_OK;
}

int crnn_stepper_version(void) { return CRNN_STEPPER_VERSION; }
