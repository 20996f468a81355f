/* Records of calls for the functions of crnn.h, by clang's libFuzzer: of every cell, forward and
 * backward, padded and packed. Every array and the workspace have exactly the size that crnn.h
 * says. Compile with -fsanitize=fuzzer,address,undefined. */
#include "call_damages.h"
#include "integers.h"
#include "shared.h"

typedef int function(const crnn_rnn_call *);
static function *const functions[4][2] = {{crnn_rnn_forward, crnn_rnn_backward},
                                          {crnn_leaky_forward, crnn_leaky_backward},
                                          {crnn_gru_forward, crnn_gru_backward},
                                          {crnn_lstm_forward, crnn_lstm_backward}};

static void make_options(trial *t, crnn_rnn_call *c) {
    static const ptrdiff_t widths[] = {1, 2, 3, 5, 8, 17, 33, 65};
    c->dtype = chance(t) ? CRNN_FLOAT64 : CRNN_FLOAT32;
    c->cell = (int)pick(t, 4);
    c->T = 1 + pick(t, 6), c->m = 1 + pick(t, 7);
    c->n_x = 1 + pick(t, 9), c->n_a = widths[pick(t, 8)];
    c->reverse = chance(t);
    c->threads = (int)pick(t, 4);
    if (c->cell == CRNN_VANILLA || c->cell == CRNN_LEAKY)
        c->activation = chance(t) ? CRNN_RELU : CRNN_TANH;
    if (c->cell == CRNN_LEAKY) {
        c->equation = chance(t) ? CRNN_CURRENT : CRNN_RATE;
        c->noise = chance(t) ? 0.5 : 0;
        c->seed = (unsigned long long)any_integer(t);
    }
}

/* No lengths, lengths, or lengths and offsets. */
static void make_lengths(trial *t, crnn_rnn_call *c, parts *p) {
    const ptrdiff_t kind = pick(t, 3);
    p->rows = p->valid = c->T * c->m;
    if (kind == 0)
        return;
    c->lengths = p->lengths = integers(t, c->m);
    p->valid = 0;
    for (ptrdiff_t i = 0; i < c->m; i++) {
        const ptrdiff_t most = kind == 2 && i > 0 ? p->lengths[i - 1] : c->T;
        p->lengths[i] = kind == 2 && i == 0 ? c->T : 1 + pick(t, most);
        p->valid += p->lengths[i];
    }
    if (kind == 2) {
        p->rows = p->valid;
        c->offsets = p->offsets = integers(t, c->T);
        crnn_find_offsets(p->lengths, c->m, c->T, p->offsets);
    }
}

static void make_inputs(trial *t, crnn_rnn_call *c, parts *p) {
    const ptrdiff_t gates = crnn_cell_of(c->cell).gates * c->n_a;
    const int padded = c->lengths != NULL && c->offsets == NULL;
    if (chance(t)) {
        c->symbols = p->symbols = integers(t, p->rows);
        for (ptrdiff_t k = 0; k < p->rows; k++)
            p->symbols[k] =
                padded && k / c->m >= p->lengths[k % c->m] ? any_integer(t) : pick(t, c->n_x);
    } else
        c->x = numbers(t, c->dtype, p->rows * c->n_x);
    c->Waa = numbers(t, c->dtype, gates * c->n_a);
    c->Wax = numbers(t, c->dtype, gates * c->n_x);
    c->a0 = optional(t, c->dtype, c->m * c->n_a);
    if (c->cell == CRNN_LSTM)
        c->c0 = optional(t, c->dtype, c->m * c->n_a);
    if (c->cell == CRNN_LEAKY)
        c->leak = p->leak = leaks(t, c->dtype, c->n_a);
}

static void make_forward(trial *t, crnn_rnn_call *c, const parts *p) {
    const crnn_cell_sizes cell = crnn_cell_of(c->cell);
    const size_t number = size_of(c->dtype);
    c->ba = optional(t, c->dtype, cell.gates * c->n_a);
    if (c->cell == CRNN_GRU)
        c->baa = optional(t, c->dtype, c->n_a);
    c->a = output(t, number, p->rows * c->n_a);
    if (c->cell == CRNN_LSTM)
        c->c_n = optional_output(t, number, c->m * c->n_a);
    if (cell.kept > 0)
        c->kept = optional_output(t, number, cell.kept * p->valid * c->n_a);
    if (chance(t)) /* what only backward reads may be anything */
        c->da = c->dWaa = c->norms = (void *)1;
}

static void make_backward(trial *t, crnn_rnn_call *c, const parts *p) {
    const crnn_cell_sizes cell = crnn_cell_of(c->cell);
    const size_t number = size_of(c->dtype);
    const ptrdiff_t gates = cell.gates * c->n_a, states = c->m * c->n_a;
    c->a = numbers(t, c->dtype, p->rows * c->n_a);
    if (cell.kept > 0)
        c->kept = numbers(t, c->dtype, cell.kept * p->valid * c->n_a);
    if (c->cell == CRNN_LSTM)
        c->dc_n = optional(t, c->dtype, states);
    c->da_n = optional(t, c->dtype, states);
    c->da = c->da_n == NULL && c->dc_n == NULL ? numbers(t, c->dtype, p->rows * c->n_a)
                                               : optional(t, c->dtype, p->rows * c->n_a);
    c->dWaa = output(t, number, gates * c->n_a);
    c->dWax = output(t, number, gates * c->n_x);
    c->dba = optional_output(t, number, gates);
    c->da0 = optional_output(t, number, states);
    c->norms = optional_output(t, sizeof(double), p->rows);
    if (c->symbols == NULL)
        c->dx = optional_output(t, number, p->rows * c->n_x);
    if (c->cell == CRNN_GRU)
        c->dbaa = optional_output(t, number, c->n_a);
    if (c->cell == CRNN_LSTM)
        c->dc0 = optional_output(t, number, states);
    if (chance(t)) /* what only forward reads */
        c->ba = (void *)1;
}

static void make_workspace(trial *t, crnn_rnn_call *c, int backward) {
    if (crnn_rnn_workspace(c, backward, &c->workspace_bytes) != CRNN_OK)
        abort();
    c->workspace = memory_of(t, c->workspace_bytes, (size_t)pick(t, 64));
}

/* A record whose arrays have the sizes that it needs, perhaps damaged. */
static void try_call(trial *t) {
    crnn_rnn_call c = crnn_rnn_new();
    parts p = {0};
    const int backward = chance(t);
    make_options(t, &c);
    make_lengths(t, &c, &p);
    make_inputs(t, &c, &p);
    if (backward)
        make_backward(t, &c, &p);
    else
        make_forward(t, &c, &p);
    make_workspace(t, &c, backward);
    const int cell = c.cell;
    const size_t number = size_of(c.dtype);
    const int of_record = damage(t, &c, &p, backward);
    const int status = functions[cell][backward](record_of(t, &c, sizeof c, AT(da_n), of_record));
    if (t->may_be == 0)
        expect(status == CRNN_OK && all_written(t, number), "accepted", status);
    else
        expect((t->may_be & 1u << status) != 0 && untouched(t), "refused", status);
}

/* Sizes of any kind, and arrays that cannot be read: what needs more workspace than there is must
 * be refused before any of them is. */
static void try_sizes(trial *t) {
    crnn_rnn_call c = crnn_rnn_new();
    const int backward = chance(t);
    size_t bytes = 17;
    c.dtype = chance(t) ? CRNN_FLOAT64 : CRNN_FLOAT32;
    c.cell = (int)pick(t, 4);
    c.T = any_integer(t), c.m = any_integer(t);
    c.n_x = any_integer(t), c.n_a = any_integer(t);
    const int status = crnn_rnn_workspace(&c, backward, &bytes);
    if (status != CRNN_OK) {
        expect(status == CRNN_SIZE_OUT_OF_RANGE && bytes == 17, "sizes", status);
        return;
    }
    if (c.n_a > 64) { /* so the workspace is larger than 64 bytes */
        void *const unreadable = (void *)64;
        c.x = c.Waa = c.Wax = c.lengths = c.da = unreadable;
        c.dWaa = c.dWax = c.a = c.workspace = unreadable;
        c.kept = c.cell == CRNN_VANILLA ? NULL : unreadable;
        c.workspace_bytes = 64;
        const int refused = functions[c.cell][backward](&c);
        expect(refused == (c.cell == CRNN_LEAKY ? CRNN_NULL_POINTER : CRNN_WORKSPACE_TOO_SMALL),
               "too large", refused);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    trial t = {.at = bytes, .end = bytes + size};
    if (pick(&t, 8) == 7)
        try_sizes(&t);
    else
        try_call(&t);
    release(&t);
    return 0;
}
