/* What can be wrong with a call of crnn.h. Each damage is done once at most, so that none undoes
 * another. */
#ifndef CALL_DAMAGES_H
#define CALL_DAMAGES_H

#include "trial.h"

/* What a record points to, where a damage writes. */
typedef struct {
    ptrdiff_t *lengths, *offsets, *symbols;
    void *leak;
    ptrdiff_t rows, valid; /* of x, a and so on; those that are not padding */
} parts;

static void damage_options(trial *t, crnn_rnn_call *c) {
    const int relu = c->cell == CRNN_VANILLA || c->cell == CRNN_LEAKY;
    static const int wrong[] = {-1, 4, 5, 2147483647, -2147483647 - 1};
    const int value = wrong[pick(t, 5)];
    switch (pick(t, 6)) {
    case 0:
        c->activation = relu || chance(t) ? value : CRNN_RELU;
        break;
    case 1:
        c->reverse = value;
        break;
    case 2:
        c->threads = -1 - (int)pick(t, 256);
        break;
    case 3:
        c->dtype = value;
        t->may_be |= 1u << CRNN_UNSUPPORTED_DTYPE;
        return;
    case 4:
        c->cell = chance(t) ? value : (c->cell + 1 + (int)pick(t, 3)) % 4;
        t->may_be |= 1u << CRNN_WRONG_CELL;
        return;
    default:
        c->equation = value;
        t->may_be |= c->cell == CRNN_LEAKY ? 0 : 1u << CRNN_WRONG_CELL;
    }
    t->may_be |= 1u << CRNN_UNSUPPORTED_OPTION;
}

static void damage_sizes(trial *t, crnn_rnn_call *c) {
    static const ptrdiff_t wrong[] = {0, -1, PTRDIFF_MIN, PTRDIFF_MAX, PTRDIFF_MAX / 2};
    ptrdiff_t *const sizes[] = {&c->T, &c->m, &c->n_x, &c->n_a};
    const ptrdiff_t which = pick(t, 4), value = pick(t, 6);
    *sizes[which] = which > 0 && value == 5 ? 2147483648 : wrong[value % 5];
    t->may_be |= 1u << CRNN_SIZE_OUT_OF_RANGE;
}

/* Where the pointers of a record are. */
#define AT(field) offsetof(crnn_rnn_call, field)
static const size_t required[] = {AT(Waa), AT(Wax), AT(a), AT(workspace)};
static const size_t required_by_backward[] = {AT(dWaa), AT(dWax)};
static const size_t arrays[] = {AT(x),    AT(symbols), AT(Waa),  AT(Wax),     AT(a0),     AT(c0),
                                AT(leak), AT(a),       AT(kept), AT(lengths), AT(offsets)};
static const size_t of_forward[] = {AT(ba), AT(baa), AT(c_n)};
static const size_t of_backward[] = {AT(da), AT(da_n), AT(dc_n), AT(dWaa), AT(dWax), AT(dba),
                                     AT(dx), AT(da0),  AT(dbaa), AT(dc0),  AT(norms)};
static const size_t of_gru[] = {AT(baa), AT(dbaa)};
static const size_t of_lstm[] = {AT(c0), AT(c_n), AT(dc_n), AT(dc0)};
#define ONE_OF(t, table) table[pick(t, (ptrdiff_t)(sizeof table / sizeof *table))]

static uintptr_t address(const crnn_rnn_call *c, size_t field) {
    uintptr_t pointer;
    memcpy(&pointer, (const char *)c + field, sizeof pointer);
    return pointer;
}

static void point(crnn_rnn_call *c, size_t field, uintptr_t pointer) {
    memcpy((char *)c + field, &pointer, sizeof pointer);
}

static void damage_null(trial *t, crnn_rnn_call *c, int backward) {
    const ptrdiff_t kind = pick(t, backward ? 6 : 3);
    if (kind == 0)
        point(c, ONE_OF(t, required), 0);
    else if (kind == 1)
        c->x = NULL, c->symbols = NULL;
    else if (kind == 2 && c->cell == CRNN_LEAKY)
        c->leak = NULL;
    else if (kind == 3)
        point(c, ONE_OF(t, required_by_backward), 0);
    else if (kind == 4)
        c->da = c->da_n = c->dc_n = NULL;
    else if (kind == 5 && c->cell != CRNN_VANILLA)
        c->kept = NULL;
    else
        return;
    t->may_be |= 1u << CRNN_NULL_POINTER;
}

static void damage_alignment(trial *t, crnn_rnn_call *c, int backward) {
    const size_t field = chance(t)  ? ONE_OF(t, arrays)
                         : backward ? ONE_OF(t, of_backward)
                                    : ONE_OF(t, of_forward);
    if (address(c, field) == 0)
        return;
    point(c, field, address(c, field) + 1 + (uintptr_t)pick(t, 3));
    t->may_be |= 1u << CRNN_MISALIGNED;
}

/* Set a field that only another cell has, or both x and symbols, or the dx of symbols. */
static void damage_by_more(trial *t, crnn_rnn_call *c, int backward) {
    const ptrdiff_t kind = pick(t, 7);
    int status = CRNN_WRONG_CELL;
    if (kind == 0 && c->cell != CRNN_GRU)
        point(c, ONE_OF(t, of_gru), 64);
    else if (kind == 1 && c->cell != CRNN_LSTM)
        point(c, ONE_OF(t, of_lstm), 64);
    else if (kind == 2 && c->cell != CRNN_LEAKY)
        c->leak = (void *)64;
    else if (kind == 3 && c->cell != CRNN_LEAKY)
        c->noise = 1;
    else if (kind == 4 && c->cell != CRNN_LEAKY)
        c->seed = 1;
    else if (kind == 5 && c->cell == CRNN_VANILLA)
        c->kept = (void *)64;
    else {
        status = CRNN_UNSUPPORTED_OPTION;
        if (backward && c->symbols != NULL && chance(t))
            c->dx = (void *)64;
        else if (c->symbols != NULL)
            c->x = (void *)64;
        else
            c->symbols = (void *)64;
    }
    t->may_be |= 1u << status;
}

static void damage_lengths(trial *t, crnn_rnn_call *c, const parts *p) {
    const ptrdiff_t wrong[] = {0, -1, c->T + 1, PTRDIFF_MAX, PTRDIFF_MIN};
    if (p->offsets != NULL && chance(t))
        p->offsets[pick(t, c->T)] += 1 + pick(t, 3);
    else if (p->lengths != NULL)
        p->lengths[pick(t, c->m)] = wrong[pick(t, 5)];
    else
        c->offsets = memset(integers(t, c->T), 0, (size_t)c->T * sizeof(ptrdiff_t));
    t->may_be |= 1u << CRNN_LENGTH_OUT_OF_RANGE;
}

static void damage_symbols(trial *t, const crnn_rnn_call *c, const parts *p) {
    const ptrdiff_t wrong[] = {-1, c->n_x, PTRDIFF_MAX, PTRDIFF_MIN};
    ptrdiff_t row = pick(t, p->rows);
    if (p->symbols == NULL)
        return;
    if (c->lengths != NULL && c->offsets == NULL) /* the same example's first step is valid */
        row %= c->m;
    p->symbols[row] = wrong[pick(t, 4)];
    t->may_be |= 1u << CRNN_SYMBOL_OUT_OF_RANGE;
}

static void damage_leaky(trial *t, crnn_rnn_call *c, const parts *p) {
    static const double wrong[] = {-1e-300, (double)NAN, (double)INFINITY};
    if (p->leak == NULL)
        return;
    if (chance(t))
        damage_leak(t, c->dtype, c->n_a, p->leak);
    else
        c->noise = wrong[pick(t, 3)];
    t->may_be |= 1u << CRNN_LEAK_OUT_OF_RANGE;
}

/* Two damages at most; returns whether that of struct_size is one of them. */
static int damage(trial *t, crnn_rnn_call *c, const parts *p, int backward) {
    const ptrdiff_t first = pick(t, 20), second = pick(t, 20);
    const unsigned kinds = 1u << first | 1u << second; /* from 10 on: none */
    /* What reads the record's own values comes before what changes them. */
    if (kinds & 1u << 0)
        damage_lengths(t, c, p);
    if (kinds & 1u << 1)
        damage_symbols(t, c, p);
    if (kinds & 1u << 2)
        damage_leaky(t, c, p);
    if (kinds & 1u << 3)
        damage_alignment(t, c, backward);
    if (kinds & 1u << 4)
        damage_by_more(t, c, backward);
    if (kinds & 1u << 5)
        damage_null(t, c, backward);
    if (kinds & 1u << 6)
        damage_sizes(t, c);
    if (kinds & 1u << 7)
        damage_options(t, c);
    if (kinds & 1u << 8) {
        c->workspace_bytes -= 1 + (size_t)pick(t, 64);
        t->may_be |= 1u << CRNN_WORKSPACE_TOO_SMALL;
    }
    return (kinds & 1u << 9) != 0;
}

#endif
