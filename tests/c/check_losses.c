/* The losses of values, labels and distributions, and their gradients, at every size. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ROWS = 5 };

static size_t bytes(array a) { return (size_t)a.n * (is_float ? 4 : 8); }

/* Weights, of which the one of row 3 is 0. */
static array some_weights(void) {
    array w = given(ROWS, 1);
    for (ptrdiff_t i = 0; i < ROWS; i++)
        put(w.real, i, w.exact[i] = i == 3 ? 0 : fabs(w.exact[i]));
    return w;
}

/* The error of a mean over `count` numbers, whose sum of squared terms is `squares`, as a share of
 * what rounding explains: of the terms in the dtype, and of the sums up to each term in double. */
static double share_of_mean(double found, double truth, double squares, double count) {
    const double each = eps() * sqrt(5 * squares), sums = DBL_EPSILON * count * sqrt(squares);
    return found == truth ? 0 : fabs(found - truth) * count / (3 * (each + sums));
}

/* Logits whose row 3 is NaN with weights, which give it a weight of 0. */
static array logits_of(ptrdiff_t n, int weighted) {
    array z = given(ROWS * n, 4);
    for (ptrdiff_t j = 0; weighted && j < n; j++)
        put(z.real, 3 * n + j, NAN);
    return z;
}

static double check_of_values(const crnn_operations *kernels, ptrdiff_t n, int kind, int weighted) {
    const double delta = 1.5, count = (double)(ROWS * n);
    array z = logits_of(n, weighted), y = given(ROWS * n, 1), w = some_weights();
    array gradient = result(ROWS * n);
    double loss = 0, metric = 0, squares = 0, found_metric;
    memcpy(gradient.real, z.real, bytes(z));
    for (ptrdiff_t k = 0; k < ROWS * n; k++) {
        const double w_k = weighted ? w.exact[k / n] : 1, z_k = z.exact[k];
        if (kind == CRNN_LOSS_BINARY) /* 0, 1, or between */
            put(y.real, k, y.exact[k] = k % 3 == 2 ? (double)0.75F : (double)(k % 3));
        const double y_k = y.exact[k], e = z_k - y_k, size = fabs(e);
        double term, slope;
        if (kind == CRNN_LOSS_BINARY) {
            term = fmax(z_k, 0) - z_k * y_k + log1p(exp(-fabs(z_k)));
            slope = 1 / (1 + exp(-z_k)) - y_k;
        } else if (kind == CRNN_LOSS_SQUARED) {
            term = e * e;
            slope = 2 * e;
        } else if (kind == CRNN_LOSS_ABSOLUTE) {
            term = size;
            slope = e > 0 ? 1 : -1;
        } else {
            term = size <= delta ? e * e / 2 : delta * (size - delta / 2);
            slope = size <= delta ? e : copysign(delta, e);
        }
        add(gradient, k, w_k * slope / count);
        gradient.squares[k] += w_k * w_k * (1 + y_k * y_k) / count / count;
        loss += w_k * term;
        squares += w_k * w_k * (1 + z_k * z_k) * (1 + z_k * z_k);
        metric += w_k * (kind == CRNN_LOSS_BINARY ? (z_k > 0) == (y_k > 0.5) : size);
    }
    const double found = kernels->loss_of_values(
        kind, delta, ROWS, n, y.real, weighted ? w.real : NULL, gradient.real, &found_metric);
    double largest = worse(share(gradient, 5), share_of_mean(found, loss / count, squares, count));
    largest = worse(largest, share_of_mean(found_metric, metric / count, squares, count));
    drop(z);
    drop(y);
    drop(w);
    drop(gradient);
    return largest;
}

static double check_pinball(const crnn_operations *kernels, ptrdiff_t s, int levels, int weighted) {
    const double all[] = {0.1, 0.25, 0.8}, *level = all + (levels == 1);
    const ptrdiff_t n = s * levels;
    const double count = (double)(ROWS * s);
    array z = logits_of(n, weighted), y = given(ROWS * s, 4), w = some_weights();
    array gradient = result(ROWS * n);
    double loss = 0, squares = 0, inside = 0, covered;
    memcpy(gradient.real, z.real, bytes(z));
    for (ptrdiff_t i = 0; i < ROWS; i++)
        for (ptrdiff_t j = 0; j < s; j++) {
            const double w_i = weighted ? w.exact[i] : 1, y_j = y.exact[i * s + j];
            for (ptrdiff_t k = 0; k < levels; k++) {
                const double u = y_j - z.exact[i * n + k * s + j];
                const double q = u < 0 ? level[k] - 1 : level[k];
                loss += w_i * q * u;
                squares += w_i * w_i * u * u;
                add(gradient, i * n + k * s + j, -w_i * q / count / levels);
            }
            inside += (levels == 1 || z.exact[i * n + j] <= y_j) &&
                              y_j <= z.exact[i * n + (levels - 1) * s + j]
                          ? w_i
                          : 0;
        }
    const double found = kernels->pinball(ROWS, s, levels, level, y.real, weighted ? w.real : NULL,
                                          gradient.real, &covered);
    double largest = share(gradient, 5);
    largest = worse(largest, share_of_mean(found, loss / count / levels, squares, count * levels));
    largest = worse(largest, share_of_mean(covered, inside / count, count, count));
    drop(z);
    drop(y);
    drop(w);
    drop(gradient);
    return largest;
}

static double check_gaussian(const crnn_operations *kernels, ptrdiff_t s, int weighted) {
    const double count = (double)(ROWS * s);
    array z = logits_of(2 * s, weighted), y = given(ROWS * s, 4), w = some_weights();
    array gradient = result(ROWS * 2 * s);
    double loss = 0, metric = 0, squares = 0, found_metric;
    memcpy(gradient.real, z.real, bytes(z));
    for (ptrdiff_t i = 0; i < ROWS; i++)
        for (ptrdiff_t j = 0; j < s; j++) {
            const double w_i = weighted ? w.exact[i] : 1, v = z.exact[i * 2 * s + s + j];
            const double e = z.exact[i * 2 * s + j] - y.exact[i * s + j], u = e * e * exp(-v);
            loss += w_i * (u + v + log(2 * 3.14159265358979323846)) / 2;
            metric += w_i * fabs(e);
            squares += w_i * w_i * (1 + u * u + v * v);
            add(gradient, i * 2 * s + j, w_i * e * exp(-v) / count);
            add(gradient, i * 2 * s + s + j, w_i * (1 - u) / 2 / count);
        }
    const double found =
        kernels->gaussian(ROWS, s, y.real, weighted ? w.real : NULL, gradient.real, &found_metric);
    double largest = worse(share(gradient, 5), share_of_mean(found, loss / count, squares, count));
    largest = worse(largest, share_of_mean(found_metric, metric / count, squares, count));
    drop(z);
    drop(y);
    drop(w);
    drop(gradient);
    return largest;
}

static double check_sigmoid(const crnn_operations *kernels, ptrdiff_t n) {
    array z = given(n, 30), y_hat = result(n);
    memcpy(y_hat.real, z.real, bytes(z));
    for (ptrdiff_t k = 0; k < n; k++)
        add(y_hat, k, 1 / (1 + exp(-z.exact[k])));
    y_hat.squares[0] = 1; /* 0.5 + 0.5 tanh(z / 2) is rounded near 1 */
    kernels->sigmoid(n, y_hat.real);
    const double largest = share(y_hat, 1);
    drop(z);
    drop(y_hat);
    return largest;
}

double check_losses(const crnn_operations *kernels, int *cases) {
    double largest = 0;
    for (int s = 0; s <= SIZES; s++, ++*cases) {
        const ptrdiff_t size = s < SIZES ? sizes[s] : 300; /* a row of more than one part */
        for (int weighted = 0; weighted < 2; weighted++) {
            for (int kind = CRNN_LOSS_SQUARED; kind <= CRNN_LOSS_BINARY; kind++)
                largest = worse(largest, check_of_values(kernels, size, kind, weighted));
            for (int levels = 1; levels <= 3; levels++)
                largest = worse(largest, check_pinball(kernels, size, levels, weighted));
            largest = worse(largest, check_gaussian(kernels, size, weighted));
        }
        largest = worse(largest, check_sigmoid(kernels, size));
    }
    return largest;
}
