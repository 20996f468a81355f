/* Measure the peak of this core: fused multiply-adds, and reads from a buffer of a given size. The
 * benchmark compares everything else with these. The instruction set is chosen at run time. */
#ifndef CRNN_PROBE_H
#define CRNN_PROBE_H

#include <stddef.h>

typedef struct {
    const char *name;     /* of the instruction set */
    double flops_a_round; /* floating-point operations in one round of `fma` */
    /* Do `rounds` multiply-adds, in float32, on each of many registers. The result has no meaning;
     * it is returned so that the compiler cannot remove the work. */
    float (*fma)(ptrdiff_t rounds);
    /* Read x (n) `rounds` times and add it up; n is a multiple of CRNN_PROBE_BLOCK. */
    float (*read)(ptrdiff_t n, const float *x, ptrdiff_t rounds);
} crnn_probe;

enum { CRNN_PROBE_BLOCK = 128 };

const crnn_probe *crnn_find_probe(void);

#endif
