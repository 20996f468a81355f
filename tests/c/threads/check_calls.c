/* Several threads at once, with what they may share: weights that were packed once, for calls of
 * every cell that divide their work among the pool, and for streams. Each thread has states and
 * results of its own, and gets the bits that one thread alone gets. Meant for ThreadSanitizer.
 * Exits with 1 if something is wrong.
 */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include "crnn_kernels.h"
#include "shared.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 3, T = 12, M = 16, N_X = 5, N_A = 96, N_Y = 3, STEPS = 40, ROWS = 2 };

static const crnn_operations *kernels;

static float *numbers(ptrdiff_t n) {
    void *room;
    return posix_memalign(&room, 64, (size_t)n * sizeof(float)) == 0 ? room : NULL;
}

static float *filled(ptrdiff_t n, float scale) {
    static unsigned seed = 1;
    float *a = numbers(n);
    for (ptrdiff_t k = 0; k < n; k++) {
        seed = seed * 1664525u + 1013904223u;
        a[k] = scale * ((float)(seed >> 8) / (1 << 23) - 1);
    }
    return a;
}

/* What all threads read. */
typedef struct {
    int cell;
    float *x, *Waa, *Wax, *ba, *baa, *leak, *da, *Wya; /* gate-major, as a call takes them */
    float *packed;                                     /* by rnn_pack */
    float *of_stream, *biases;                         /* by pack */
} shared;

/* What a thread writes. Every result is in one array. */
typedef struct {
    const shared *given;
    float *results;
    int threads;
} caller;

static ptrdiff_t gates(int cell) { return crnn_cell_of(cell).gates; }

static ptrdiff_t kept(int cell) { return crnn_cell_of(cell).kept * T * M * N_A; }

/* The numbers of a caller's results: a, c_n, kept, dWaa, dWax, dba, dbaa, da0, dc0, dx, then the
 * states and y of its stream. */
static ptrdiff_t size(int cell) {
    const ptrdiff_t weights = gates(cell) * N_A * (N_A + N_X + 1) + N_A;
    return T * M * (N_A + N_X) + 3 * M * N_A + kept(cell) + weights + ROWS * (2 * N_A + N_Y);
}

static crnn_rnn_call call_of(const caller *c) {
    const shared *s = c->given;
    crnn_rnn_call call = crnn_rnn_new();
    call.cell = s->cell;
    call.T = T;
    call.m = M;
    call.n_x = N_X;
    call.n_a = N_A;
    call.threads = c->threads;
    call.x = s->x;
    call.Waa = s->Waa;
    call.Wax = s->Wax;
    call.ba = s->ba;
    call.baa = s->cell == CRNN_GRU ? s->baa : NULL;
    call.leak = s->cell == CRNN_LEAKY ? s->leak : NULL;
    call.noise = s->cell == CRNN_LEAKY ? 0.1 : 0;
    call.da = s->da;
    float *next = c->results;
    call.a = next;
    call.c_n = s->cell == CRNN_LSTM ? next + T * M * N_A : NULL;
    next += (T + 1) * M * N_A;
    call.kept = kept(s->cell) > 0 ? next : NULL;
    next += kept(s->cell);
    call.dWaa = next;
    next += gates(s->cell) * N_A * N_A;
    call.dWax = next;
    next += gates(s->cell) * N_A * N_X;
    call.dba = next;
    next += gates(s->cell) * N_A;
    call.dbaa = s->cell == CRNN_GRU ? next : NULL;
    next += N_A;
    call.da0 = next;
    next += M * N_A;
    call.dc0 = s->cell == CRNN_LSTM ? next : NULL;
    next += M * N_A;
    call.dx = next;
    return call;
}

/* Forward with the packed weights, and backward. */
static void run_sequence(const caller *c) {
    crnn_rnn_call call = call_of(c);
    for (int backward = 0; backward < 2; backward++) {
        float *room = numbers(kernels->rnn_workspace(&call, backward));
        call.workspace = room;
        if (backward)
            kernels->rnn_backward(&call);
        else
            kernels->rnn_forward_packed(&call, c->given->packed);
        free(room);
    }
}

/* A stream of this thread's own. */
static void run_stream(const caller *c) {
    const shared *s = c->given;
    float *a = c->results + size(s->cell) - ROWS * (2 * N_A + N_Y);
    float *z = numbers(ROWS * (crnn_cell_of(s->cell).groups + 1) * N_A);
    for (int t = 0; t < STEPS; t++) {
        const crnn_stream step = {.m = ROWS,
                                  .n_x = N_X,
                                  .n_a = N_A,
                                  .n_y = N_Y,
                                  .num_layers = 1,
                                  .cell = s->cell,
                                  .link = CRNN_SOFTMAX,
                                  .packed = s->of_stream,
                                  .biases = s->biases,
                                  .leak = s->leak,
                                  .x = s->x + t % T * M * N_X,
                                  .a = a,
                                  .z = z,
                                  .y = a + 2 * ROWS * N_A};
        kernels->stream_step(&step);
    }
    free(z);
}

static void *run(void *given) {
    const caller *c = given;
    for (int round = 0; round < 3; round++) {
        memset(c->results, 0, (size_t)size(c->given->cell) * sizeof(float));
        run_sequence(c);
        run_stream(c);
    }
    return NULL;
}

/* Weights for calls and streams of a cell. */
static shared make(int cell) {
    const ptrdiff_t n = gates(cell) * N_A;
    shared s = {.cell = cell,
                .x = filled(T * M * N_X, 1),
                .Waa = filled(n * N_A, 0.1F),
                .Wax = filled(n * N_X, 0.3F),
                .ba = filled(n, 0.1F),
                .baa = filled(N_A, 0.1F),
                .leak = numbers(N_A),
                .da = filled(T * M * N_A, 1),
                .Wya = filled(N_Y * N_A, 0.1F),
                .biases = filled(crnn_cell_of(cell).groups * N_A + N_Y, 0.1F)};
    for (int k = 0; k < N_A; k++)
        s.leak[k] = 0.5F;
    const ptrdiff_t of_x = kernels->padded(N_X, n), of_a = kernels->padded(N_A, n);
    s.of_stream = numbers(of_x + of_a + kernels->padded(N_A, N_Y));
    kernels->pack(N_X, n, s.Wax, s.of_stream);
    kernels->pack(N_A, n, s.Waa, s.of_stream + of_x);
    kernels->pack(N_A, N_Y, s.Wya, s.of_stream + of_x + of_a);
    const caller one = {.given = &s, .results = numbers(size(cell)), .threads = 2};
    crnn_rnn_call call = call_of(&one);
    ptrdiff_t n_packed;
    kernels->rnn_packing(&call, &n_packed);
    s.packed = numbers(n_packed);
    kernels->rnn_pack(&call, s.packed);
    free(one.results);
    return s;
}

static void drop(shared *s) {
    float *const all[] = {s->x,  s->Waa, s->Wax,    s->ba,        s->baa,   s->leak,
                          s->da, s->Wya, s->packed, s->of_stream, s->biases};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
}

/* Whether all threads get the bits of a call with one thread. */
static int same(int cell) {
    shared s = make(cell);
    caller callers[CALLERS + 1];
    pthread_t threads[CALLERS];
    int right = 1;
    for (int k = 0; k <= CALLERS; k++)
        callers[k] = (caller){&s, numbers(size(cell)), k == 0 ? 1 : 2};
    run(&callers[0]);
    for (int k = 0; k < CALLERS; k++)
        pthread_create(&threads[k], NULL, run, &callers[k + 1]);
    for (int k = 0; k < CALLERS; k++) {
        pthread_join(threads[k], NULL);
        right &= memcmp(callers[0].results, callers[k + 1].results,
                        (size_t)size(cell) * sizeof(float)) == 0;
    }
    for (int k = 0; k <= CALLERS; k++)
        free(callers[k].results);
    drop(&s);
    return right;
}

int main(void) {
    int right = 1;
    kernels = crnn_kernels_portable.f32;
    for (int cell = CRNN_VANILLA; cell <= CRNN_LSTM; cell++)
        right &= same(cell);
    printf(right ? "calls: right\n" : "calls: wrong\n");
    return !right;
}
