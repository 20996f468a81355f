/* Time steps of a stepper, for bench/stepper.py: `stepper MODEL STEPS` prints nanoseconds.
 *
 * "kernel" is what the step costs without crnn_stepper_step: the same record, run directly. Both
 * are medians over blocks of steps; the quantiles are of single steps, with the clock's own cost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

int main(int argc, char **argv) {
    crnn_stepper *stepper;
    const int steps = argc > 2 ? atoi(argv[2]) : 0, blocks = steps / BLOCK;
    if (blocks < 1 || crnn_stepper_create_from_file(argv[1], 1, &stepper) != CRNN_OK)
        return 1;
    const size_t n_x = (size_t)stepper->call.n_x, n_y = (size_t)stepper->call.n_y;
    void *x = calloc(n_x, sizeof(double)), *y = calloc(n_y, sizeof(double));
    double *by_step = calloc((size_t)blocks, sizeof *by_step);
    double *by_kernel = calloc((size_t)blocks, sizeof *by_kernel);
    double *single = calloc((size_t)steps, sizeof *single);
    for (int b = 0; b < blocks; b++) { /* in turns, so that both see the same machine */
        double before = now();
        for (int k = 0; k < BLOCK; k++)
            crnn_stepper_step(stepper, x, y);
        by_step[b] = (now() - before) / BLOCK;
        before = now();
        for (int k = 0; k < BLOCK; k++)
            stepper->kernels->stream_step(&stepper->call);
        by_kernel[b] = (now() - before) / BLOCK;
    }
    for (int t = 0; t < steps; t++) {
        const double before = now();
        crnn_stepper_step(stepper, x, y);
        single[t] = now() - before;
    }
    printf("%.1f %.1f", quantile(by_step, blocks, 0.5), quantile(by_kernel, blocks, 0.5));
    printf(" %.1f %.1f\n", quantile(single, steps, 0.5), quantile(single, steps, 0.999));
    crnn_stepper_destroy(stepper);
    free(x), free(y), free(by_step), free(by_kernel), free(single);
    return 0;
}
