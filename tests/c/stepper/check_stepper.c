/* What a stepper does after it has been created: `check_stepper MODEL` for a model of float32.
 *
 * Linked with --wrap for every function by which a step could allocate or wait: they count. */
#include "crnn_stepper.h"

#include <stdio.h>
#include <stdlib.h>

static int calls;

#define COUNTED(type, name, parameters, arguments)                                                 \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters {                                                                \
        calls++;                                                                                   \
        return __real_##name arguments;                                                            \
    }
COUNTED(void *, malloc, (size_t size), (size))
COUNTED(void *, calloc, (size_t n, size_t size), (n, size))
COUNTED(void *, realloc, (void *old, size_t size), (old, size))
COUNTED(int, pthread_mutex_lock, (void *lock), (lock))
COUNTED(int, pthread_create, (void *a, void *b, void *c, void *d), (a, b, c, d))
COUNTED(FILE *, fopen, (const char *path, const char *mode), (path, mode))

void __real_free(void *old);
void __wrap_free(void *old);
void __wrap_free(void *old) {
    calls++;
    __real_free(old);
}

#define M 2

int main(int argc, char **argv) {
    crnn_stepper *stepper, *copy;
    crnn_stepper_sizes sizes = {.struct_size = sizeof sizes};
    if (argc != 2 || crnn_stepper_create_from_file(argv[1], M, &stepper) != CRNN_OK ||
        crnn_stepper_create_from_file(argv[1], M, &copy) != CRNN_OK ||
        crnn_stepper_get_sizes(stepper, &sizes) != CRNN_OK)
        return printf("not created\n"), 1;
    const size_t n_y = (size_t)(M * sizes.n_y);
    float *x = calloc((size_t)(M * sizes.n_x), sizeof *x), *y = calloc(2 * n_y, sizeof *y);
    char *state = malloc(sizes.state_bytes);
    const ptrdiff_t symbols[M] = {0, sizes.n_x - 1};

    int failed = 0;
    const int before = calls;
    for (int t = 0; t < 100; t++) {
        failed |= crnn_stepper_step(stepper, x, y);
        failed |= crnn_stepper_step_symbols(stepper, symbols, y);
        failed |= crnn_stepper_get_state(stepper, state, sizes.state_bytes);
        failed |= crnn_stepper_set_state(copy, state, sizes.state_bytes);
        failed |= crnn_stepper_step(stepper, x, y);
        failed |= crnn_stepper_step(copy, x, y + n_y);
        failed |= memcmp(y, y + n_y, n_y * sizeof *y) != 0;
        failed |= crnn_stepper_reset_row(stepper, t % M);
        failed |= t % 10 == 0 ? crnn_stepper_reset(stepper) : 0;
    }
    printf(failed ? "wrong\n" : calls > before ? "allocates or waits\n" : "stepper: right\n");
    free(x), free(y), free(state);
    crnn_stepper_destroy(stepper);
    crnn_stepper_destroy(copy);
    return failed;
}
