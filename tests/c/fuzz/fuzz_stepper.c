/* Files of models for crnn_stepper_create_from_memory, by clang's libFuzzer: one that is not
 * refused makes a stepper, which takes two steps. Compile with -fsanitize=fuzzer,address,undefined.
 */
#include "crnn_stepper.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Read the header where no byte follows it: with the data behind it, a step too far is not seen. */
static void read_header_alone(const uint8_t *bytes, size_t size) {
    crnn_stepper *stepper;
    uint64_t length = 0;
    for (int k = 7; size >= 8 && k >= 0; k--)
        length = length << 8 | bytes[k];
    if (size < 8 || length >= size - 8)
        return;
    uint8_t *alone = malloc(8 + (size_t)length);
    memcpy(alone, bytes, 8 + (size_t)length);
    crnn_stepper_create_from_memory(alone, 8 + (size_t)length, 2, &stepper);
    crnn_stepper_destroy(stepper);
    free(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    crnn_stepper *stepper;
    crnn_stepper_sizes sizes = {.struct_size = sizeof sizes};
    read_header_alone(bytes, size);
    if (crnn_stepper_create_from_memory(bytes, size, 2, &stepper) != CRNN_OK) {
        if (stepper != NULL)
            abort();
        return 0;
    }
    if (crnn_stepper_get_sizes(stepper, &sizes) != CRNN_OK || sizes.m != 2)
        abort();
    const size_t number = sizes.dtype == CRNN_FLOAT64 ? sizeof(double) : sizeof(float);
    void *x = calloc((size_t)(2 * sizes.n_x), number),
         *y = malloc((size_t)(2 * sizes.n_y) * number);
    const ptrdiff_t symbols[2] = {0, sizes.n_x - 1};
    if (crnn_stepper_step(stepper, x, y) != CRNN_OK ||
        crnn_stepper_step_symbols(stepper, symbols, y) != CRNN_OK)
        abort();
    free(x);
    free(y);
    crnn_stepper_destroy(stepper);
    return 0;
}
