/* The tensors of a safetensors file in memory, whose bytes are not trusted.
 * https://github.com/huggingface/safetensors#format */
#ifndef CRNN_TENSORS_H
#define CRNN_TENSORS_H

#include "json.h"

enum tensor_dtype { TENSOR_F32, TENSOR_F64, TENSOR_BOOL, TENSOR_I8, TENSOR_OTHER };

typedef struct {
    json_text name; /* where the file has it */
    int dtype;      /* enum tensor_dtype */
    size_t dimensions;
    ptrdiff_t shape[2]; /* the first two; 1 where there are fewer */
    size_t begin, end;  /* bytes of the data */
} tensor;

typedef struct {
    tensor *all; /* by name; free() it */
    size_t count;
    json_text metadata; /* the entry "crnn" of the file's metadata; at is NULL if there is none */
    const char *data;
    size_t size;
} tensors;

/* Read the header. Every tensor lies within the data, and they fill it without a gap or an overlap.
 * Returns CRNN_OK, CRNN_NOT_A_MODEL or CRNN_OUT_OF_MEMORY; otherwise there is nothing to free. */
int crnn_read_tensors(const void *bytes, size_t size, tensors *found);

/* The tensor of that name, or NULL. */
const tensor *crnn_find_tensor(const tensors *found, const char *name, size_t length);

#endif
