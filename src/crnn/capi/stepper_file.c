/* Creating a stepper from a file that RNN.save wrote. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "crnn_stepper.h"
#include "model_config.h"
#include "read_file.h"
#include "shared.h"
#include "tensors.h"

/* A model while it is read. */
typedef struct {
    tensors file;
    model_config config;
    char *text;        /* of the configuration, without escapes */
    const char *data;  /* that of the file, aligned */
    void *copy;        /* of the data, if the file's are not aligned */
    const void **rows; /* (6, num_layers): Waa, Wax, ba, baa, a0 and c0 of each layer */
    void *leak;        /* (n_a) */
    size_t parameters; /* found so far */
} model;

static void release(model *model) {
    free(model->file.all);
    free(model->text);
    free(model->copy);
    free((void *)model->rows);
    free(model->leak);
}

/* Find a parameter of the model's dtype and this shape; a vector has 0 columns. */
static int find(model *model, const char *name, ptrdiff_t layer, ptrdiff_t rows, ptrdiff_t columns,
                const void **found) {
    const size_t number = crnn_number_size(model->config.dtype);
    char full[32];
    if (layer >= 0 && model->config.num_layers > 1)
        snprintf(full, sizeof full, "%s_l%d", name, (int)layer);
    else
        snprintf(full, sizeof full, "%s", name);
    const tensor *t = crnn_find_tensor(&model->file, full, strlen(full));
    const int dtype = number == 4 ? TENSOR_F32 : TENSOR_F64;
    if (t == NULL || t->dtype != dtype || t->dimensions != (columns == 0 ? 1u : 2u) ||
        t->shape[0] != rows || t->shape[1] != (columns == 0 ? 1 : columns) ||
        t->begin % number != 0)
        return 0;
    model->parameters++;
    *found = model->data + t->begin;
    return 1;
}

/* Find the parameters of all layers. */
static int find_layers(model *model, crnn_stepper_weights *w) {
    const model_config *c = &model->config;
    const ptrdiff_t L = c->num_layers, rows = crnn_cell_of(c->cell).gates * c->n_a;
    const int gru = c->cell == CRNN_GRU, lstm = c->cell == CRNN_LSTM;
    const void **of = model->rows;
    for (ptrdiff_t l = 0; l < L; l++)
        if (!find(model, "Waa", l, rows, c->n_a, &of[l]) ||
            !find(model, "Wax", l, rows, l == 0 ? c->n_x : c->n_a, &of[L + l]) ||
            !find(model, "ba", l, rows, 0, &of[2 * L + l]) ||
            (gru && !find(model, "baa", l, c->n_a, 0, &of[3 * L + l])) ||
            (c->trained && !find(model, "a0", l, c->n_a, 0, &of[4 * L + l])) ||
            (c->trained && lstm && !find(model, "c0", l, c->n_a, 0, &of[5 * L + l])))
            return 0;
    w->Waa = of, w->Wax = of + L, w->ba = of + 2 * L;
    w->baa = gru ? of + 3 * L : NULL;
    w->a0 = of + 4 * L;
    w->c0 = lstm ? of + 5 * L : NULL;
    return find(model, "Wya", -1, c->n_y, c->n_a, &w->Wya) &&
           find(model, "by", -1, c->n_y, 0, &w->by);
}

/* Check the tensors of a list of names, which a stepper does not need: FIELD.NAME is of this dtype
 * and has the shape of NAME. */
static int check_patterns(model *model, const char *list, const char *field, int dtype) {
    char full[64];
    size_t count = 0;
    json_text name;
    if (list == NULL)
        return 1;
    json reader = json_of(list, (size_t)(model->config.end - list));
    crnn_json_open(&reader, '[');
    while (crnn_json_more(&reader, '[', &count) && crnn_json_string(&reader, &name)) {
        if (name.length > 31)
            return 0;
        const int length = snprintf(full, sizeof full, "%s.%.*s", field, (int)name.length, name.at);
        const tensor *of = crnn_find_tensor(&model->file, name.at, name.length);
        const tensor *t = crnn_find_tensor(&model->file, full, (size_t)length);
        if (of == NULL || t == NULL || t->dtype != dtype || t->dimensions != of->dimensions ||
            t->shape[0] != of->shape[0] || t->shape[1] != of->shape[1])
            return 0;
        model->parameters++;
    }
    return !reader.failed;
}

/* Whether there is no tensor but the parameters, their patterns, and the state of a training. */
static int nothing_else(const model *model) {
    static const char training[] = "training.";
    size_t others = 0;
    for (size_t k = 0; model->config.with_training && k < model->file.count; k++) {
        const json_text name = model->file.all[k].name;
        others += name.length >= sizeof training - 1 &&
                  memcmp(name.at, training, sizeof training - 1) == 0;
    }
    return model->parameters + others == model->file.count;
}

/* Set the leak of a unit. It must be in (0, 1], and must not be rounded to 0. */
static int set_leak(const model *model, ptrdiff_t unit, double leak) {
    if (!(leak > 0 && leak <= 1))
        return 0;
    if (model->config.dtype == CRNN_FLOAT32)
        ((float *)model->leak)[unit] = (float)leak;
    else
        ((double *)model->leak)[unit] = leak;
    return model->config.dtype == CRNN_FLOAT64 || (float)leak > 0;
}

/* Read the leak: a number, or one for each unit. */
static int read_leak(model *model) {
    const ptrdiff_t n_a = model->config.n_a;
    json reader = json_of(model->config.leak, (size_t)(model->config.end - model->config.leak));
    size_t count = 0;
    double leak;
    if (crnn_json_peek(&reader) != '[') {
        int fits = crnn_json_number(&reader, &leak);
        for (ptrdiff_t j = 0; j < n_a && fits; j++)
            fits = set_leak(model, j, leak);
        return fits;
    }
    crnn_json_open(&reader, '[');
    while (crnn_json_more(&reader, '[', &count) && crnn_json_number(&reader, &leak))
        if (count > (size_t)n_a || !set_leak(model, (ptrdiff_t)count - 1, leak))
            return 0;
    return !reader.failed && count == (size_t)n_a;
}

/* Read the configuration, whose text is a JSON string in the header. */
static int read_config(model *model) {
    const json_text metadata = model->file.metadata;
    if (metadata.at == NULL)
        return CRNN_NOT_A_MODEL;
    model->text = malloc(metadata.length + 1);
    if (model->text == NULL)
        return CRNN_OUT_OF_MEMORY;
    return crnn_read_config(model->text, crnn_json_unescape(metadata, model->text), &model->config);
}

/* Let the data begin where its numbers may: where they are, or in a copy. */
static int align_data(model *model) {
    model->data = model->file.data;
    if ((uintptr_t)model->data % sizeof(double) == 0)
        return 1;
    model->data = model->copy = malloc(model->file.size);
    if (model->copy != NULL)
        memcpy(model->copy, model->file.data, model->file.size);
    return model->copy != NULL;
}

static int read_model(model *model, crnn_stepper_weights *w) {
    int status = read_config(model);
    if (status != CRNN_OK)
        return status;
    const model_config *c = &model->config;
    /* The arrays of the file bound what is allocated: a size that no tensor has is found here. */
    if (model->file.count < 3 * (size_t)c->num_layers || (size_t)c->n_a > model->file.size / 4)
        return CRNN_NOT_A_MODEL;
    model->rows = calloc(6 * (size_t)c->num_layers, sizeof *model->rows);
    model->leak = calloc((size_t)c->n_a, sizeof(double));
    if (model->rows == NULL || model->leak == NULL || !align_data(model))
        return CRNN_OUT_OF_MEMORY;
    *w = crnn_stepper_weights_new();
    w->dtype = c->dtype, w->cell = c->cell, w->activation = c->activation;
    w->equation = c->equation, w->link = c->link;
    w->n_x = c->n_x, w->n_a = c->n_a, w->n_y = c->n_y, w->num_layers = c->num_layers;
    w->leak = c->leak == NULL ? NULL : model->leak;
    if (!find_layers(model, w) || !check_patterns(model, c->masks, "masks", TENSOR_BOOL) ||
        !check_patterns(model, c->signs, "signs", TENSOR_I8) || !nothing_else(model) ||
        (c->leak != NULL && !read_leak(model)))
        return CRNN_NOT_A_MODEL;
    return CRNN_OK;
}

int crnn_stepper_create_from_memory(const void *bytes, size_t size, ptrdiff_t m,
                                    crnn_stepper **stepper) {
    model model;
    crnn_stepper_weights w;
    if (stepper == NULL)
        return CRNN_NULL_POINTER;
    *stepper = NULL;
    if (bytes == NULL)
        return CRNN_NULL_POINTER;
    memset(&model, 0, sizeof model);
    int status = crnn_read_tensors(bytes, size, &model.file);
    if (status == CRNN_OK)
        status = read_model(&model, &w);
    if (status == CRNN_OK)
        status = crnn_stepper_create(&w, m, stepper);
    release(&model);
    return status;
}

int crnn_stepper_create_from_file(const char *path, ptrdiff_t m, crnn_stepper **stepper) {
    char *bytes;
    size_t size;
    if (stepper == NULL)
        return CRNN_NULL_POINTER;
    *stepper = NULL;
    if (path == NULL)
        return CRNN_NULL_POINTER;
    int status = crnn_read_file(path, &bytes, &size);
    if (status == CRNN_OK)
        status = crnn_stepper_create_from_memory(bytes, size, m, stepper);
    free(bytes);
    return status;
}
