/* XLA calls these handlers on its own threads, without the GIL, when a compiled function reaches a
 * call of crnn. A handler checks its operands, fills a record of the C interface and runs it.
 *
 * Scratch memory is allocated with malloc for each call. An extra result could serve as scratch
 * memory, but its size would be fixed when the function is traced, and an exported function may run
 * on a processor that needs more. XLA's own allocator ends in malloc too.
 */
#include "handler.h"
#include "shared.h"

#include <stdio.h>
#include <stdlib.h>

const crnn_c_api *crnn_xla_api = NULL;

/* Whether crnn knows this interface: the major version, and records that are long enough. */
static int known(const xla_frame *frame) {
    const xla_api *api = frame->api;
    return frame->struct_size >= sizeof *frame &&
           frame->arguments.struct_size >= sizeof(xla_list) &&
           frame->results.struct_size >= sizeof(xla_list) &&
           frame->attributes.struct_size >= sizeof(xla_attributes) && api != NULL &&
           api->struct_size >= sizeof *api && api->version.major == XLA_MAJOR;
}

/* Answer XLA's question when a handler is registered. Returns 1 if the call was that question.
 *
 * XLA asks which version a handler was made for, and refuses versions that it does not support;
 * some versions of it refuse all but their own. What crnn reads is the same in all versions 0.x, so
 * the answer is XLA's own version, or 0.1 if its version is unknown or has another major number. */
static int answered_metadata(const xla_frame *frame) {
    xla_metadata *metadata;
    if (frame->extensions == NULL || frame->extensions->type != XLA_METADATA)
        return 0;
    metadata = ((xla_metadata_extension *)frame->extensions)->metadata;
    metadata->traits = 0;
    metadata->version.major = XLA_MAJOR;
    metadata->version.minor = known(frame) ? frame->api->version.minor : XLA_LEAST_MINOR;
    return 1;
}

static xla_error *failed(const xla_frame *frame, int code, const char *message) {
    xla_new_error error = {sizeof error, NULL, message, code};
    return frame->api->create_error(&error);
}

/* Normally not reached, because XLA refuses at registration what it does not support. */
static xla_error *unknown(const xla_frame *frame) {
    return failed(frame, XLA_UNIMPLEMENTED,
                  "crnn: this jaxlib's FFI is none that this version of crnn knows");
}

/* A call while it runs. */
typedef struct {
    const xla_frame *frame;
    crnn_rnn_call rnn;
    void *memory;
    xla_error *error; /* the first error; nothing more is done after it */
} call;

static void fail(call *c, const char *what, int64_t k) {
    char message[120];
    if (c->error != NULL)
        return;
    snprintf(message, sizeof message, "crnn: %s %d is absent or does not fit in type or shape",
             what, (int)k);
    c->error = failed(c->frame, XLA_INVALID_ARGUMENT, message);
}

/* Fail if the C interface returned an error. */
static void check(call *c, int status) {
    char message[640];
    if (c->error != NULL || status == CRNN_OK)
        return;
    /* In JAX symbols are an x of integers. */
    snprintf(message, sizeof message, "crnn: %s",
             status == CRNN_SYMBOL_OUT_OF_RANGE ? "x: expected integers in 0..n_x-1"
                                                : crnn_xla_api->status_message(status));
    c->error = failed(c->frame, XLA_INVALID_ARGUMENT, message);
}

static const xla_buffer *buffer_at(const xla_list *list, int64_t k) {
    const xla_buffer *buffer;
    if (k >= list->size || list->types[k] != XLA_BUFFER)
        return NULL;
    buffer = list->values[k];
    return buffer->struct_size >= sizeof *buffer ? buffer : NULL;
}

/* The data of argument or result k, which must have the dtype of the call and these dims. */
static void *reals(call *c, const xla_list *list, int64_t k, int64_t rank, const ptrdiff_t *dims) {
    const xla_buffer *buffer = c->error == NULL ? buffer_at(list, k) : NULL;
    const int dtype = c->rnn.dtype == CRNN_FLOAT32 ? XLA_F32 : XLA_F64;
    int fits = buffer != NULL && buffer->dtype == dtype && buffer->rank == rank;
    for (int64_t d = 0; fits && d < rank; d++)
        fits = buffer->dims[d] == dims[d];
    if (fits)
        return buffer->data;
    fail(c, list == &c->frame->arguments ? "operand" : "result", k);
    return NULL;
}

/* Convert n 32-bit or 64-bit integers to ptrdiff_t. */
static void widen(const xla_buffer *from, ptrdiff_t n, ptrdiff_t *to) {
    const int32_t *narrow = from->data;
    const int64_t *wide = from->data;
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = from->dtype == XLA_S32 ? (ptrdiff_t)narrow[i] : (ptrdiff_t)wide[i];
}

static int is_integers(const xla_buffer *buffer, int64_t rank) {
    return buffer != NULL && buffer->rank == rank &&
           (buffer->dtype == XLA_S32 || buffer->dtype == XLA_S64);
}

/* The 32-bit attribute with that name. */
static int option(call *c, const char *name) {
    const xla_attributes *given = &c->frame->attributes;
    for (int64_t k = 0; k < given->size; k++) {
        const xla_text *key = given->names[k];
        if (key->length == strlen(name) && memcmp(key->text, name, key->length) == 0 &&
            given->types[k] == XLA_SCALAR) {
            const xla_scalar *scalar = given->values[k];
            if (scalar->dtype == XLA_S32)
                return *(const int32_t *)scalar->value;
        }
    }
    fail(c, "attribute", strcmp(name, "activation") == 0 ? 0 : 1);
    return 0;
}

/* Allocate memory for lengths (m), symbols (T, m) if there are any, and the workspace. */
static void take_memory(call *c, const xla_buffer *symbols, const xla_buffer *lengths,
                        int backward) {
    crnn_rnn_call *rnn = &c->rnn;
    const ptrdiff_t count = symbols == NULL ? 0 : rnn->T * rnn->m;
    ptrdiff_t *integers;
    check(c, crnn_xla_api->rnn_workspace(rnn, backward, &rnn->workspace_bytes));
    if (c->error != NULL)
        return;
    c->memory = integers =
        malloc((size_t)(rnn->m + count) * sizeof *integers + rnn->workspace_bytes);
    if (integers == NULL) {
        c->error = failed(c->frame, XLA_RESOURCE_EXHAUSTED, "crnn: no memory for the workspace");
        return;
    }
    widen(lengths, rnn->m, integers);
    rnn->lengths = integers;
    if (symbols != NULL) {
        widen(symbols, count, integers + rnn->m);
        rnn->symbols = integers + rnn->m;
    }
    rnn->workspace = integers + rnn->m + count;
}

/* The units of all gates: the rows of Waa and Wax. */
static ptrdiff_t units(const crnn_rnn_call *rnn) {
    return crnn_cell_of(rnn->cell).gates * rnn->n_a;
}

/* Read operands 0 to 4, which both directions have: x or symbols, Waa, Wax, a0, lengths. The first
 * three give the sizes of the call; then its memory is allocated. */
static void read_inputs(call *c, int backward) {
    crnn_rnn_call *rnn = &c->rnn;
    const xla_list *given = &c->frame->arguments;
    const xla_buffer *x = buffer_at(given, 0), *Waa = buffer_at(given, 1),
                     *Wax = buffer_at(given, 2), *lengths = buffer_at(given, 4);
    const int symbols = is_integers(x, 2);

    if (!symbols && (x == NULL || x->rank != 3))
        fail(c, "operand", 0);
    else if (Waa == NULL || Waa->rank != 2 || (Waa->dtype != XLA_F32 && Waa->dtype != XLA_F64))
        fail(c, "operand", 1);
    else if (Wax == NULL || Wax->rank != 2)
        fail(c, "operand", 2);
    else if (!is_integers(lengths, 1) || lengths->dims[0] != x->dims[1])
        fail(c, "operand", 4);
    if (c->error != NULL)
        return;

    rnn->dtype = Waa->dtype == XLA_F32 ? CRNN_FLOAT32 : CRNN_FLOAT64;
    rnn->T = (ptrdiff_t)x->dims[0], rnn->m = (ptrdiff_t)x->dims[1];
    rnn->n_a = (ptrdiff_t)Waa->dims[1], rnn->n_x = (ptrdiff_t)Wax->dims[1];
    rnn->activation = option(c, "activation"), rnn->reverse = option(c, "reverse");
    if (!symbols)
        rnn->x = reals(c, given, 0, 3, (const ptrdiff_t[]){rnn->T, rnn->m, rnn->n_x});
    rnn->Waa = reals(c, given, 1, 2, (const ptrdiff_t[]){units(rnn), rnn->n_a});
    rnn->Wax = reals(c, given, 2, 2, (const ptrdiff_t[]){units(rnn), rnn->n_x});
    rnn->a0 = reals(c, given, 3, 2, (const ptrdiff_t[]){rnn->m, rnn->n_a});
    take_memory(c, symbols ? x : NULL, lengths, backward);
}

/* What is kept is a result of fixed size. Fill what a call with lengths leaves over, because JAX
 * may search results for NaN. */
static void clear_rest(const crnn_rnn_call *rnn, ptrdiff_t numbers) {
    const size_t row = (size_t)numbers * (rnn->dtype == CRNN_FLOAT32 ? 4 : 8);
    ptrdiff_t rows = 0;
    for (ptrdiff_t i = 0; i < rnn->m; i++)
        rows += rnn->lengths[i];
    memset((char *)rnn->kept + (size_t)rows * row, 0, (size_t)(rnn->T * rnn->m - rows) * row);
}

static int run_forward(const crnn_rnn_call *rnn) {
    return rnn->cell == CRNN_GRU    ? crnn_xla_api->gru_forward(rnn)
           : rnn->cell == CRNN_LSTM ? crnn_xla_api->lstm_forward(rnn)
                                    : crnn_xla_api->rnn_forward(rnn);
}

static int run_backward(const crnn_rnn_call *rnn) {
    return rnn->cell == CRNN_GRU    ? crnn_xla_api->gru_backward(rnn)
           : rnn->cell == CRNN_LSTM ? crnn_xla_api->lstm_backward(rnn)
                                    : crnn_xla_api->rnn_backward(rnn);
}

/* The operands and results of forward after those of read_inputs. */
static void read_forward(call *c) {
    crnn_rnn_call *rnn = &c->rnn;
    const xla_list *given = &c->frame->arguments, *results = &c->frame->results;
    const ptrdiff_t T = rnn->T, m = rnn->m, n_a = rnn->n_a;
    const ptrdiff_t kept = crnn_cell_of(rnn->cell).kept * n_a;
    int64_t next = 1;
    rnn->ba = reals(c, given, 5, 1, (const ptrdiff_t[]){units(rnn)});
    rnn->a = reals(c, results, 0, 3, (const ptrdiff_t[]){T, m, n_a});
    if (rnn->cell == CRNN_GRU)
        rnn->baa = reals(c, given, 6, 1, (const ptrdiff_t[]){n_a});
    if (rnn->cell == CRNN_LSTM) {
        rnn->c0 = reals(c, given, 6, 2, (const ptrdiff_t[]){m, n_a});
        rnn->c_n = reals(c, results, next++, 2, (const ptrdiff_t[]){m, n_a});
    }
    if (c->error == NULL && results->size > next)
        rnn->kept = reals(c, results, next, 3, (const ptrdiff_t[]){T, m, kept});
}

/* The operands and results of backward after those of read_inputs. */
static void read_backward(call *c) {
    crnn_rnn_call *rnn = &c->rnn;
    const xla_list *given = &c->frame->arguments, *results = &c->frame->results;
    const ptrdiff_t T = rnn->T, m = rnn->m, n_x = rnn->n_x, n_a = rnn->n_a;
    const ptrdiff_t kept = crnn_cell_of(rnn->cell).kept * n_a;
    int64_t operand = 5, result = 4;
    if (rnn->cell == CRNN_LSTM)
        rnn->c0 = reals(c, given, operand++, 2, (const ptrdiff_t[]){m, n_a});
    rnn->a = reals(c, given, operand++, 3, (const ptrdiff_t[]){T, m, n_a});
    if (kept > 0)
        rnn->kept = reals(c, given, operand++, 3, (const ptrdiff_t[]){T, m, kept});
    rnn->da = reals(c, given, operand++, 3, (const ptrdiff_t[]){T, m, n_a});
    if (rnn->cell == CRNN_LSTM)
        rnn->dc_n = reals(c, given, operand++, 2, (const ptrdiff_t[]){m, n_a});

    rnn->dWaa = reals(c, results, 0, 2, (const ptrdiff_t[]){units(rnn), n_a});
    rnn->dWax = reals(c, results, 1, 2, (const ptrdiff_t[]){units(rnn), n_x});
    rnn->dba = reals(c, results, 2, 1, (const ptrdiff_t[]){units(rnn)});
    rnn->da0 = reals(c, results, 3, 2, (const ptrdiff_t[]){m, n_a});
    if (rnn->cell == CRNN_GRU)
        rnn->dbaa = reals(c, results, result++, 1, (const ptrdiff_t[]){n_a});
    if (rnn->cell == CRNN_LSTM)
        rnn->dc0 = reals(c, results, result++, 2, (const ptrdiff_t[]){m, n_a});
    if (c->error == NULL && results->size > result)
        rnn->dx = reals(c, results, result, 3, (const ptrdiff_t[]){T, m, n_x});
}

/* One call of a handler, from the frame that XLA gives it to the error that it returns. */
static xla_error *handle(xla_frame *frame, int cell, int backward) {
    call c = {frame, crnn_rnn_new(), NULL, NULL};
    if (answered_metadata(frame))
        return NULL;
    if (!known(frame))
        return unknown(frame);
    c.rnn.cell = cell;
    read_inputs(&c, backward);
    if (backward)
        read_backward(&c);
    else
        read_forward(&c);
    if (c.error == NULL)
        check(&c, backward ? run_backward(&c.rnn) : run_forward(&c.rnn));
    if (c.error == NULL && !backward && c.rnn.kept != NULL)
        clear_rest(&c.rnn, crnn_cell_of(cell).kept * c.rnn.n_a);
    free(c.memory);
    return c.error;
}

xla_error *crnn_xla_rnn_forward(xla_frame *frame) { return handle(frame, CRNN_VANILLA, 0); }
xla_error *crnn_xla_rnn_backward(xla_frame *frame) { return handle(frame, CRNN_VANILLA, 1); }
xla_error *crnn_xla_gru_forward(xla_frame *frame) { return handle(frame, CRNN_GRU, 0); }
xla_error *crnn_xla_gru_backward(xla_frame *frame) { return handle(frame, CRNN_GRU, 1); }
xla_error *crnn_xla_lstm_forward(xla_frame *frame) { return handle(frame, CRNN_LSTM, 0); }
xla_error *crnn_xla_lstm_backward(xla_frame *frame) { return handle(frame, CRNN_LSTM, 1); }
