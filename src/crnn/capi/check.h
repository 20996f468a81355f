/* Reading and checking the record of a call (crnn.h). Nothing is written before it has passed. */
#ifndef CRNN_CHECK_H
#define CRNN_CHECK_H

#include "crnn.h"
#include "crnn_kernels.h"

enum {
    CRNN_MOST_RECORD = 4096,        /* bytes: a larger struct_size has not been initialised */
    CRNN_LARGEST_SIZE = 2147483647, /* of m and of each n: BLAS counts in 32 bits */
    CRNN_MOST_LAYERS = 10000,       /* of a stepper */
    CRNN_WORKSPACE_ALIGNMENT = 64   /* of the kernels' workspace */
};

/* Bytes of a number, or 0 for an unknown dtype. */
static inline size_t crnn_number_size(int dtype) {
    return dtype == CRNN_FLOAT32 ? 4 : dtype == CRNN_FLOAT64 ? 8 : 0;
}

/* Copy a record of an older or newer version to `record`, of `size` bytes in this version. Fields
 * that an older record does not have are set to zero. A newer record is accepted if all fields that
 * this version does not know are zero, because then the caller does not use them. `first` is the
 * size of the oldest version. Every record begins with its struct_size. */
int crnn_read_record(const void *given, size_t first, void *record, size_t size);

/* Copy a record and check its dtype, its cell and its sizes, on which alone the workspace depends.
 */
int crnn_read_call(const crnn_rnn_call *given, crnn_rnn_call *call);

/* Check everything else: `cell` is that of the function that is called, and `kernels` are those
 * that will run. */
int crnn_check_call(const crnn_rnn_call *call, int cell, int backward,
                    const crnn_operations *kernels);

/* Check n leaks, which may be NaN. */
int crnn_check_leaks(int dtype, ptrdiff_t n, const void *leak);

/* The size of the workspace, with the bytes lost to aligning its start: biases, then the kernels'
 * part. */
size_t crnn_workspace_bytes(const crnn_rnn_call *call, int backward,
                            const crnn_operations *kernels);

/* Bytes of ba, a number for each unit of each gate; and with a GRU's baa, which follows it, in
 * whole cache lines. */
size_t crnn_bytes_of_units(const crnn_rnn_call *call);
size_t crnn_bytes_of_biases(const crnn_rnn_call *call);

#endif
