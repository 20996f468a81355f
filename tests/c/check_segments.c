/* A sequence run in segments has the bits of one call: all cells, either direction, lengths,
 * symbols and initial states. Every array of a segment is an allocation without a byte to spare,
 * for the sanitizers. The numbers come from a sequence of this file's own. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTHS = 1, REVERSE = 2, SYMBOLS = 4, INITIAL = 8, CURRENT = 16, ALL = 32 };
enum { M = 3, N_X = 2, N_A = 5, MOST_SEGMENTS = 8 };

/* A sequence, and what a call of all its steps gives. The lengths fall, and the first is T. */
typedef struct {
    ptrdiff_t T, gates, kept, lengths[M], begins[MOST_SEGMENTS + 1], segments;
    crnn_rnn_call call;
} sequence;

static size_t size(void) { return is_float ? sizeof(float) : sizeof(double); }

static void *numbers(ptrdiff_t n) { return malloc((size_t)n * size()); }

static void *drawn(ptrdiff_t n, double scale) {
    static unsigned long long seed = 1;
    void *array = numbers(n);
    for (ptrdiff_t k = 0; k < n; k++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        put(array, k, scale * ((double)(seed >> 11) / (double)(1ull << 52) - 1));
    }
    return array;
}

/* A copy of n numbers that begin at number `from` of an array. */
static void *copied(const void *array, ptrdiff_t from, ptrdiff_t n) {
    void *copy = numbers(n);
    memcpy(copy, (const char *)array + (size_t)from * size(), (size_t)n * size());
    return copy;
}

/* The valid rows of steps s0 to s1, counted from the first step read. */
static ptrdiff_t valid(const sequence *q, ptrdiff_t s0, ptrdiff_t s1) {
    ptrdiff_t rows = 0;
    for (ptrdiff_t i = 0; i < M; i++)
        for (ptrdiff_t s = s0; s < s1; s++)
            rows += s < q->lengths[i];
    return rows;
}

/* Cut the steps into segments of one chunk each. */
static void cut(sequence *q, ptrdiff_t rows) {
    ptrdiff_t ends[MOST_SEGMENTS + 1], count = 0, end = q->T;
    while (end > 0) {
        ptrdiff_t begin = end;
        while (begin > 0 && valid(q, begin, end) < rows)
            begin--;
        ends[count++] = end;
        end = begin;
    }
    q->segments = count;
    q->begins[0] = 0;
    for (ptrdiff_t j = 0; j < count; j++)
        q->begins[j + 1] = ends[count - 1 - j];
}

static void run(const crnn_operations *kernels, crnn_rnn_call *call, int backward,
                crnn_segment *segment) {
    void *room = workspace(segment == NULL ? kernels->rnn_workspace(call, backward)
                                           : kernels->segment_workspace(call, backward));
    call->workspace = room;
    if (segment == NULL)
        (backward ? kernels->rnn_backward : kernels->rnn_forward)(call);
    else if (backward)
        kernels->segment_backward(call, segment);
    else
        kernels->segment_forward(call, NULL, segment);
    drop_workspace(room);
}

/* The call of steps s0 to s1, from the states a and c before them, and its segment. */
static crnn_rnn_call part(const sequence *q, ptrdiff_t s0, ptrdiff_t s1, void *a0, void *c0,
                          ptrdiff_t *lengths, crnn_segment *segment) {
    const int reverse = q->call.reverse;
    const ptrdiff_t steps = s1 - s0, t0 = reverse ? q->T - s1 : s0;
    crnn_rnn_call call = q->call;
    call.T = steps;
    segment->t0 = t0;
    if (call.lengths != NULL) {
        for (ptrdiff_t i = 0; i < M; i++)
            lengths[i] = q->lengths[i] - s0;
        call.lengths = lengths;
    }
    if (call.x != NULL)
        call.x = copied(call.x, t0 * M * N_X, steps * M * N_X);
    else
        call.symbols += t0 * M;
    call.da = copied(call.da, t0 * M * N_A, steps * M * N_A);
    call.a0 = a0;
    call.c0 = call.cell == CRNN_LSTM ? c0 : NULL;
    call.a = numbers(steps * M * N_A);
    call.kept = q->kept == 0 ? NULL : numbers(q->kept * valid(q, s0, s1) * N_A);
    call.c_n = call.cell == CRNN_LSTM ? numbers(M * N_A) : NULL;
    call.dx = call.x == NULL ? NULL : numbers(steps * M * N_X);
    return call;
}

static void drop_part(crnn_rnn_call *call) {
    free((void *)call->x);
    free((void *)call->da);
    free(call->a);
    free(call->kept);
    free(call->c_n);
    free(call->dx);
}

static int equal(const void *a, const void *b, ptrdiff_t n) {
    return memcmp(a, b, (size_t)n * size()) == 0;
}

/* Backward through the segments from the last to the first. Returns whether all bits are those of
 * the whole call; `whole` has its gradients. */
static int segments_agree(const crnn_operations *kernels, sequence *q, const crnn_rnn_call *whole) {
    void *a0[MOST_SEGMENTS], *c0[MOST_SEGMENTS];
    ptrdiff_t lengths[M];
    crnn_segment segment = {.t0 = 0};
    int right = 1;
    a0[0] = (void *)whole->a0;
    c0[0] = (void *)whole->c0;
    for (ptrdiff_t j = 0; j + 1 < q->segments; j++) { /* the states before each segment */
        const ptrdiff_t s0 = j == 0 ? 0 : q->begins[j] - 1, s1 = q->begins[j + 1] - 1;
        crnn_rnn_call call = part(q, s0, s1, a0[j], c0[j], lengths, &segment);
        run(kernels, &call, 0, &segment);
        a0[j + 1] = copied(call.a, q->call.reverse ? 0 : (s1 - s0 - 1) * M * N_A, M * N_A);
        c0[j + 1] = call.c_n == NULL ? NULL : copied(call.c_n, 0, M * N_A);
        drop_part(&call);
    }
    segment.carried = workspace(kernels->segment_carried(&q->call));
    for (ptrdiff_t j = q->segments - 1; j >= 0; j--) {
        const ptrdiff_t skipped = j > 0, s0 = q->begins[j] - skipped, s1 = q->begins[j + 1];
        crnn_rnn_call call = part(q, s0, s1, a0[j], c0[j], lengths, &segment);
        segment.first = j == 0;
        segment.last = j == q->segments - 1;
        run(kernels, &call, 0, &segment);
        run(kernels, &call, 1, &segment);
        const ptrdiff_t from = q->call.reverse ? 0 : skipped; /* of the segment's own steps */
        const ptrdiff_t t = segment.t0 + from, steps = s1 - q->begins[j];
        if (call.dx != NULL)
            right &= equal((char *)call.dx + (size_t)(from * M * N_X) * size(),
                           (char *)whole->dx + (size_t)(t * M * N_X) * size(), steps * M * N_X);
        drop_part(&call);
    }
    right &= equal(q->call.dWaa, whole->dWaa, q->gates * N_A * N_A);
    right &= equal(q->call.dWax, whole->dWax, q->gates * N_A * N_X);
    right &= equal(q->call.dba, whole->dba, q->gates * N_A);
    right &= equal(q->call.da0, whole->da0, M * N_A);
    drop_workspace(segment.carried);
    for (ptrdiff_t j = 1; j < q->segments; j++) {
        free(a0[j]);
        free(c0[j]);
    }
    return right;
}

/* Arrays for the gradients of a call. */
static void take_gradients(const sequence *q, crnn_rnn_call *call) {
    call->dWaa = numbers(q->gates * N_A * N_A);
    call->dWax = numbers(q->gates * N_A * N_X);
    call->dba = numbers(q->gates * N_A);
    call->da0 = numbers(M * N_A);
    call->dbaa = call->cell == CRNN_GRU ? numbers(N_A) : NULL;
    call->dc0 = call->cell == CRNN_LSTM ? numbers(M * N_A) : NULL;
}

static void drop_gradients(crnn_rnn_call *call) {
    void *const all[] = {call->dWaa, call->dWax, call->dba, call->da0, call->dbaa, call->dc0};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
}

static int agree(const crnn_operations *kernels, int cell, int options) {
    sequence q = {.gates = cell == CRNN_LSTM  ? 4
                           : cell == CRNN_GRU ? 3
                                              : 1,
                  .kept = cell == CRNN_LSTM    ? 5
                          : cell == CRNN_GRU   ? 4
                          : cell == CRNN_LEAKY ? 1
                                               : 0,
                  .call = crnn_rnn_new()};
    crnn_rnn_call *p = &q.call;
    p->cell = cell;
    p->threads = 1;
    p->m = M;
    p->n_x = N_X;
    p->n_a = N_A;
    p->T = 1;
    p->reverse = (options & REVERSE) != 0;
    p->equation = options & CURRENT ? CRNN_CURRENT : CRNN_RATE;
    p->noise = cell == CRNN_LEAKY ? 0.1 : 0;
    const ptrdiff_t rows = kernels->chunk_rows(p), T = p->T = q.T = 3 * ((rows + M - 1) / M) - 5;
    for (ptrdiff_t i = 0; i < M; i++)
        q.lengths[i] = options & LENGTHS ? T - i * (T / 2 - 3) : T;
    cut(&q, rows);
    ptrdiff_t *symbols = malloc((size_t)(T * M) * sizeof *symbols);
    for (ptrdiff_t k = 0; k < T * M; k++)
        symbols[k] = k * 7 % 3 % N_X;
    p->lengths = options & LENGTHS ? q.lengths : NULL;
    p->symbols = options & SYMBOLS ? symbols : NULL;
    void *const inputs[] = {drawn(T * M * N_X, 1),
                            drawn(q.gates * N_A * N_A, 0.5),
                            drawn(q.gates * N_A * N_X, 0.5),
                            drawn(q.gates * N_A, 0.5),
                            drawn(N_A, 0.5),
                            drawn(T * M * N_A, 1),
                            drawn(M * N_A, 0.5),
                            drawn(M * N_A, 0.5),
                            drawn(N_A, 0)};
    p->x = options & SYMBOLS ? NULL : inputs[0];
    p->Waa = inputs[1];
    p->Wax = inputs[2];
    p->ba = inputs[3];
    p->baa = cell == CRNN_GRU ? inputs[4] : NULL;
    p->da = inputs[5];
    p->a0 = options & INITIAL ? inputs[6] : NULL;
    p->c0 = options & INITIAL && cell == CRNN_LSTM ? inputs[7] : NULL;
    for (ptrdiff_t j = 0; j < N_A; j++)
        put(inputs[8], j, 0.3);
    p->leak = cell == CRNN_LEAKY ? inputs[8] : NULL;
    take_gradients(&q, p);
    crnn_rnn_call whole = *p;
    take_gradients(&q, &whole);
    whole.a = numbers(T * M * N_A);
    whole.kept = q.kept == 0 ? NULL : numbers(q.kept * valid(&q, 0, T) * N_A);
    whole.c_n = cell == CRNN_LSTM ? numbers(M * N_A) : NULL;
    whole.dx = options & SYMBOLS ? NULL : numbers(T * M * N_X);
    run(kernels, &whole, 0, NULL);
    run(kernels, &whole, 1, NULL);
    const int right = q.segments >= 2 && segments_agree(kernels, &q, &whole);
    drop_gradients(p);
    drop_gradients(&whole);
    void *const others[] = {whole.a, whole.kept, whole.c_n, whole.dx, symbols};
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        free(others[k]);
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
        free(inputs[k]);
    return right;
}

double check_segments(const crnn_operations *kernels, int *cases) {
    int right = 1;
    for (int cell = CRNN_VANILLA; cell <= CRNN_LSTM; cell++)
        for (int options = 0; options < ALL; options++) {
            if (!is_turn(options) || (options & CURRENT && cell != CRNN_LEAKY) ||
                (options & LENGTHS && options & REVERSE)) /* its arrays are in another order */
                continue;
            right &= agree(kernels, cell, options);
            ++*cases;
        }
    return right ? 0 : NAN;
}
