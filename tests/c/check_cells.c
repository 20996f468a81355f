/* The leaky cell, the GRU and the LSTM at sizes around the vector width. Every array is an
 * allocation without a byte to spare, for the sanitizers, and outputs begin as NaN, so that a
 * number that is not written shows. What is computed is compared with the reference in Python
 * (tests/test_cells.py). */
#include "check.h"

#include <math.h>
#include <stdlib.h>

/* Every combination of these is tried. */
enum { SYMBOLS = 1, LENGTHS = 2, REVERSE = 4, INITIAL = 8, CURRENT = 16, ALL = 32 };

enum { MOST_ARRAYS = 24 };

typedef struct {
    array owned[MOST_ARRAYS];
    int count;
} arrays;

static void *input(arrays *all, ptrdiff_t n) {
    all->owned[all->count] = given(n, 0.5);
    return all->owned[all->count++].real;
}

static void *output(arrays *all, ptrdiff_t n) {
    all->owned[all->count] = result(n);
    return all->owned[all->count++].real;
}

static void run(const crnn_operations *kernels, crnn_rnn_call *call, int backward) {
    void *room = workspace(kernels->rnn_workspace(call, backward));
    call->workspace = room;
    (backward ? kernels->rnn_backward : kernels->rnn_forward)(call);
    drop_workspace(room);
}

/* Forward and backward of one call, and forward with nothing kept. Returns whether every number of
 * an output is finite. */
static int finite(const crnn_operations *kernels, int cell, const ptrdiff_t *n, int options,
                  int threads) {
    const ptrdiff_t T = n[0], m = n[1], n_x = n[2], n_a = n[3], rows = T * m;
    const ptrdiff_t gates = cell == CRNN_LSTM ? 4 : cell == CRNN_GRU ? 3 : 1;
    const ptrdiff_t kept = cell == CRNN_LSTM ? 5 : cell == CRNN_GRU ? 4 : 1;
    ptrdiff_t *symbols = malloc((size_t)rows * sizeof *symbols);
    ptrdiff_t *lengths = malloc((size_t)m * sizeof *lengths), valid = 0;
    crnn_rnn_call call = crnn_rnn_new();
    arrays all = {.count = 0};
    int outputs, right = 1;
    for (ptrdiff_t k = 0; k < rows; k++)
        symbols[k] = k % n_x;
    for (ptrdiff_t i = 0; i < m; i++)
        valid += lengths[i] = 1 + i * 7 % T;
    if ((options & LENGTHS) == 0)
        valid = rows;
    call.threads = threads;
    call.T = T;
    call.m = m;
    call.n_x = n_x;
    call.n_a = n_a;
    call.cell = cell;
    call.reverse = (options & REVERSE) != 0;
    call.equation = (options & CURRENT) != 0 ? CRNN_CURRENT : CRNN_RATE;
    call.noise = cell == CRNN_LEAKY ? 0.1 : 0;
    call.lengths = (options & LENGTHS) != 0 ? lengths : NULL;
    call.symbols = (options & SYMBOLS) != 0 ? symbols : NULL;
    call.x = call.symbols != NULL ? NULL : input(&all, rows * n_x);
    call.Waa = input(&all, gates * n_a * n_a);
    call.Wax = input(&all, gates * n_a * n_x);
    call.ba = input(&all, gates * n_a);
    call.baa = input(&all, n_a);
    call.leak = input(&all, n_a);
    call.a0 = (options & INITIAL) != 0 ? input(&all, m * n_a) : NULL;
    call.c0 = (options & INITIAL) != 0 ? input(&all, m * n_a) : NULL;
    call.da = input(&all, rows * n_a);
    call.dc_n = input(&all, m * n_a);
    outputs = all.count;
    call.a = output(&all, rows * n_a);
    call.kept = output(&all, kept * valid * n_a);
    call.dWaa = output(&all, gates * n_a * n_a);
    call.dWax = output(&all, gates * n_a * n_x);
    call.dba = output(&all, gates * n_a);
    call.da0 = output(&all, m * n_a);
    call.dx = call.symbols != NULL ? NULL : output(&all, rows * n_x);
    call.dbaa = cell == CRNN_GRU ? output(&all, n_a) : NULL;
    call.c_n = cell == CRNN_LSTM ? output(&all, m * n_a) : NULL;
    call.dc0 = cell == CRNN_LSTM ? output(&all, m * n_a) : NULL;
    run(kernels, &call, 0);
    run(kernels, &call, 1);
    call.kept = NULL;
    run(kernels, &call, 0);
    for (int k = 0; k < all.count; k++) {
        for (ptrdiff_t j = 0; k >= outputs && j < all.owned[k].n; j++)
            right &= isfinite(get(all.owned[k].real, j)) != 0;
        drop(all.owned[k]);
    }
    free(symbols);
    free(lengths);
    return right;
}

double check_cells(const crnn_operations *kernels, int *cases) {
    static const ptrdiff_t shapes[][4] = {
        {1, 1, 1, 1}, {4, 2, 3, 17}, {5, 7, 2, 16}, {3, 9, 5, 70}, {9, 13, 4, 33}};
    /* One step whose weights are far (far.inc) in at least one dtype, with rows alike and not. */
    static const ptrdiff_t far[][4] = {
        {1, 1, 350, 347}, {1, 1, 90, 352}, {1, 1, 400, 250}, {1, 1, 261, 256}};
    int right = 1;
    for (int s = 0; s < 4; s++, ++*cases)
        right &= finite(kernels, CRNN_LSTM, far[s], INITIAL, 1 + s % 2);
    for (int cell = CRNN_LEAKY; cell <= CRNN_LSTM; cell++)
        for (int s = 0; s < 5; s++)
            for (int options = 0; options < ALL; options++) {
                if (!is_turn(options))
                    continue;
                right &= finite(kernels, cell, shapes[s], options, 1);
                ++*cases;
            }
    return right ? 0 : NAN;
}

/* Random sizes and options, with one to three threads. */
double check_random_cells(const crnn_operations *kernels, int *cases) {
    int right = 1;
    for (int k = 0; k < random_cases; k++, ++*cases) {
        const ptrdiff_t T = some_size(20, 1), m = some_size(20, 4);
        const ptrdiff_t n[] = {T, m, 1 + below(40), 1 + below(140)};
        const int cell = CRNN_LEAKY + (int)below(CRNN_LSTM - CRNN_LEAKY + 1);
        right &= finite(kernels, cell, n, (int)below(ALL), 1 + (int)below(3));
    }
    return right ? 0 : NAN;
}
