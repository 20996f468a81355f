/* A stepper in memory: one block, in which everything begins at a multiple of 64 bytes. */
#ifndef CRNN_STEPPER_MEMORY_H
#define CRNN_STEPPER_MEMORY_H

#include "check.h"
#include "crnn_kernels.h"
#include "crnn_stepper.h"

struct crnn_stepper {
    crnn_stream call; /* complete but for x, symbols and y, which each step sets */
    const crnn_operations *kernels;
    int dtype;
    size_t number; /* bytes of a number */
    size_t state_bytes;
    const void *initial; /* as call.a: where a reset begins */
    void *memory;        /* what malloc gave */
};

#endif
