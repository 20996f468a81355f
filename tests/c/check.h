/* What the checks share: random arrays, a truth in double beside each, and the measure of error. */
#ifndef CRNN_CHECK_H
#define CRNN_CHECK_H

#include "crnn_kernels.h"

/* Numbers in double and in the dtype under test: the same where they are given, and where they are
 * computed the truth beside the result. */
typedef struct {
    ptrdiff_t n;
    double *exact;
    double *squares; /* of the terms that were added up to each exact number */
    void *real;      /* an allocation of its own, exactly as large as it must be */
} array;

extern int is_float; /* the dtype under test */

/* Uniform in [-1, 1), from one seed. */
double draw(void);

/* Uniform in [-scale, scale); zeros in double and NaN in the dtype, for results; and the end. */
array given(ptrdiff_t n, double scale);
array result(ptrdiff_t n);
void drop(array a);

double get(const void *real, ptrdiff_t k);
void put(void *real, ptrdiff_t k, double x);

/* One more term of the truth. */
static inline void add(array a, ptrdiff_t k, double term) {
    a.exact[k] += term;
    a.squares[k] += term * term;
}

/* The largest error over what rounding explains, 3 eps sqrt(terms) of the size of a sum: as
 * crnn.check.tolerance derives it, with the root of the sum of squares for the size. Above 1 it is
 * not explained; a NaN never is. */
double share(array a, ptrdiff_t terms);

double eps(void);

/* The worse of two shares. */
double worse(double a, double b);

/* Room for n numbers, 64-byte aligned and not a byte larger; and its end. */
void *workspace(ptrdiff_t n);
void drop_workspace(void *room);

/* Sizes around every vector width and panel. */
enum { SIZES = 22 };
extern const ptrdiff_t sizes[SIZES];

/* Each checks one group of kernels of a table, at every size; adds to *cases, gives the largest
 * share. */
double check_rnn(const crnn_operations *kernels, int *cases);
double check_large(const crnn_operations *kernels, int *cases);
double check_linear(const crnn_operations *kernels, int *cases);
double check_stream(const crnn_operations *kernels, int *cases);
double check_training(const crnn_operations *kernels, int *cases);
double check_tanh(const crnn_operations *kernels, int *cases);

#endif
