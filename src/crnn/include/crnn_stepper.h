/* A trained model, one time step at a time, in plain C: part of libcrnn (docs/embed.md).
 *
 *     crnn_stepper *stepper;
 *     int status = crnn_stepper_create_from_file("model.safetensors", 1, &stepper);
 *     ...
 *     crnn_stepper_step(stepper, x, y);       x (m, n_x), y (m, n_y), as often as you like
 *     ...
 *     crnn_stepper_destroy(stepper);
 *
 * A stepper reads m sequences at once, from left to right, and keeps their states: of every layer,
 * and then the output layer. Its numbers are the same bits as those of `stream.step` in Python with
 * the same kernels.
 *
 * Memory is allocated, and a file is read, only when a stepper is created; memory is freed only
 * when it is destroyed. The other functions take no lock, make no system call and start no thread,
 * so they may be called from an audio thread. A stepper is used by one thread at a time; any number
 * of steppers may be used at the same time. Denormals are flushed to zero during a step only. */
#ifndef CRNN_STEPPER_H
#define CRNN_STEPPER_H

#include "crnn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Changes only if programs compiled with this file and crnn.h would no longer work with libcrnn. It
 * is in the file name of the shared library. */
#define CRNN_STEPPER_VERSION 1

/* What the output layer does with its sums, and so what y means. */
enum crnn_link {
    CRNN_LINEAR = 0,   /* values */
    CRNN_SOFTMAX = 1,  /* probabilities of n_y classes */
    CRNN_SIGMOID = 2,  /* probabilities of n_y labels */
    CRNN_DEVIATION = 3 /* n_y / 2 means, then their standard deviations */
};

typedef struct crnn_stepper crnn_stepper;

/* A model in memory. Begin with crnn_stepper_weights_new(); what is not set is 0 or NULL. Arrays
 * are C-contiguous, of one dtype, and shaped as in the package: n_in is n_x for layer 0, and n_a
 * for the others. Matrices and ba have n_a rows for each gate: r, z, n for a GRU, i, f, g, o for an
 * LSTM. Everything is copied. */
typedef struct crnn_stepper_weights {
    size_t struct_size; /* set by crnn_stepper_weights_new */
    int dtype;          /* enum crnn_dtype */
    int cell;           /* enum crnn_cell */
    int activation;     /* enum crnn_activation: of the vanilla and the leaky cell */
    int equation;       /* enum crnn_equation: of the leaky cell */
    int link;           /* enum crnn_link */
    ptrdiff_t n_x, n_a, n_y, num_layers; /* num_layers in 1..10000 */

    /* num_layers pointers each; one pointer for a model with one layer. */
    const void *const *Waa; /* (gates n_a, n_a) */
    const void *const *Wax; /* (gates n_a, n_in) */
    const void *const *ba;  /* (gates n_a); NULL, or a pointer that is NULL: zeros */
    const void *const *baa; /* GRU: (n_a), the bias inside r (Waa_n a' + baa_n); likewise */
    const void *const *a0;  /* (n_a), where every sequence begins; likewise */
    const void *const *c0;  /* LSTM: (n_a), likewise */

    const void *Wya;  /* (n_y, n_a) */
    const void *by;   /* (n_y); NULL means zeros */
    const void *leak; /* leaky: (n_a), each in (0, 1] */
} crnn_stepper_weights;

/* A record in which only struct_size and one layer are set. */
static inline crnn_stepper_weights crnn_stepper_weights_new(void) {
    crnn_stepper_weights weights;
    memset(&weights, 0, sizeof weights);
    weights.struct_size = sizeof weights;
    weights.num_layers = 1;
    return weights;
}

/* Create a stepper for m sequences, from a record, from the bytes of a file that RNN.save wrote, or
 * from the path of such a file. *stepper is set to it, or to NULL if the status is not CRNN_OK.
 *
 * The path is in UTF-8 on Windows, too. It must lead to a regular file: a folder, a pipe or a
 * device is CRNN_FILE_UNREADABLE.
 *
 * A file of a model that is read from right to left, that pools its states over time, or that has a
 * loss of the user's own is CRNN_UNSUPPORTED_MODEL: such a model cannot answer step by step. The
 * noise of a leaky cell is for training; as in Python, a stepper has none. */
CRNN_API int crnn_stepper_create(const crnn_stepper_weights *weights, ptrdiff_t m,
                                 crnn_stepper **stepper);
CRNN_API int crnn_stepper_create_from_memory(const void *bytes, size_t size, ptrdiff_t m,
                                             crnn_stepper **stepper);
CRNN_API int crnn_stepper_create_from_file(const char *path, ptrdiff_t m, crnn_stepper **stepper);

/* Give back all memory. NULL is ignored. */
CRNN_API void crnn_stepper_destroy(crnn_stepper *stepper);

/* What a stepper has. Later versions may add fields at the end. */
typedef struct crnn_stepper_sizes {
    size_t struct_size; /* set it to sizeof(crnn_stepper_sizes) before the call */
    int dtype, cell, link;
    ptrdiff_t m, n_x, n_a, n_y, num_layers;
    size_t state_bytes;
} crnn_stepper_sizes;
CRNN_API int crnn_stepper_get_sizes(const crnn_stepper *stepper, crnn_stepper_sizes *sizes);

/* Read one step, x (m, n_x), and write the answer, y (m, n_y). They may not overlap. */
CRNN_API int crnn_stepper_step(crnn_stepper *stepper, const void *x, void *y);

/* The same for symbols (m), integers in 0..n_x-1 that stand for one-hot rows. */
CRNN_API int crnn_stepper_step_symbols(crnn_stepper *stepper, const ptrdiff_t *symbols, void *y);

/* Copy the states from the stepper or to it: (num_layers, m, n_a) numbers, and for an LSTM as many
 * again, its cells. `bytes` must be state_bytes of the sizes. */
CRNN_API int crnn_stepper_get_state(const crnn_stepper *stepper, void *state, size_t bytes);
CRNN_API int crnn_stepper_set_state(crnn_stepper *stepper, const void *state, size_t bytes);

/* Begin again: all sequences, or one of the m. */
CRNN_API int crnn_stepper_reset(crnn_stepper *stepper);
CRNN_API int crnn_stepper_reset_row(crnn_stepper *stepper, ptrdiff_t row);

/* CRNN_STEPPER_VERSION of the library that is running. */
CRNN_API int crnn_stepper_version(void);

#ifdef __cplusplus
}
#endif

#endif
