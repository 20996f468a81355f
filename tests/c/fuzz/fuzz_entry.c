/* Texts of the entry "crnn" of a model's file for crnn_read_config, by clang's libFuzzer: the block
 * ends where the text does. Compile with -fsanitize=fuzzer,address,undefined. */
#include "crnn_stepper.h"
#include "model_config.h"

#include <stdint.h>
#include <stdlib.h>

/* A list or a number that was found lies within the text. */
static int within(const char *found, const char *text, const char *end) {
    return found == NULL || (found >= text && found < end);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *text = (const char *)bytes, *end = text + size;
    model_config config;
    const int status = crnn_read_config(text, size, &config);
    if (status != CRNN_OK && status != CRNN_NOT_A_MODEL && status != CRNN_UNSUPPORTED_MODEL)
        abort();
    if (status == CRNN_OK &&
        (config.n_x < 1 || config.n_a < 1 || config.n_y < 1 || config.num_layers < 1 ||
         config.end != end || !within(config.leak, text, end) || !within(config.masks, text, end) ||
         !within(config.signs, text, end)))
        abort();
    return 0;
}
