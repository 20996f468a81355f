/* When a loop of single steps wakes a worker, by a clock of its own: each reading is a microsecond
 * later than the one before. Linked with --wrap=clock_gettime and --wrap=pthread_create. */
#define _POSIX_C_SOURCE 200809L
#include "crnn.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_A = 1400 }; /* large enough for two threads, too small to wake one for a single step */

static _Atomic long long microseconds = 1000000;
static int workers;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
    const long long at = microseconds++;
    (void)clock;
    now->tv_sec = at / 1000000, now->tv_nsec = at % 1000000 * 1000;
    return 0;
}

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument) {
    workers++;
    return __real_pthread_create(thread, attributes, start, argument);
}

static float *zeros(size_t n) { return calloc(n, sizeof(float)); }

/* The workers after some more calls, which come so many microseconds after one another. */
static int workers_after(const crnn_rnn_call *call, int calls, int pause) {
    for (int k = 0; k < calls; k++) {
        microseconds += pause;
        if (crnn_rnn_forward(call) != CRNN_OK)
            return -1;
    }
    return workers;
}

int main(void) {
    crnn_rnn_call call = crnn_rnn_new();
    call.dtype = CRNN_FLOAT32;
    call.T = call.m = call.n_x = 1, call.n_a = N_A;
    call.x = zeros(1), call.Waa = zeros((size_t)N_A * N_A), call.Wax = zeros(N_A);
    call.a0 = zeros(N_A), call.a = zeros(N_A);
    if (crnn_set_num_threads(2) != CRNN_OK ||
        crnn_rnn_workspace(&call, 0, &call.workspace_bytes) != CRNN_OK)
        return 1;
    call.workspace = malloc(call.workspace_bytes);
    const int alone = workers_after(&call, 1, 0);
    const int slow = workers_after(&call, 20, 1000);
    const int loop = workers_after(&call, 20, 0);
    printf("workers: %d %d %d\n", alone, slow, loop);
    return 0;
}
