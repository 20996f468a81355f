/* Creating a stepper: check the weights, lay out its memory, pack. */
#include <stdint.h>
#include <stdlib.h>

#include "engine.h"
#include "pages.h"
#include "shared.h"
#include "stepper_memory.h"

/* An upper bound for the stepper's bytes, which can be addressed. A double cannot overflow here. */
static int sizes_fit(const crnn_stepper_weights *w, ptrdiff_t m) {
    const ptrdiff_t sizes[] = {m, w->n_x, w->n_a, w->n_y};
    for (int k = 0; k < 4; k++)
        if (sizes[k] < 1 || sizes[k] > CRNN_LARGEST_SIZE)
            return 0;
    if (w->num_layers < 1 || w->num_layers > CRNN_MOST_LAYERS)
        return 0;
    const double n_a = (double)w->n_a + 64, widest = n_a + (double)w->n_x;
    const double numbers = (double)w->num_layers * (4 * n_a * (n_a + widest + 4 * (double)m)) +
                           ((double)w->n_y + 64) * n_a + 8 * n_a * (double)m;
    return 2 * numbers * (double)crnn_number_size(w->dtype) <= (double)(SIZE_MAX / 2);
}

static int check_options(const crnn_stepper_weights *w) {
    const int relu = w->cell == CRNN_VANILLA || w->cell == CRNN_LEAKY;
    if (crnn_number_size(w->dtype) == 0)
        return CRNN_UNSUPPORTED_DTYPE;
    if (w->cell < CRNN_VANILLA || w->cell > CRNN_LSTM ||
        (w->cell != CRNN_LEAKY && (w->leak != NULL || w->equation != CRNN_RATE)) ||
        (w->cell != CRNN_GRU && w->baa != NULL) || (w->cell != CRNN_LSTM && w->c0 != NULL))
        return CRNN_WRONG_CELL;
    if ((w->activation != CRNN_TANH && !(relu && w->activation == CRNN_RELU)) ||
        (w->equation != CRNN_RATE && w->equation != CRNN_CURRENT) || w->link < CRNN_LINEAR ||
        w->link > CRNN_DEVIATION || (w->link == CRNN_DEVIATION && w->n_y % 2 != 0))
        return CRNN_UNSUPPORTED_OPTION;
    return CRNN_OK;
}

/* Check an array for each layer; `all` of them, or none, must be there. */
static int check_arrays(const void *const *arrays, int all, const crnn_stepper_weights *w) {
    if (arrays == NULL)
        return all ? CRNN_NULL_POINTER : CRNN_OK;
    if ((uintptr_t)arrays % sizeof *arrays != 0)
        return CRNN_MISALIGNED;
    for (ptrdiff_t l = 0; l < w->num_layers; l++) {
        if (arrays[l] == NULL && all)
            return CRNN_NULL_POINTER;
        if ((uintptr_t)arrays[l] % crnn_number_size(w->dtype) != 0)
            return CRNN_MISALIGNED;
    }
    return CRNN_OK;
}

static int check_weights(const crnn_stepper_weights *w, ptrdiff_t m) {
    int status = check_options(w);
    if (status != CRNN_OK)
        return status;
    if (!sizes_fit(w, m))
        return CRNN_SIZE_OUT_OF_RANGE;
    const struct {
        const void *const *arrays;
        int all;
    } of_layers[] = {{w->Waa, 1}, {w->Wax, 1}, {w->ba, 0}, {w->baa, 0}, {w->a0, 0}, {w->c0, 0}};
    for (size_t k = 0; k < sizeof of_layers / sizeof *of_layers && status == CRNN_OK; k++)
        status = check_arrays(of_layers[k].arrays, of_layers[k].all, w);
    if (status != CRNN_OK)
        return status;
    if (w->Wya == NULL || (w->cell == CRNN_LEAKY && w->leak == NULL))
        return CRNN_NULL_POINTER;
    if (((uintptr_t)w->Wya | (uintptr_t)w->by | (uintptr_t)w->leak) % crnn_number_size(w->dtype))
        return CRNN_MISALIGNED;
    return w->cell == CRNN_LEAKY ? crnn_check_leaks(w->dtype, w->n_a, w->leak) : CRNN_OK;
}

/* Where the parts of a stepper begin, in bytes after its first. */
typedef struct {
    size_t packed, biases, leak, state, initial, z, end;
} layout;

static size_t after(size_t at, ptrdiff_t numbers, size_t number) {
    return (at + (size_t)numbers * number + 63) / 64 * 64;
}

static ptrdiff_t inputs_of(const crnn_stepper_weights *w, ptrdiff_t layer) {
    return layer == 0 ? w->n_x : w->n_a;
}

static layout lay_out(const crnn_stepper_weights *w, ptrdiff_t m, const crnn_operations *kernels) {
    const size_t number = crnn_number_size(w->dtype);
    const crnn_cell_sizes cell = crnn_cell_of(w->cell);
    const ptrdiff_t states = (w->cell == CRNN_LSTM ? 2 : 1) * w->num_layers * m * w->n_a;
    ptrdiff_t packed = kernels->padded(w->n_a, w->n_y);
    for (ptrdiff_t l = 0; l < w->num_layers; l++)
        packed += kernels->padded(inputs_of(w, l), cell.gates * w->n_a) +
                  kernels->padded(w->n_a, cell.gates * w->n_a);
    layout at;
    at.packed = after(sizeof(crnn_stepper), 0, 1);
    at.biases = after(at.packed, packed, number);
    at.leak = after(at.biases, w->num_layers * cell.groups * w->n_a + w->n_y, number);
    at.state = after(at.leak, w->leak == NULL ? 0 : w->n_a, number);
    at.initial = after(at.state, states, number);
    at.z = after(at.initial, states, number);
    at.end = after(at.z, (cell.groups + 1) * m * w->n_a, number);
    return at;
}

/* Copy n numbers of an array, or zeros; returns what follows them. */
static char *put(char *to, const void *const *arrays, ptrdiff_t layer, size_t bytes) {
    const void *from = arrays == NULL ? NULL : arrays[layer];
    if (from != NULL)
        memcpy(to, from, bytes);
    return to + bytes; /* the block begins as zeros */
}

/* The same with the rows of each gate, `row` bytes a unit, in the order of the groups of z. */
static char *put_gates(const crnn_stepper *s, char *to, const void *const *arrays, ptrdiff_t layer,
                       size_t row) {
    const crnn_cell_sizes cell = crnn_cell_of(s->call.cell);
    const size_t bytes = (size_t)s->call.n_a * row;
    const char *from = arrays == NULL ? NULL : arrays[layer];
    for (int g = 0; g < cell.gates && from != NULL; g++)
        memcpy(to + (size_t)g * bytes, from + (size_t)cell.first[g] * bytes, bytes);
    return to + (size_t)cell.gates * bytes;
}

/* Pack the weights. `room` has space for the largest Wax. */
static void pack(const crnn_stepper *s, const crnn_stepper_weights *w, char *to, char *room) {
    const ptrdiff_t rows = crnn_cell_of(w->cell).gates * w->n_a;
    for (ptrdiff_t l = 0; l < w->num_layers; l++) {
        const ptrdiff_t n_in = inputs_of(w, l);
        put_gates(s, room, w->Wax, l, (size_t)n_in * s->number);
        s->kernels->pack(n_in, rows, room, to);
        to += (size_t)s->kernels->padded(n_in, rows) * s->number;
        s->kernels->pack(w->n_a, rows, w->Waa[l], to);
        to += (size_t)s->kernels->padded(w->n_a, rows) * s->number;
    }
    s->kernels->pack(w->n_a, w->n_y, w->Wya, to);
}

static void put_biases(const crnn_stepper *s, const crnn_stepper_weights *w, char *to) {
    const size_t units = (size_t)w->n_a * s->number;
    for (ptrdiff_t l = 0; l < w->num_layers; l++) {
        to = put_gates(s, to, w->ba, l, s->number);
        if (w->cell == CRNN_GRU)
            to = put(to, w->baa, l, units);
    }
    put(to, &w->by, 0, (size_t)w->n_y * s->number);
}

/* The initial states (states, num_layers, m, n_a). */
static void put_initial(const crnn_stepper *s, const crnn_stepper_weights *w, char *to) {
    const size_t units = (size_t)w->n_a * s->number;
    for (int state = 0; state < (w->cell == CRNN_LSTM ? 2 : 1); state++)
        for (ptrdiff_t l = 0; l < w->num_layers; l++)
            for (ptrdiff_t i = 0; i < s->call.m; i++)
                to = put(to, state == 0 ? w->a0 : w->c0, l, units);
}

static void fill(crnn_stepper *s, const crnn_stepper_weights *w, layout at, char *room) {
    char *base = (char *)s;
    pack(s, w, base + at.packed, room);
    put_biases(s, w, base + at.biases);
    if (w->leak != NULL)
        memcpy(base + at.leak, w->leak, (size_t)w->n_a * s->number);
    put_initial(s, w, base + at.initial);
    s->initial = base + at.initial;
    s->call.packed = base + at.packed;
    s->call.biases = base + at.biases;
    s->call.leak = w->leak == NULL ? NULL : base + at.leak;
    s->call.a = base + at.state;
    s->call.z = base + at.z;
    crnn_stepper_reset(s);
}

/* A block of zeros for a stepper, whose first fields are set; or NULL. */
static crnn_stepper *allocate(const crnn_stepper_weights *w, ptrdiff_t m, layout at,
                              const crnn_operations *kernels) {
    void *memory;
    crnn_stepper *s = crnn_allocate(at.end, &memory);
    if (s == NULL)
        return NULL;
    memset(s, 0, at.end); /* also makes sure that no step is the first to touch a page */
    s->memory = memory;
    s->kernels = kernels;
    s->dtype = w->dtype;
    s->number = crnn_number_size(w->dtype);
    s->state_bytes =
        (size_t)((w->cell == CRNN_LSTM ? 2 : 1) * w->num_layers * m * w->n_a) * s->number;
    s->call.m = m;
    s->call.n_x = w->n_x, s->call.n_a = w->n_a, s->call.n_y = w->n_y;
    s->call.num_layers = w->num_layers;
    s->call.cell = w->cell;
    s->call.equation = w->equation;
    s->call.activation = w->activation;
    s->call.link = w->link;
    return s;
}

int crnn_stepper_create(const crnn_stepper_weights *given, ptrdiff_t m, crnn_stepper **stepper) {
    crnn_stepper_weights w;
    if (stepper == NULL)
        return CRNN_NULL_POINTER;
    *stepper = NULL;
    int status = crnn_read_record(given, sizeof w, &w, sizeof w);
    if (status == CRNN_OK)
        status = check_weights(&w, m);
    if (status != CRNN_OK)
        return status;
    const crnn_operations *kernels = crnn_operations_for(w.dtype); /* a program may select others */
    const layout at = lay_out(&w, m, kernels);
    const ptrdiff_t widest = w.n_x > w.n_a ? w.n_x : w.n_a;
    char *room = malloc((size_t)(crnn_cell_of(w.cell).gates * w.n_a) * (size_t)widest *
                        crnn_number_size(w.dtype));
    crnn_stepper *made = room == NULL ? NULL : allocate(&w, m, at, kernels);
    if (made != NULL)
        fill(made, &w, at, room);
    free(room);
    *stepper = made;
    return made == NULL ? CRNN_OUT_OF_MEMORY : CRNN_OK;
}

void crnn_stepper_destroy(crnn_stepper *stepper) {
    if (stepper != NULL)
        free(stepper->memory);
}
