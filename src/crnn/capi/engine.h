/* What calls run on: the kernels in use, and how many threads a call may take. */
#ifndef CRNN_ENGINE_H
#define CRNN_ENGINE_H

#include "crnn_kernels.h"

/* The kernels in use, for enum crnn_dtype: those that were set, or the best for this CPU. */
const crnn_operations *crnn_operations_for(int dtype);

const crnn_kernels *crnn_kernels_in_use(void);

/* Use these kernels from now on. Calls that are running keep theirs. */
void crnn_use_kernels(const crnn_kernels *kernels);

/* The threads that a call may take: as many as the function that was set says, else 1. */
int crnn_most_threads(void);
void crnn_use_thread_count(int (*count)(void));

/* The table of the functions in crnn.h. */
extern const crnn_c_api crnn_functions;

#endif
