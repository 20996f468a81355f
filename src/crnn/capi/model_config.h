/* The configuration of a model, as the entry "crnn" of its file has it: JSON that `crnn.files`
 * wrote and that is not trusted. */
#ifndef CRNN_MODEL_CONFIG_H
#define CRNN_MODEL_CONFIG_H

#include "json.h"

typedef struct {
    ptrdiff_t n_x, n_a, n_y, num_layers;
    int dtype, cell, activation, equation, link; /* as in crnn_stepper.h */
    int trained;                                 /* whether a0 and c0 are parameters */
    int with_training;                           /* whether the file has the state of a training */
    const char *leak; /* the JSON of the leak, a number or n_a of them; NULL if there is none */
    /* The JSON of the names that have a tensor "masks.NAME" or "signs.NAME", or NULL. */
    const char *masks, *signs;
    const char *end; /* of the JSON */
} model_config;

/* Read a configuration and check all but the number of leaks and the tensors. Returns CRNN_OK,
 * CRNN_NOT_A_MODEL or CRNN_UNSUPPORTED_MODEL. What is found points into the text. */
int crnn_read_config(const char *text, size_t size, model_config *config);

#endif
