/* Time steps of a stepper, for bench/stepper.py: `stepper MODEL STEPS` prints nanoseconds.
 *
 * "kernel" is what the step costs without crnn_stepper_step: the same record, run directly. "call"
 * is a forward call of crnn.h with T = 1, which has no output layer and reads weights of the same
 * sizes from memory of the same kind. All three are medians over blocks of steps; the quantiles are
 * of single steps, with the clock's own cost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pages.h"
#include "stepper_memory.h"

enum { BLOCK = 100 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *times, int n, double share) {
    qsort(times, (size_t)n, sizeof *times, ascending);
    return times[(int)(share * (n - 1))];
}

/* An array of n numbers, which is never freed. */
static void *filled(int dtype, ptrdiff_t n, double value) {
    const int wide = dtype == CRNN_FLOAT64;
    const size_t bytes = (size_t)n * (wide ? sizeof(double) : sizeof(float));
    void *to_free;
    void *array = crnn_allocate(bytes, &to_free);
    for (ptrdiff_t k = 0; k < n; k++)
        if (wide)
            ((double *)array)[k] = value;
        else
            ((float *)array)[k] = (float)value;
    return array;
}

/* A call for one step of a layer like the first of a stepper. Its memory is that of the process. */
static crnn_rnn_call one_step(int dtype, const crnn_stream *like) {
    const int lstm = like->cell == CRNN_LSTM, leaky = like->cell == CRNN_LEAKY;
    const ptrdiff_t rows = (lstm ? 4 : like->cell == CRNN_GRU ? 3 : 1) * like->n_a;
    crnn_rnn_call call = crnn_rnn_new();
    call.dtype = dtype, call.cell = like->cell;
    call.T = call.m = 1, call.n_x = like->n_x, call.n_a = like->n_a;
    call.x = filled(dtype, call.n_x, 0.5);
    call.Waa = filled(dtype, rows * call.n_a, 0.5 / (double)call.n_a);
    call.Wax = filled(dtype, rows * call.n_x, 0.1);
    call.ba = filled(dtype, rows, 0.1);
    call.a0 = filled(dtype, call.n_a, 0.1), call.a = filled(dtype, call.n_a, 0);
    call.leak = leaky ? filled(dtype, call.n_a, 0.5) : NULL;
    call.c0 = lstm ? filled(dtype, call.n_a, 0.1) : NULL;
    call.c_n = lstm ? filled(dtype, call.n_a, 0) : NULL;
    if (crnn_rnn_workspace(&call, 0, &call.workspace_bytes) == CRNN_OK)
        call.workspace = malloc(call.workspace_bytes);
    return call;
}

int main(int argc, char **argv) {
    crnn_stepper *stepper;
    const int steps = argc > 2 ? atoi(argv[2]) : 0, blocks = steps / BLOCK;
    if (blocks < 1 || crnn_stepper_create_from_file(argv[1], 1, &stepper) != CRNN_OK)
        return 1;
    const size_t n_x = (size_t)stepper->call.n_x, n_y = (size_t)stepper->call.n_y;
    void *x = calloc(n_x, sizeof(double)), *y = calloc(n_y, sizeof(double));
    double *by_step = calloc((size_t)blocks, sizeof *by_step);
    double *by_kernel = calloc((size_t)blocks, sizeof *by_kernel);
    double *by_call = calloc((size_t)blocks, sizeof *by_call);
    double *single = calloc((size_t)steps, sizeof *single);
    int (*const forward[])(const crnn_rnn_call *) = {crnn_rnn_forward, crnn_leaky_forward,
                                                     crnn_gru_forward, crnn_lstm_forward};
    const crnn_rnn_call call = one_step(stepper->dtype, &stepper->call);
    if (forward[call.cell](&call) != CRNN_OK)
        return 1;
    for (int b = 0; b < blocks; b++) { /* in turns, so that all see the same machine */
        double before = now();
        for (int k = 0; k < BLOCK; k++)
            crnn_stepper_step(stepper, x, y);
        by_step[b] = (now() - before) / BLOCK;
        before = now();
        for (int k = 0; k < BLOCK; k++)
            stepper->kernels->stream_step(&stepper->call);
        by_kernel[b] = (now() - before) / BLOCK;
        before = now();
        for (int k = 0; k < BLOCK; k++)
            forward[call.cell](&call);
        by_call[b] = (now() - before) / BLOCK;
    }
    for (int t = 0; t < steps; t++) {
        const double before = now();
        crnn_stepper_step(stepper, x, y);
        single[t] = now() - before;
    }
    printf("%.1f %.1f ", quantile(by_step, blocks, 0.5), quantile(by_kernel, blocks, 0.5));
    printf("%.1f", quantile(by_call, blocks, 0.5));
    printf(" %.1f %.1f\n", quantile(single, steps, 0.5), quantile(single, steps, 0.999));
    crnn_stepper_destroy(stepper);
    free(x), free(y), free(by_step), free(by_kernel), free(by_call), free(single);
    return 0;
}
