/* Records of weights for crnn_stepper_create, by clang's libFuzzer: one that is not refused makes a
 * stepper, which steps, after the weights are gone. Every array has exactly the size that
 * crnn_stepper.h says. Compile with -fsanitize=fuzzer,address,undefined. */
#include "crnn_stepper.h"
#include "shared.h"
#include "trial.h"

/* What a record points to, where a damage writes. */
typedef struct {
    const void **Waa, **Wax, **ba;
    void *leak;
    ptrdiff_t m;
} parts;

static void make_options(trial *t, crnn_stepper_weights *w, parts *p) {
    static const ptrdiff_t widths[] = {1, 2, 3, 5, 8, 17, 33, 65};
    p->m = 1 + pick(t, 7);
    w->dtype = chance(t) ? CRNN_FLOAT64 : CRNN_FLOAT32;
    w->cell = (int)pick(t, 4);
    w->num_layers = 1 + pick(t, 3);
    w->n_x = 1 + pick(t, 9), w->n_a = widths[pick(t, 8)], w->n_y = widths[pick(t, 8)];
    w->link = (int)pick(t, 4);
    w->n_y *= w->link == CRNN_DEVIATION ? 2 : 1;
    if (w->cell == CRNN_VANILLA || w->cell == CRNN_LEAKY)
        w->activation = chance(t) ? CRNN_RELU : CRNN_TANH;
    if (w->cell == CRNN_LEAKY)
        w->equation = chance(t) ? CRNN_CURRENT : CRNN_RATE;
}

/* An array for each layer, of `first` numbers for layer 0 and `n` for the others. */
static const void **layers(trial *t, const crnn_stepper_weights *w, ptrdiff_t first, ptrdiff_t n) {
    const void **all = memory_of(t, (size_t)w->num_layers * sizeof *all, 0);
    for (ptrdiff_t l = 0; l < w->num_layers; l++)
        all[l] = numbers(t, w->dtype, l == 0 ? first : n);
    return all;
}

/* The same, or NULL, or some of the arrays NULL. */
static const void **optional_layers(trial *t, const crnn_stepper_weights *w, ptrdiff_t n) {
    const void **all = chance(t) ? NULL : layers(t, w, n, n);
    for (ptrdiff_t l = 0; l < w->num_layers && all != NULL; l++)
        all[l] = chance(t) ? NULL : all[l];
    return all;
}

static void make_arrays(trial *t, crnn_stepper_weights *w, parts *p) {
    const ptrdiff_t gates = crnn_cell_of(w->cell).gates * w->n_a;
    w->Waa = p->Waa = layers(t, w, gates * w->n_a, gates * w->n_a);
    w->Wax = p->Wax = layers(t, w, gates * w->n_x, gates * w->n_a);
    w->ba = p->ba = optional_layers(t, w, gates);
    w->a0 = optional_layers(t, w, w->n_a);
    w->baa = w->cell == CRNN_GRU ? optional_layers(t, w, w->n_a) : NULL;
    w->c0 = w->cell == CRNN_LSTM ? optional_layers(t, w, w->n_a) : NULL;
    w->Wya = numbers(t, w->dtype, w->n_y * w->n_a);
    w->by = optional(t, w->dtype, w->n_y);
    if (w->cell == CRNN_LEAKY)
        w->leak = p->leak = leaks(t, w->dtype, w->n_a);
}

static void damage_options(trial *t, crnn_stepper_weights *w) {
    static const int wrong[] = {-1, 4, 5, 2147483647, -2147483647 - 1};
    int *const fields[] = {&w->dtype, &w->cell, &w->activation, &w->equation, &w->link};
    static const int statuses[] = {CRNN_UNSUPPORTED_DTYPE, CRNN_WRONG_CELL, CRNN_UNSUPPORTED_OPTION,
                                   CRNN_UNSUPPORTED_OPTION, CRNN_UNSUPPORTED_OPTION};
    const ptrdiff_t which = pick(t, 6);
    if (which == 5) { /* an odd number of means and deviations */
        w->link = CRNN_DEVIATION, w->n_y = 3;
        t->may_be |= 1u << CRNN_UNSUPPORTED_OPTION;
        return;
    }
    *fields[which] = wrong[pick(t, 5)];
    t->may_be |= 1u << statuses[which];
    t->may_be |= which == 3 && w->cell != CRNN_LEAKY ? 1u << CRNN_WRONG_CELL : 0;
}

static void damage_sizes(trial *t, crnn_stepper_weights *w, parts *p) {
    static const ptrdiff_t wrong[] = {0, -1, 2147483648, PTRDIFF_MAX, PTRDIFF_MIN};
    ptrdiff_t *const sizes[] = {&w->n_x, &w->n_a, &w->n_y, &w->num_layers, &p->m};
    *sizes[pick(t, 5)] = wrong[pick(t, 5)];
    /* n_y may become odd */
    t->may_be |= 1u << CRNN_SIZE_OUT_OF_RANGE;
    t->may_be |= w->link == CRNN_DEVIATION ? 1u << CRNN_UNSUPPORTED_OPTION : 0;
}

static void damage_null(trial *t, crnn_stepper_weights *w, const parts *p) {
    const ptrdiff_t layer = pick(t, w->num_layers);
    switch (pick(t, 6)) {
    case 0:
        w->Waa = NULL;
        break;
    case 1:
        w->Wax = NULL;
        break;
    case 2:
        w->Wya = NULL;
        break;
    case 3:
        p->Waa[layer] = NULL;
        break;
    case 4:
        p->Wax[layer] = NULL;
        break;
    default:
        if (w->cell != CRNN_LEAKY)
            return;
        w->leak = NULL;
    }
    t->may_be |= 1u << CRNN_NULL_POINTER;
}

static const void *beside(const void *pointer) { return (const void *)((uintptr_t)pointer + 1); }

static void damage_alignment(trial *t, crnn_stepper_weights *w, const parts *p) {
    const ptrdiff_t layer = pick(t, w->num_layers);
    switch (pick(t, 6)) {
    case 0:
        w->Waa = beside(w->Waa);
        break;
    case 1:
        p->Wax[layer] = beside(p->Wax[layer]);
        break;
    case 2:
        w->Wya = beside(w->Wya);
        break;
    case 3:
        w->by = beside(w->by);
        break;
    case 4:
        if (p->leak == NULL)
            return;
        w->leak = beside(w->leak);
        break;
    default:
        if (p->ba == NULL)
            return;
        p->ba[layer] = beside(p->ba[layer]);
    }
    t->may_be |= 1u << CRNN_MISALIGNED;
}

/* Set a field that only another cell has. */
static void damage_by_more(trial *t, crnn_stepper_weights *w) {
    const ptrdiff_t kind = pick(t, 3);
    if (kind == 0 && w->cell != CRNN_GRU)
        w->baa = w->Waa;
    else if (kind == 1 && w->cell != CRNN_LSTM)
        w->c0 = w->Waa;
    else if (w->cell != CRNN_LEAKY)
        w->leak = w->Wya;
    else
        return;
    t->may_be |= 1u << CRNN_WRONG_CELL;
}

/* Two damages at most; returns whether that of struct_size is one of them. */
static int damage(trial *t, crnn_stepper_weights *w, parts *p) {
    const ptrdiff_t first = pick(t, 12), second = pick(t, 12);
    const unsigned kinds = 1u << first | 1u << second; /* from 7 on: none */
    /* What reads the record's own values comes before what changes them. */
    if (kinds & 1u << 0 && p->leak != NULL)
        damage_leak(t, w->dtype, w->n_a, p->leak);
    if (kinds & 1u << 1)
        damage_null(t, w, p);
    else if (kinds & 1u << 2)
        damage_alignment(t, w, p);
    if (kinds & 1u << 3)
        damage_by_more(t, w);
    if (kinds & 1u << 4)
        damage_sizes(t, w, p);
    else if (kinds & 1u << 5)
        damage_options(t, w);
    return (kinds & 1u << 6) != 0;
}

/* What a stepper may be asked, with arrays that have exactly its sizes. */
static void step(trial *t, crnn_stepper *stepper, const crnn_stepper_weights *w, ptrdiff_t m) {
    trial own = {.at = t->at, .end = t->end};
    crnn_stepper_sizes sizes = {.struct_size = sizeof sizes};
    expect(crnn_stepper_get_sizes(stepper, &sizes) == CRNN_OK && sizes.m == m &&
               sizes.n_x == w->n_x && sizes.n_y == w->n_y,
           "sizes", CRNN_OK);
    const void *x = numbers(&own, w->dtype, m * w->n_x);
    ptrdiff_t *symbols = memory_of(&own, (size_t)m * sizeof *symbols, 0);
    void *y = output(&own, size_of(w->dtype), m * w->n_y);
    void *state = memory_of(&own, sizes.state_bytes, (size_t)pick(&own, 8));
    for (ptrdiff_t i = 0; i < m; i++)
        symbols[i] = pick(&own, w->n_x);
    const ptrdiff_t row = pick(&own, m), wrong = any_integer(&own);
    expect(crnn_stepper_step(stepper, x, (char *)y + 1) == CRNN_MISALIGNED && untouched(&own),
           "misaligned", CRNN_OK);
    expect(crnn_stepper_get_state(stepper, state, sizes.state_bytes) == CRNN_OK &&
               crnn_stepper_step(stepper, x, y) == CRNN_OK &&
               crnn_stepper_step_symbols(stepper, symbols, y) == CRNN_OK &&
               crnn_stepper_set_state(stepper, state, sizes.state_bytes) == CRNN_OK &&
               crnn_stepper_reset_row(stepper, row) == CRNN_OK &&
               crnn_stepper_reset(stepper) == CRNN_OK,
           "step", CRNN_OK);
    if (wrong < 0 || wrong >= m)
        expect(crnn_stepper_reset_row(stepper, wrong) == CRNN_SIZE_OUT_OF_RANGE, "row", CRNN_OK);
    if (wrong < 0 || wrong >= w->n_x) {
        symbols[row] = wrong;
        expect(crnn_stepper_step_symbols(stepper, symbols, y) == CRNN_SYMBOL_OUT_OF_RANGE, "symbol",
               CRNN_OK);
    }
    release(&own);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    trial t = {.at = bytes, .end = bytes + size};
    crnn_stepper_weights w = crnn_stepper_weights_new();
    parts p = {0};
    crnn_stepper *stepper;
    make_options(&t, &w, &p);
    make_arrays(&t, &w, &p);
    const int of_record = damage(&t, &w, &p);
    const int status =
        crnn_stepper_create(record_of(&t, &w, sizeof w, sizeof w, of_record), p.m, &stepper);
    release(&t); /* everything was copied */
    if (t.may_be == 0) {
        expect(status == CRNN_OK, "accepted", status);
        step(&t, stepper, &w, p.m);
    } else
        expect((t.may_be & 1u << status) != 0 && stepper == NULL, "refused", status);
    crnn_stepper_destroy(stepper);
    return 0;
}
