/* A program selects other kernels, and sets the number of threads, while calls and steppers run in
 * other threads: each of them keeps the kernels that it began with, and gets the bits that one
 * thread alone gets. Meant for ThreadSanitizer. Exits with 1 if something is wrong.
 */
#include "crnn_kernels.h"
#include "crnn_stepper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 3, ROUNDS = 1000, T = 6, M = 4, N_X = 3, N_A = 20, N_Y = 2, MORE = 4096 };

static atomic_int running, wrong;

/* Two tables of the same kernels, one of which wants more workspace. A call that was checked with
 * one and run with the other could write outside. */
enum { MODEST, GREEDY };
static _Thread_local int checked; /* with which of them this thread's last workspace was */
static crnn_operations operations[2];
static const crnn_kernels tables[2] = {{"modest", &operations[MODEST], &operations[MODEST]},
                                       {"greedy", &operations[GREEDY], &operations[GREEDY]}};

static ptrdiff_t workspace(int table, const crnn_rnn_call *call, int backward) {
    checked = table;
    return crnn_kernels_portable.f32->rnn_workspace(call, backward) + table * MORE;
}
static ptrdiff_t modest_workspace(const crnn_rnn_call *call, int backward) {
    return workspace(MODEST, call, backward);
}
static ptrdiff_t greedy_workspace(const crnn_rnn_call *call, int backward) {
    return workspace(GREEDY, call, backward);
}

static void forward(int table, const crnn_rnn_call *call) {
    if (checked != table)
        atomic_store(&wrong, 1);
    crnn_kernels_portable.f32->rnn_forward(call);
}
static void modest_forward(const crnn_rnn_call *call) { forward(MODEST, call); }
static void greedy_forward(const crnn_rnn_call *call) { forward(GREEDY, call); }

static void make_tables(void) {
    operations[MODEST] = operations[GREEDY] = *crnn_kernels_portable.f32;
    operations[MODEST].rnn_workspace = modest_workspace;
    operations[MODEST].rnn_forward = modest_forward;
    operations[GREEDY].rnn_workspace = greedy_workspace;
    operations[GREEDY].rnn_forward = greedy_forward;
}

/* In place of dispatch.c. */
const crnn_kernels *crnn_find_kernels(const char *name) {
    return &tables[name != NULL && strcmp(name, "greedy") == 0];
}

static float Waa[N_A * N_A], Wax[N_A * N_X], Wya[N_Y * N_A], x[T * M * N_X];
typedef struct {
    float a[T * M * N_A], y[T * M * N_Y];
} answers;

static void fill(float *numbers, size_t n) {
    for (size_t k = 0; k < n; k++)
        numbers[k] = (float)(k * 7919 % 101) / 505 - 0.1F;
}

/* A call with a workspace of the size that it was told, which is too small if greedy kernels were
 * selected since: then once more. */
static int call(float *a) {
    crnn_rnn_call c = crnn_rnn_new();
    int status = CRNN_WORKSPACE_TOO_SMALL;
    c.dtype = CRNN_FLOAT32;
    c.T = T, c.m = M, c.n_x = N_X, c.n_a = N_A;
    c.x = x, c.Waa = Waa, c.Wax = Wax, c.a = a;
    while (status == CRNN_WORKSPACE_TOO_SMALL) {
        crnn_rnn_workspace(&c, 0, &c.workspace_bytes);
        c.workspace = malloc(c.workspace_bytes);
        status = crnn_rnn_forward(&c);
        free(c.workspace);
    }
    return status;
}

static int step(float *y) {
    const void *const of_a = Waa, *const of_x = Wax;
    crnn_stepper_weights w = crnn_stepper_weights_new();
    crnn_stepper *stepper;
    w.dtype = CRNN_FLOAT32;
    w.n_x = N_X, w.n_a = N_A, w.n_y = N_Y;
    w.Waa = &of_a, w.Wax = &of_x, w.Wya = Wya;
    int status = crnn_stepper_create(&w, M, &stepper);
    for (int t = 0; t < T && status == CRNN_OK; t++)
        status = crnn_stepper_step(stepper, x + t * M * N_X, y + t * M * N_Y);
    crnn_stepper_destroy(stepper);
    return status;
}

static int answer(answers *found) {
    memset(found, 0, sizeof *found);
    return call(found->a) == CRNN_OK && step(found->y) == CRNN_OK;
}

static void *caller(void *expected) {
    answers found;
    for (int round = 0; round < ROUNDS; round++)
        if (!answer(&found) || memcmp(&found, expected, sizeof found) != 0)
            atomic_store(&wrong, 1);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Change the settings until the callers are done. */
static void change(void) {
    static const char *const names[] = {"greedy", "modest", NULL};
    for (int k = 0; atomic_load(&running) > 0; k++) {
        const char *name = names[k % 3];
        if (crnn_select_kernels(name) != CRNN_OK || crnn_set_num_threads(1 + k % 3) != CRNN_OK ||
            strcmp(crnn_kernels_name(), name == NULL ? "modest" : name) != 0)
            atomic_store(&wrong, 1);
    }
}

int main(void) {
    pthread_t threads[CALLERS];
    answers expected;
    make_tables();
    fill(Waa, N_A * N_A), fill(Wax, N_A * N_X), fill(Wya, N_Y * N_A), fill(x, T * M * N_X);
    if (!answer(&expected))
        return printf("not run\n"), 1;
    atomic_store(&running, CALLERS);
    for (int k = 0; k < CALLERS; k++)
        pthread_create(&threads[k], NULL, caller, &expected);
    change();
    for (int k = 0; k < CALLERS; k++)
        pthread_join(threads[k], NULL);
    printf(atomic_load(&wrong) ? "settings: wrong\n" : "settings: right\n");
    return atomic_load(&wrong);
}
