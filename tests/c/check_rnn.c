/* The recurrence, forward and backward: sizes, directions, lengths, kinds of input, NULL arrays. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a call has. LAST: da_n besides da; ONLY_LAST: da_n without da. */
enum {
    RELU = 1,
    REVERSE = 2,
    LENGTHS = 4,
    SYMBOLS = 8,
    A0 = 16,
    DX = 32,
    LAST = 64,
    ONLY_LAST = 128,
    KINDS = 256
};

/* A call and the exact values of all its results. */
typedef struct {
    ptrdiff_t T, m, n_x, n_a;
    int kind;
    array x, Waa, Wax, ba, a0, da, da_n; /* given */
    array a, dWaa, dWax, dba, dx, da0;   /* results */
    ptrdiff_t *symbols, *lengths;        /* (T, m), (m) */
} problem;

static problem pose(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_x, ptrdiff_t n_a, int kind) {
    /* The norm of Waa is below 1, so that errors do not grow: for scale 1 it is 2 sqrt(n / 3). */
    problem p = {.T = T,
                 .m = m,
                 .n_x = n_x,
                 .n_a = n_a,
                 .kind = kind,
                 .x = given(T * m * n_x, 1),
                 .Waa = given(n_a * n_a, 0.7 / sqrt((double)n_a)),
                 .Wax = given(n_a * n_x, 1 / sqrt((double)n_x)),
                 .ba = given(n_a, 0.1),
                 .a0 = given(m * n_a, 0.5),
                 .da = kind & ONLY_LAST ? result(T * m * n_a) : given(T * m * n_a, 1),
                 .da_n = given(m * n_a, 1),
                 .a = result(T * m * n_a),
                 .dWaa = result(n_a * n_a),
                 .dWax = result(n_a * n_x),
                 .dba = result(n_a),
                 .dx = result(T * m * n_x),
                 .da0 = result(m * n_a),
                 .symbols = malloc((size_t)(T * m) * sizeof(ptrdiff_t)),
                 .lengths = malloc((size_t)m * sizeof(ptrdiff_t))};
    for (ptrdiff_t k = 0; k < T * m; k++)
        p.symbols[k] = below(n_x);
    for (ptrdiff_t i = 0; i < m; i++)
        p.lengths[i] = kind & LENGTHS ? 1 + below(T) : T;
    if (kind & SYMBOLS)
        for (ptrdiff_t k = 0; k < T * m * n_x; k++)
            p.x.exact[k] = p.symbols[k / n_x] == k % n_x;
    return p;
}

static void forget(problem p) {
    const array all[] = {p.x, p.Waa,  p.Wax,  p.ba,  p.a0, p.da, p.da_n,
                         p.a, p.dWaa, p.dWax, p.dba, p.dx, p.da0};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        drop(all[k]);
    free(p.symbols);
    free(p.lengths);
}

/* The time of step s of example i, in the order in which it is read. */
static ptrdiff_t step(const problem *p, ptrdiff_t i, ptrdiff_t s) {
    return p->kind & REVERSE ? p->lengths[i] - 1 - s : s;
}

/* The state before it, or NULL for zeros. */
static const double *state_before(const problem *p, ptrdiff_t i, ptrdiff_t s) {
    if (s > 0)
        return p->a.exact + (step(p, i, s - 1) * p->m + i) * p->n_a;
    return p->kind & A0 ? p->a0.exact + i * p->n_a : NULL;
}

/* a<t> = tanh(Waa a<t-1> + Wax x<t> + ba); 0 past an example's length. */
static void forward(const problem *p) {
    const ptrdiff_t n_x = p->n_x, n_a = p->n_a;
    for (ptrdiff_t i = 0; i < p->m; i++)
        for (ptrdiff_t s = 0; s < p->lengths[i]; s++) {
            const ptrdiff_t row = step(p, i, s) * p->m + i;
            const double *before = state_before(p, i, s);
            for (ptrdiff_t j = 0; j < n_a; j++) {
                const ptrdiff_t here = row * n_a + j;
                add(p->a, here, p->ba.exact[j]);
                for (ptrdiff_t k = 0; before != NULL && k < n_a; k++)
                    add(p->a, here, p->Waa.exact[j * n_a + k] * before[k]);
                for (ptrdiff_t k = 0; k < n_x; k++)
                    add(p->a, here, p->Wax.exact[j * n_x + k] * p->x.exact[row * n_x + k]);
                const double z = p->a.exact[here];
                p->a.exact[here] = p->kind & RELU ? fmax(z, 0) : tanh(z);
            }
        }
}

/* dz<t> = (da<t> + Waa' dz<t+1>) (1 - a<t>^2), and all gradients, which are sums over it. */
static void backward(const problem *p) {
    const ptrdiff_t n_x = p->n_x, n_a = p->n_a;
    double *dz = malloc((size_t)n_a * sizeof(double));
    array next = result(n_a); /* Waa' dz<t+1> */
    for (ptrdiff_t i = 0; i < p->m; i++) {
        memset(next.exact, 0, (size_t)n_a * sizeof(double));
        for (ptrdiff_t s = p->lengths[i] - 1; s >= 0; s--) {
            const ptrdiff_t row = step(p, i, s) * p->m + i;
            const double *before = state_before(p, i, s);
            for (ptrdiff_t j = 0; j < n_a; j++) {
                const double a = p->a.exact[row * n_a + j];
                const int last = s + 1 == p->lengths[i] && p->kind & (LAST | ONLY_LAST);
                const double da =
                    p->da.exact[row * n_a + j] + (last ? p->da_n.exact[i * n_a + j] : 0);
                dz[j] = (da + next.exact[j]) * (p->kind & RELU ? a > 0 : 1 - a * a);
                add(p->dba, j, dz[j]);
                for (ptrdiff_t k = 0; before != NULL && k < n_a; k++)
                    add(p->dWaa, j * n_a + k, dz[j] * before[k]);
                for (ptrdiff_t k = 0; k < n_x; k++) {
                    add(p->dWax, j * n_x + k, dz[j] * p->x.exact[row * n_x + k]);
                    add(p->dx, row * n_x + k, dz[j] * p->Wax.exact[j * n_x + k]);
                }
            }
            memset(next.exact, 0, (size_t)n_a * sizeof(double));
            memset(next.squares, 0, (size_t)n_a * sizeof(double));
            for (ptrdiff_t k = 0; k < n_a; k++)
                for (ptrdiff_t j = 0; j < n_a; j++)
                    add(next, k, dz[j] * p->Waa.exact[j * n_a + k]);
        }
        memcpy(p->da0.exact + i * n_a, next.exact, (size_t)n_a * sizeof(double));
        memcpy(p->da0.squares + i * n_a, next.squares, (size_t)n_a * sizeof(double));
    }
    drop(next);
    free(dz);
}

/* Run one call, forward and backward. Returns the largest share of any result. */
static double check(const crnn_operations *kernels, ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_x,
                    ptrdiff_t n_a, int kind, int threads) {
    if (T > 8) /* the gradient of the last step alone vanishes, and its rounding errors grow */
        kind &= ~ONLY_LAST;
    problem p = pose(T, m, n_x, n_a, kind);
    const int has_dx = kind & DX && !(kind & SYMBOLS);
    crnn_rnn_call call = {.T = T,
                          .m = m,
                          .n_x = n_x,
                          .n_a = n_a,
                          .x = kind & SYMBOLS ? NULL : p.x.real,
                          .symbols = kind & SYMBOLS ? p.symbols : NULL,
                          .Waa = p.Waa.real,
                          .Wax = p.Wax.real,
                          .ba = p.ba.real,
                          .a0 = kind & A0 ? p.a0.real : NULL,
                          .lengths = kind & LENGTHS ? p.lengths : NULL,
                          .reverse = (kind & REVERSE) != 0,
                          .activation = kind & RELU ? CRNN_RELU : CRNN_TANH,
                          .a = p.a.real,
                          .threads = threads};
    forward(&p);
    call.workspace = workspace(kernels->rnn_workspace(&call, 0));
    kernels->rnn_forward(&call);
    drop_workspace(call.workspace);
    double largest = share(p.a, n_x + n_a + 1);

    /* Take the kernels' own states for the gradients, so that relu has the same active units. */
    for (ptrdiff_t k = 0; k < p.a.n; k++)
        p.a.exact[k] = get(p.a.real, k);
    backward(&p);
    call.da = kind & ONLY_LAST ? NULL : p.da.real;
    call.da_n = kind & (LAST | ONLY_LAST) ? p.da_n.real : NULL;
    call.dWaa = p.dWaa.real;
    call.dWax = p.dWax.real;
    call.dba = p.dba.real;
    call.dx = has_dx ? p.dx.real : NULL;
    call.da0 = kind & DX ? p.da0.real : NULL;
    call.workspace = workspace(kernels->rnn_workspace(&call, 1));
    kernels->rnn_backward(&call);
    drop_workspace(call.workspace);
    const ptrdiff_t rows = T * m + n_a; /* terms of a sum, and of each of its terms */
    largest = worse(largest, share(p.dWaa, rows));
    largest = worse(largest, share(p.dWax, rows));
    largest = worse(largest, share(p.dba, rows));
    if (has_dx)
        largest = worse(largest, share(p.dx, 2 * n_a));
    if (kind & DX)
        largest = worse(largest, share(p.da0, 2 * n_a * (kind & ONLY_LAST ? T : 1)));
    forget(p);
    return largest;
}

/* The next kind. Steps of 7 reach all kinds, and change several options at once. */
static int next_kind(void) {
    static int kind = 0;
    kind = (kind + 7) % KINDS;
    return kind;
}

/* Each dimension at each size, with eight kinds per case, so that the sizes together see all kinds.
 * And few rows with each number of units, since few rows have kernels of their own. */
double check_rnn(const crnn_operations *kernels, int *cases) {
    static const ptrdiff_t rows[] = {1, 2, 3, 4, 5, 6, 7, 16};
    double largest = 0;
    for (int s = 0; s < SIZES; s++) {
        const ptrdiff_t n = sizes[s];
        const ptrdiff_t shapes[][4] = {{n, 4, 5, 6}, {3, n, 5, 6}, {3, 4, n, 6}, {3, 4, 5, n}};
        for (int d = 0; d < 4; d++)
            for (int k = 0; k < 8; k++, ++*cases)
                largest = worse(largest, check(kernels, shapes[d][0], shapes[d][1], shapes[d][2],
                                               shapes[d][3], next_kind(), 1));
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++, ++*cases)
            largest = worse(largest, check(kernels, 2, rows[r], 3, n, next_kind(), 1));
    }
    return largest;
}

/* Sequences of several chunks, and calls that are large enough for several threads, which divide
 * rows or columns. */
double check_large(const crnn_operations *kernels, int *cases) {
    double largest = 0;
    for (int k = 0; k < 16; k++, ++*cases)
        largest = worse(largest, check(kernels, 600, 3, 2, 5, next_kind(), 1));
    for (int k = 0; k < 16; k++, ++*cases)
        largest = worse(largest, check(kernels, 40, 16, 5, 97, next_kind(), 3));
    for (int m = 1; m < 3; m++, ++*cases)
        largest = worse(largest, check(kernels, 2, m, 5, 777, DX | A0 | (m & 1 ? REVERSE : 0), 2));
    return largest;
}

/* Random sizes and kinds, with one to three threads. */
double check_random_rnn(const crnn_operations *kernels, int *cases) {
    double largest = 0;
    for (int k = 0; k < random_cases; k++, ++*cases) {
        const ptrdiff_t T = some_size(20, 1), m = some_size(20, 4), n_x = 1 + below(40);
        const ptrdiff_t n_a = 1 + below(140);
        const int kind = (int)below(KINDS), threads = 1 + (int)below(3);
        largest = worse(largest, check(kernels, T, m, n_x, n_a, kind, threads));
    }
    return largest;
}
