/* Losses, norms and updates at every size. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 21 }; /* more than fit in a vector side by side, and not a multiple */

/* Softmax and cross entropy of rows of logits, one of which is far above the others, without
 * weights or with a weight for each row. */
static double check_softmax(const crnn_operations *kernels, ptrdiff_t n, int weighted) {
    array z = given(ROWS * n, 5), probabilities = result(ROWS * n), gradients = result(ROWS * n);
    array w = given(ROWS, 1);
    ptrdiff_t y[ROWS];
    double right, truth = 0, truly_right = 0;
    put(z.real, 2 * n + n / 2, z.exact[2 * n + n / 2] = 1000);
    memcpy(probabilities.real, z.real, (size_t)z.n * (is_float ? 4 : 8));
    memcpy(gradients.real, z.real, (size_t)z.n * (is_float ? 4 : 8));
    for (ptrdiff_t i = 0; i < ROWS; i++) {
        put(w.real, i, w.exact[i] = fabs(w.exact[i]));
        const double *row = z.exact + i * n, w_i = weighted ? w.exact[i] : 1;
        ptrdiff_t most = 0;
        double sum = 0;
        y[i] = (ptrdiff_t)((draw() + 1) / 2 * (double)n);
        for (ptrdiff_t j = 0; j < n; j++)
            most = row[j] > row[most] ? j : most;
        for (ptrdiff_t j = 0; j < n; j++)
            sum += exp(row[j] - row[most]);
        for (ptrdiff_t j = 0; j < n; j++) {
            const double y_hat = exp(row[j] - row[most]) / sum;
            add(probabilities, i * n + j, y_hat);
            add(gradients, i * n + j, w_i * y_hat / ROWS);
        }
        add(gradients, i * n + y[i], -w_i / ROWS);
        truth += w_i * (log(sum) - (row[y[i]] - row[most]));
        truly_right += y[i] == most ? w_i : 0;
    }
    kernels->softmax(ROWS, n, probabilities.real);
    const double loss =
        kernels->cross_entropy(ROWS, n, y, weighted ? w.real : NULL, gradients.real, &right);
    /* The error of exponents of up to 10 counts as 5 more terms. */
    double largest = worse(share(probabilities, n + 5), share(gradients, n + 5));
    /* The sum of exponentials of a row is rounded to the dtype, and that is the error of its
     * logarithm; the sums over the rows are computed in double, here too. */
    const double rounding =
        3 * eps() * sqrt((double)(n + 5) * ROWS) + DBL_EPSILON * ROWS * fabs(truth);
    largest = worse(largest, fabs(loss - truth) / rounding);
    largest = worse(largest, right == truly_right ? 0 : INFINITY);
    drop(z);
    drop(w);
    drop(probabilities);
    drop(gradients);
    return largest;
}

/* RMSprop with and without momentum. */
static double check_rmsprop(const crnn_operations *kernels, ptrdiff_t n) {
    const array g = given(n, 1);
    double largest = 0;
    for (int momentum = 0; momentum < 2; momentum++) {
        array w = given(n, 1), square = given(n, 1), u = given(n, 1);
        for (ptrdiff_t k = 0; k < n; k++) {
            const double v = fabs(square.exact[k]), dw = g.exact[k];
            put(square.real, k, v);
            square.exact[k] = 0.9 * v + 0.1 * dw * dw;
            const double scaled = dw / (sqrt(square.exact[k]) + 1e-3);
            const double step = scaled + (momentum ? 0.8 * u.exact[k] : 0);
            square.squares[k] = 1;
            u.squares[k] = 1 + scaled * scaled;
            u.exact[k] = step;
            w.squares[k] = w.exact[k] * w.exact[k] + u.squares[k];
            w.exact[k] -= 0.1 * step;
        }
        kernels->rmsprop(n, w.real, g.real, square.real, momentum ? u.real : NULL, 0.1, 0.9, 1e-3,
                         momentum ? 0.8 : 0);
        largest = worse(largest, worse(share(w, 6), share(square, 2)));
        if (momentum)
            largest = worse(largest, share(u, 6));
        drop(w);
        drop(square);
        drop(u);
    }
    drop(g);
    return largest;
}

/* Gradient descent with and without momentum, and Adam. */
static double check_updates(const crnn_operations *kernels, ptrdiff_t n) {
    const double beta1 = 0.8, beta2 = 0.9, rate = 0.1, root = 1.5, small = 1e-3;
    const array g = given(n, 1);
    double largest = 0;
    for (int momentum = 0; momentum < 2; momentum++) {
        array w = given(n, 1), v = given(n, 1);
        for (ptrdiff_t k = 0; k < n; k++) {
            const double step = g.exact[k] + (momentum ? 0.9 * v.exact[k] : 0);
            w.squares[k] = w.exact[k] * w.exact[k] + step * step;
            w.exact[k] -= 0.1 * step;
            v.squares[k] = 2;
            v.exact[k] = step;
        }
        kernels->sgd(n, w.real, g.real, momentum ? v.real : NULL, 0.1, momentum ? 0.9 : 0);
        largest = worse(largest, share(w, 3));
        if (momentum)
            largest = worse(largest, share(v, 2));
        drop(w);
        drop(v);
    }
    array w = given(n, 1), mean = given(n, 1), square = given(n, 1);
    for (ptrdiff_t k = 0; k < n; k++) {
        put(square.real, k, fabs(square.exact[k]));
        const double dw = g.exact[k], m = mean.exact[k], v = fabs(square.exact[k]);
        mean.exact[k] = beta1 * m + (1 - beta1) * dw;
        square.exact[k] = beta2 * v + (1 - beta2) * dw * dw;
        const double step = rate * mean.exact[k] / (root * sqrt(square.exact[k]) + small);
        mean.squares[k] = square.squares[k] = 1;
        w.squares[k] = 1 + step * step;
        w.exact[k] -= step;
    }
    kernels->adam(n, w.real, g.real, mean.real, square.real, beta1, beta2, rate, root, small);
    largest = worse(largest, worse(share(w, 6), worse(share(mean, 2), share(square, 2))));
    const array all[] = {g, w, mean, square};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        drop(all[k]);
    return largest;
}

/* The norm, and all_finite with a number that is not finite at every place. */
static double check_norm(const crnn_operations *kernels, ptrdiff_t n) {
    array g = given(n, 1);
    double truth = 0, found = 1;
    for (ptrdiff_t k = 0; k < n; k++)
        truth += g.exact[k] * g.exact[k];
    const double error = fabs(kernels->sum_squares(n, g.real) - truth);
    found = kernels->all_finite(n, g.real) ? 0 : INFINITY;
    for (ptrdiff_t k = 0; k < n; k++) {
        const double bad[] = {NAN, INFINITY, -INFINITY};
        put(g.real, k, bad[k % 3]);
        found = kernels->all_finite(n, g.real) ? INFINITY : found;
        put(g.real, k, g.exact[k]);
    }
    drop(g);
    return worse(found, error / (3 * DBL_EPSILON * sqrt((double)n) * truth));
}

double check_training(const crnn_operations *kernels, int *cases) {
    double largest = 0;
    for (int s = 0; s < SIZES; s++, ++*cases) {
        for (int weighted = 0; weighted < 2; weighted++)
            largest = worse(largest, check_softmax(kernels, sizes[s], weighted));
        largest = worse(largest, check_updates(kernels, sizes[s]));
        largest = worse(largest, check_rmsprop(kernels, sizes[s]));
        largest = worse(largest, check_norm(kernels, sizes[s]));
    }
    return largest;
}
