/* What the checks have in common: random arrays, exact values in double, a measure of error. */
#ifndef CRNN_CHECK_H
#define CRNN_CHECK_H

#include "crnn_kernels.h"

/* An array in double and in the dtype under test. For an input both are the same; for an output the
 * first is the exact value and the second what the kernel computed. */
typedef struct {
    ptrdiff_t n;
    double *exact;
    double *squares; /* the sum of the squares of the terms of each exact value */
    void *real;      /* in the dtype: an allocation without a byte to spare */
} array;

extern int is_float; /* the dtype under test */

/* A pseudo-random number, uniform in [-1, 1). */
double draw(void);

/* given: an input, uniform in [-scale, scale). result: an output, zeros in double and NaN in the
 * dtype. drop: free an array. */
array given(ptrdiff_t n, double scale);
array result(ptrdiff_t n);
void drop(array a);

double get(const void *real, ptrdiff_t k);
void put(void *real, ptrdiff_t k, double x);

/* Add a term to an exact value. */
static inline void add(array a, ptrdiff_t k, double term) {
    a.exact[k] += term;
    a.squares[k] += term * term;
}

/* The largest error of an output as a share of what rounding explains, which is 3 eps sqrt(terms)
 * times the size of the sum (crnn.check.tolerance derives it; the size is the square root of the
 * sum of squares). Above 1 rounding does not explain the error, and it never explains a NaN. */
double share(array a, ptrdiff_t terms);

double eps(void);

/* The larger of two shares; NaN if either is NaN. */
double worse(double a, double b);

/* An allocation for exactly n numbers, 64-byte aligned; and free it. */
void *workspace(ptrdiff_t n);
void drop_workspace(void *room);

/* Sizes around each vector width and panel width. */
enum { SIZES = 22 };
extern const ptrdiff_t sizes[SIZES];

/* A whole number in 0..n - 1, by `draw`. */
static inline ptrdiff_t below(ptrdiff_t n) { return (ptrdiff_t)((draw() + 1) / 2 * (double)n); }

/* Whether a set of options is for this dtype. Both dtypes together see every set, and each of them
 * sees two options in all four ways. */
static inline int is_turn(int options) {
    int odd = 0;
    for (; options > 0; options >>= 1)
        odd ^= options & 1;
    return odd == is_float;
}

/* A size up to n. Every third one is small, since few steps and few rows have kernels of their own.
 */
static inline ptrdiff_t some_size(ptrdiff_t n, ptrdiff_t small) {
    return 1 + below(below(3) == 0 ? small : n);
}

/* How many random shapes of each kind are tried. */
extern int random_cases;

/* Each function checks one group of kernels of a table at every size. It adds the number of cases
 * to *cases and returns the largest share. */
double check_rnn(const crnn_operations *kernels, int *cases);
double check_large(const crnn_operations *kernels, int *cases);
double check_random_rnn(const crnn_operations *kernels, int *cases);
double check_cells(const crnn_operations *kernels, int *cases);
double check_random_cells(const crnn_operations *kernels, int *cases);
double check_segments(const crnn_operations *kernels, int *cases);
double check_linear(const crnn_operations *kernels, int *cases);
double check_stream(const crnn_operations *kernels, int *cases);
double check_training(const crnn_operations *kernels, int *cases);
double check_losses(const crnn_operations *kernels, int *cases);
double check_dropout(const crnn_operations *kernels, int *cases);
double check_tanh(const crnn_operations *kernels, int *cases);

#endif
