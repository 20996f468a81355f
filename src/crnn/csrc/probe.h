/* What this core can do at most: fused multiply-adds, and reads from a buffer of a given size.
 *
 * The benchmark's measure of all else. The best instruction set is picked at run time.
 */
#ifndef CRNN_PROBE_H
#define CRNN_PROBE_H

#include <stddef.h>

typedef struct {
    const char *name;     /* of the instruction set */
    double flops_a_round; /* floating-point operations in one round of `fma` */
    /* `rounds` times one multiply-add on each of many registers; float32. The result means nothing:
     * it is there so that no compiler leaves the work out. */
    float (*fma)(ptrdiff_t rounds);
    /* Read x (n), n a multiple of CRNN_PROBE_BLOCK, `rounds` times over, and add it up. */
    float (*read)(ptrdiff_t n, const float *x, ptrdiff_t rounds);
} crnn_probe;

enum { CRNN_PROBE_BLOCK = 128 };

const crnn_probe *crnn_find_probe(void);

#endif
