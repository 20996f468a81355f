/* Compare the kernels' tanh with the C library's in a wider type: its error is at most 2 units in
 * the last place, and it is odd, monotone along the samples, and exact for special values. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { SAMPLES = 20000 };

/* One unit in the last place of a number near x, x >= 0. */
static double ulp(double x) {
    const double least = is_float ? FLT_MIN : DBL_MIN;
    int exponent;
    frexp(fmax(x, least), &exponent);
    return ldexp(eps(), exponent - 1);
}

/* The error as a share of what is allowed, which is 2 ulp. */
static double error(double x, double y) {
    const long double truth = tanhl((long double)x);
    return (double)fabsl((long double)y - truth) / ulp((double)fabsl(truth)) / 2;
}

double check_tanh(const crnn_operations *kernels, int *cases) {
    /* from 2^-40 to 2^5, evenly on a logarithmic scale */
    const array x = result(SAMPLES), minus = result(SAMPLES), special = result(7);
    const double specials[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1e-30, 1e30};
    double largest = 0;
    for (int k = 0; k < SAMPLES; k++) {
        put(x.real, k, exp2(-40 + 45.0 * k / SAMPLES));
        x.exact[k] = get(x.real, k);
        put(minus.real, k, -x.exact[k]);
    }
    for (int k = 0; k < 7; k++)
        put(special.real, k, specials[k]);
    kernels->activate(CRNN_TANH, 1, SAMPLES, x.real);
    kernels->activate(CRNN_TANH, 1, SAMPLES, minus.real);
    kernels->activate(CRNN_TANH, 1, 7, special.real);
    for (int k = 0; k < SAMPLES; k++) {
        const double y = get(x.real, k), before = k > 0 ? get(x.real, k - 1) : 0;
        const int right = y >= before && y <= 1 && get(minus.real, k) == -y;
        largest = worse(largest, right ? error(x.exact[k], y) : INFINITY);
    }
    const double small = is_float ? (float)1e-30 : 1e-30;
    const double truths[] = {0, -0.0, 1, -1, NAN, small, 1};
    for (int k = 0; k < 7; k++) {
        const double y = get(special.real, k);
        if (truths[k] != truths[k] ? y == y : y != truths[k] || !signbit(y) != !signbit(truths[k]))
            largest = INFINITY;
    }
    *cases += SAMPLES + 7;
    drop(x);
    drop(minus);
    drop(special);
    return largest;
}
