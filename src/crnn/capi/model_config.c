#include "model_config.h"

#include <string.h>

#include "check.h"
#include "crnn_stepper.h"

enum { FORMAT = 1 };

/* A word of the configuration, its number here, and whether a stepper has it. */
typedef struct {
    const char *name;
    int number, unsupported;
} choice;

#define CHOICES(...) ((const choice[]){__VA_ARGS__, {NULL, 0, 0}})

/* The reader, and what it found out so far. */
typedef struct {
    json *text;
    model_config *config;
    int unsupported;
} reading;

static void read_choice(reading *r, const choice *choices, int *number) {
    json_text text;
    if (!crnn_json_string(r->text, &text))
        return;
    for (; choices->name != NULL; choices++)
        if (crnn_json_is(text, choices->name)) {
            *number = choices->number;
            r->unsupported |= choices->unsupported;
            return;
        }
    r->text->failed = 1;
}

static void read_size(reading *r, ptrdiff_t most, ptrdiff_t *size) {
    if (crnn_json_count(r->text, size) && (*size < 1 || *size > most))
        r->text->failed = 1;
}

/* Where a value begins, unless it is null; it is skipped. */
static void read_place(reading *r, const char **place) {
    if (crnn_json_null(r->text))
        return;
    crnn_json_peek(r->text);
    *place = r->text->at;
    crnn_json_skip(r->text);
}

static void read_number(reading *r, double below) {
    double number;
    if (crnn_json_number(r->text, &number) && !(number >= 0 && number < below))
        r->text->failed = 1;
}

/* The name of a loss decides what the answers are: its name, or {"name": its name, options}. */
static void read_loss(reading *r) {
    static const choice losses[] = {{"cross_entropy", CRNN_SOFTMAX, 0},
                                    {"binary_cross_entropy", CRNN_SIGMOID, 0},
                                    {"mse", CRNN_LINEAR, 0},
                                    {"mae", CRNN_LINEAR, 0},
                                    {"huber", CRNN_LINEAR, 0},
                                    {"quantiles", CRNN_LINEAR, 0},
                                    {"gaussian_nll", CRNN_DEVIATION, 0},
                                    {NULL, 0, 0}};
    json_text key;
    size_t count = 0;
    int named = 0;
    if (crnn_json_peek(r->text) == '"') {
        read_choice(r, losses, &r->config->link);
        return;
    }
    crnn_json_open(r->text, '{');
    while (crnn_json_more(r->text, '{', &count) && crnn_json_key(r->text, &key)) {
        if (crnn_json_is(key, "name") && !named++)
            read_choice(r, losses, &r->config->link);
        else {
            if (crnn_json_is(key, "own")) { /* a function in Python makes y_hat of the sums */
                r->unsupported = 1;
                named++;
            }
            crnn_json_skip(r->text);
        }
    }
    if (!named)
        r->text->failed = 1;
}

static void read_options(reading *r, json_text key) {
    model_config *c = r->config;
    int ignored;
    if (crnn_json_is(key, "activation"))
        read_choice(r, CHOICES({"tanh", CRNN_TANH, 0}, {"relu", CRNN_RELU, 0}), &c->activation);
    else if (crnn_json_is(key, "equation"))
        read_choice(r, CHOICES({"rate", CRNN_RATE, 0}, {"current", CRNN_CURRENT, 0}), &c->equation);
    else if (crnn_json_is(key, "initial_state"))
        read_choice(r, CHOICES({"zeros", 0, 0}, {"trained", 1, 0}), &c->trained);
    else if (crnn_json_is(key, "direction"))
        read_choice(r, CHOICES({"forward", 0, 0}, {"reverse", 0, 1}, {"bidirectional", 0, 1}),
                    &ignored);
    else if (crnn_json_is(key, "steps"))
        read_choice(
            r,
            CHOICES({"last", 0, 0}, {"all", 0, 0}, {"mean", 0, 1}, {"max", 0, 1}, {"pooled", 0, 1}),
            &ignored);
    else if (crnn_json_is(key, "leak"))
        read_place(r, &c->leak);
    else if (crnn_json_is(key, "masks"))
        read_place(r, &c->masks);
    else if (crnn_json_is(key, "signs"))
        read_place(r, &c->signs);
    else if (crnn_json_is(key, "noise"))
        read_number(r, 1e300);
    else if (crnn_json_is(key, "dropout"))
        read_number(r, 1);
    else { /* a field of a later version */
        r->unsupported = 1;
        crnn_json_skip(r->text);
    }
}

static void read_field(reading *r, json_text key) {
    model_config *c = r->config;
    if (crnn_json_is(key, "n_x"))
        read_size(r, CRNN_LARGEST_SIZE, &c->n_x);
    else if (crnn_json_is(key, "n_a"))
        read_size(r, CRNN_LARGEST_SIZE, &c->n_a);
    else if (crnn_json_is(key, "n_y"))
        read_size(r, CRNN_LARGEST_SIZE, &c->n_y);
    else if (crnn_json_is(key, "num_layers"))
        read_size(r, CRNN_MOST_LAYERS, &c->num_layers);
    else if (crnn_json_is(key, "dtype"))
        read_choice(r, CHOICES({"float32", CRNN_FLOAT32, 0}, {"float64", CRNN_FLOAT64, 0}),
                    &c->dtype);
    else if (crnn_json_is(key, "cell"))
        read_choice(r,
                    CHOICES({"vanilla", CRNN_VANILLA, 0}, {"leaky", CRNN_LEAKY, 0},
                            {"gru", CRNN_GRU, 0}, {"lstm", CRNN_LSTM, 0}),
                    &c->cell);
    else if (crnn_json_is(key, "loss"))
        read_loss(r);
    else
        read_options(r, key);
}

/* Whether the options fit each other. */
static int consistent(const model_config *c) {
    const int leaky = c->cell == CRNN_LEAKY;
    return c->n_x > 0 && c->n_a > 0 && c->n_y > 0 && leaky == (c->leak != NULL) &&
           (leaky || c->equation == CRNN_RATE) &&
           (leaky || c->cell == CRNN_VANILLA || c->activation == CRNN_TANH) &&
           (c->link != CRNN_SOFTMAX || c->n_y > 1) &&
           (c->link != CRNN_DEVIATION || c->n_y % 2 == 0);
}

/* The configuration: an object of fields. */
static void read_fields(reading *r) {
    json_text key;
    size_t count = 0;
    crnn_json_open(r->text, '{');
    while (crnn_json_more(r->text, '{', &count) && crnn_json_key(r->text, &key))
        read_field(r, key);
}

/* The header has the number of the format, the configuration, and what a stepper does not need. */
static void read_header(reading *r, int *configured) {
    json_text key;
    size_t count = 0;
    ptrdiff_t format = 0;
    crnn_json_open(r->text, '{');
    while (crnn_json_more(r->text, '{', &count) && crnn_json_key(r->text, &key)) {
        if (crnn_json_is(key, "format") && format == 0)
            crnn_json_count(r->text, &format);
        else if (crnn_json_is(key, "config") && !(*configured)++)
            read_fields(r);
        else {
            r->config->with_training |= crnn_json_is(key, "training");
            crnn_json_skip(r->text);
        }
    }
    if (format != FORMAT)
        r->unsupported = 1;
}

int crnn_read_config(const char *text, size_t size, model_config *config) {
    json reader = json_of(text, size);
    reading r = {&reader, config, 0};
    int configured = 0;
    memset(config, 0, sizeof *config);
    reader.lone_surrogates = 1; /* in the model's own metadata, for a name of a file say */
    config->num_layers = 1;     /* the defaults of fields that a file may leave out */
    config->dtype = CRNN_FLOAT32;
    config->link = CRNN_SOFTMAX;
    config->end = text + size;
    read_header(&r, &configured);
    if (!crnn_json_done(&reader) || !configured)
        return CRNN_NOT_A_MODEL;
    if (r.unsupported)
        return CRNN_UNSUPPORTED_MODEL;
    return consistent(config) ? CRNN_OK : CRNN_NOT_A_MODEL;
}
