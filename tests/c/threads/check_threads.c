/* The thread pool, with several callers at once: every part runs once, barriers hold, and the bits
 * are the same at any number of threads. Meant for ThreadSanitizer. Exits with 1 if something is
 * wrong.
 */
#include "crnn_kernels.h"
#include "threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 3, ROUNDS = 200, MOST = 4, STEPS = 50 };

enum { MANY = 200 }; /* more parts than the pool can have threads */

typedef struct {
    int times[MANY]; /* how often each part was run */
} counts;

static void count(const void *call, int part, int parts) {
    counts *c = *(counts *const *)call;
    if (part < parts)
        c->times[part]++;
}

static int each_part_once(int parts) {
    counts c, *p = &c;
    memset(&c, 0, sizeof c);
    crnn_run(parts, count, &p);
    for (int part = 0; part < parts; part++)
        if (c.times[part] != 1)
            return 0;
    return 1;
}

/* After each step, every part reads what all others wrote. A part that does not wait for them reads
 * an old number. */
typedef struct {
    long number[STEPS + 1][MOST];
    int parts; /* how many ran */
} relay;

static void run_relay(const void *call, int part, int parts) {
    relay *r = *(relay *const *)call;
    if (part == 0)
        r->parts = parts;
    for (int t = 0; t < STEPS; t++) {
        long sum = 0;
        for (int other = 0; t > 0 && other < parts; other++)
            sum += r->number[t][other];
        r->number[t + 1][part] = sum % 1000 + 1;
        if (parts > 1)
            crnn_barrier(part, parts);
    }
}

static int barriers_hold(int parts) {
    relay r, *p = &r;
    memset(&r, 0, sizeof r);
    crnn_run_with_barriers(parts, run_relay, &p);
    if (r.parts != parts && r.parts != 1)
        return 1;
    long sum = 0; /* of the step before */
    for (int t = 0; t < STEPS; t++) {
        for (int part = 0; part < r.parts; part++)
            if (r.number[t + 1][part] != sum % 1000 + 1)
                return 1;
        sum = r.parts * r.number[t + 1][0];
    }
    return 0;
}

static void fill(float *numbers, ptrdiff_t n, unsigned seed, float scale) {
    for (ptrdiff_t k = 0; k < n; k++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[k] = scale * ((float)(seed >> 8) / (1 << 23) - 1);
    }
}

/* One forward and one backward call, whose results are written to `results`. */
static void call_kernels(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_a, int threads, float *results) {
    const crnn_operations *kernels = crnn_kernels_portable.f32;
    enum { n_x = 3 };
    const ptrdiff_t states = T * m * n_a;
    float *given = malloc((size_t)(T * m * n_x + n_a * (n_a + n_x + 1) + m * n_a + states) * 4);
    float *x = given, *Waa = x + T * m * n_x, *Wax = Waa + n_a * n_a, *ba = Wax + n_a * n_x,
          *a0 = ba + n_a, *da = a0 + m * n_a;
    fill(given, da + states - given, 1, 0.05f);
    crnn_rnn_call call = {.T = T,
                          .m = m,
                          .n_x = n_x,
                          .n_a = n_a,
                          .x = x,
                          .Waa = Waa,
                          .Wax = Wax,
                          .ba = ba,
                          .a0 = a0,
                          .a = results,
                          .da = da,
                          .threads = threads};
    call.dWaa = results + states;
    call.dWax = (float *)call.dWaa + n_a * n_a;
    call.dba = (float *)call.dWax + n_a * n_x;
    call.dx = (float *)call.dba + n_a;
    call.da0 = (float *)call.dx + T * m * n_x;
    const ptrdiff_t size = kernels->rnn_workspace(&call, 1);
    void *room = malloc((size_t)size * 4 + 64);
    call.workspace = (char *)room + (64 - (size_t)room % 64);
    kernels->rnn_forward(&call);
    kernels->rnn_backward(&call);
    free(room);
    free(given);
}

static int same_bits(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_a) {
    const size_t size = (size_t)(T * m * (n_a + 3) + n_a * (n_a + 4) + m * n_a) * sizeof(float);
    float *one = malloc(size), *more = malloc(size);
    int different = 0;
    call_kernels(T, m, n_a, 1, one);
    for (int threads = 2; threads <= MOST; threads++) {
        call_kernels(T, m, n_a, threads, more);
        different |= memcmp(one, more, size) != 0;
    }
    free(one);
    free(more);
    return different;
}

static void *caller(void *failed) {
    int *wrong = failed;
    for (int round = 0; round < ROUNDS; round++) {
        *wrong |= !each_part_once(1 + round % (2 * MOST));
        *wrong |= barriers_hold(2 + round % (MOST - 1)) << 1;
        if (round % 50 == 0) {
            *wrong |= same_bits(110, 16, 97) << 2; /* by rows */
            *wrong |= same_bits(24, 1, 600) << 3;  /* by columns */
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[CALLERS];
    int wrong[CALLERS] = {0}, all = 0;
    /* the sizes above are large enough for several parts */
    if (crnn_row_parts(2, 16, 2.0 * 110 * 16 * 97 * 97) < 2 ||
        crnn_column_parts(2, 600 / 64, 5.0 * 600 * 600, 24) < 2)
        all = 16;
    if (crnn_parts(1000, 1000000, 1e12) != 64) /* clamped: see threads.c */
        all |= 32;
    for (int k = 0; k < CALLERS; k++)
        pthread_create(&threads[k], NULL, caller, &wrong[k]);
    for (int k = 0; k < CALLERS; k++) {
        pthread_join(threads[k], NULL);
        all |= wrong[k];
    }
    if (!each_part_once(MANY)) /* last, because it starts every worker that the pool can have */
        all |= 64;
    printf(all ? "wrong: %d\n" : "threads: right\n", all);
    return all != 0;
}
