/* The output layer and its gradients; one step of a stream. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* out (rows, n_out) += in (rows, n_in) W' + b. */
static void linear(ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out, const double *in,
                   const double *W, const double *b, array out) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < n_out; j++) {
            add(out, i * n_out + j, b[j]);
            for (ptrdiff_t k = 0; k < n_in; k++)
                add(out, i * n_out + j, W[j * n_in + k] * in[i * n_in + k]);
        }
}

static double check_layer(const crnn_operations *kernels, ptrdiff_t rows, ptrdiff_t n_in,
                          ptrdiff_t n_out, int threads) {
    array x = given(rows * n_in, 1), W = given(n_out * n_in, 1), b = given(n_out, 1),
          dy = given(rows * n_out, 1), y = result(rows * n_out), dx = result(rows * n_in),
          dW = result(n_out * n_in), db = result(n_out);
    crnn_linear call = {.rows = rows,
                        .n_in = n_in,
                        .n_out = n_out,
                        .x = x.real,
                        .W = W.real,
                        .b = b.real,
                        .y = y.real,
                        .dy = dy.real,
                        .dx = dx.real,
                        .dW = dW.real,
                        .db = db.real,
                        .threads = threads};
    call.workspace = workspace(kernels->linear_workspace(&call));
    linear(rows, n_in, n_out, x.exact, W.exact, b.exact, y);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < n_out; j++) {
            const double dy_ij = dy.exact[i * n_out + j];
            add(db, j, dy_ij);
            for (ptrdiff_t k = 0; k < n_in; k++) {
                add(dW, j * n_in + k, dy_ij * x.exact[i * n_in + k]);
                add(dx, i * n_in + k, dy_ij * W.exact[j * n_in + k]);
            }
        }
    kernels->linear_forward(&call);
    kernels->linear_backward(&call);
    drop_workspace(call.workspace);
    double largest = worse(share(y, n_in + 1), share(dx, n_out));
    largest = worse(largest, worse(share(dW, rows), share(db, rows)));
    array sums = db; /* sum_rows alone must give the same */
    kernels->sum_rows(rows, n_out, dy.real, sums.real);
    largest = worse(largest, share(sums, rows));
    const array all[] = {x, W, b, dy, y, dx, dW, db};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        drop(all[k]);
    return largest;
}

double check_linear(const crnn_operations *kernels, int *cases) {
    double largest = check_layer(kernels, 300, 97, 130, 3); /* shared by threads */
    ++*cases;
    for (int s = 0; s < SIZES; s++) {
        const ptrdiff_t n = sizes[s];
        const ptrdiff_t shapes[][3] = {{n, 6, 5}, {7, n, 5}, {7, 6, n},
                                       {n, n, n}, {1, n, n}, {260, n, 3}};
        for (int d = 0; d < 6; d++, ++*cases)
            largest =
                worse(largest, check_layer(kernels, shapes[d][0], shapes[d][1], shapes[d][2], 1));
    }
    return largest;
}

enum { LAYERS = 3 };

typedef struct {
    ptrdiff_t m, n_x, n_a, n_y, num_layers;
    int relu, softmax, symbols;
} shape;

/* Every row of z becomes softmax(z), in place. */
static void softmax(ptrdiff_t rows, ptrdiff_t n, double *z) {
    for (ptrdiff_t i = 0; i < rows; i++, z += n) {
        double sum = 0;
        for (ptrdiff_t j = 0; j < n; j++)
            sum += exp(z[j]);
        for (ptrdiff_t j = 0; j < n; j++)
            z[j] = exp(z[j]) / sum;
    }
}

static double check_step(const crnn_operations *kernels, shape s) {
    const ptrdiff_t m = s.m, n_x = s.n_x, n_a = s.n_a, n_y = s.n_y;
    array x = given(m * n_x, 1), a = given(s.num_layers * m * n_a, 1), y = result(m * n_y);
    array W[2 * LAYERS + 1], below = x;
    array biases = given(s.num_layers * n_a + n_y, 0.1), z = result(m * n_a);
    ptrdiff_t n_in = n_x, *symbols = malloc((size_t)m * sizeof(ptrdiff_t)), packed_size = 0;
    double largest = 0;
    for (ptrdiff_t i = 0; i < m; i++)
        symbols[i] = (ptrdiff_t)((draw() + 1) / 2 * (double)n_x);
    for (ptrdiff_t k = 0; s.symbols && k < m * n_x; k++)
        x.exact[k] = symbols[k / n_x] == k % n_x;

    /* the exact values, layer by layer from the bottom */
    array states[LAYERS];
    for (ptrdiff_t layer = 0; layer < s.num_layers; layer++) {
        const array Wax = given(n_a * n_in, 1 / sqrt((double)n_in)),
                    Waa = given(n_a * n_a, 0.7 / sqrt((double)n_a)), after = result(m * n_a);
        double *none = calloc((size_t)n_a, sizeof(double));
        linear(m, n_in, n_a, below.exact, Wax.exact, biases.exact + layer * n_a, after);
        linear(m, n_a, n_a, a.exact + layer * m * n_a, Waa.exact, none, after);
        free(none);
        for (ptrdiff_t k = 0; k < m * n_a; k++)
            after.exact[k] = s.relu ? fmax(after.exact[k], 0) : tanh(after.exact[k]);
        W[2 * layer] = Wax;
        W[2 * layer + 1] = Waa;
        packed_size += kernels->padded(n_in, n_a) + kernels->padded(n_a, n_a);
        states[layer] = below = after;
        n_in = n_a;
    }
    W[2 * s.num_layers] = given(n_y * n_a, 1 / sqrt((double)n_a));
    linear(m, n_a, n_y, below.exact, W[2 * s.num_layers].exact, biases.exact + s.num_layers * n_a,
           y);
    if (s.softmax)
        softmax(m, n_y, y.exact);

    char *packed = workspace(packed_size + kernels->padded(n_a, n_y)), *next = packed;
    n_in = n_x;
    for (ptrdiff_t k = 0; k <= 2 * s.num_layers; k++) {
        const ptrdiff_t n_out = k < 2 * s.num_layers ? n_a : n_y;
        kernels->pack(n_in, n_out, W[k].real, next);
        next += kernels->padded(n_in, n_out) * (is_float ? 4 : 8);
        n_in = n_a;
    }
    const crnn_stream call = {.m = m,
                              .n_x = n_x,
                              .n_a = n_a,
                              .n_y = n_y,
                              .num_layers = s.num_layers,
                              .activation = s.relu ? CRNN_RELU : CRNN_TANH,
                              .link = s.softmax ? CRNN_SOFTMAX : CRNN_LINEAR,
                              .packed = packed,
                              .biases = biases.real,
                              .x = s.symbols ? NULL : x.real,
                              .symbols = s.symbols ? symbols : NULL,
                              .a = a.real,
                              .z = z.real,
                              .y = y.real};
    kernels->stream_step(&call);
    drop_workspace(packed);
    for (ptrdiff_t layer = 0; layer < s.num_layers; layer++) {
        for (ptrdiff_t k = 0; k < m * n_a; k++)
            put(states[layer].real, k, get(a.real, layer * m * n_a + k));
        largest = worse(largest, share(states[layer], (layer + 1) * (n_x + 2 * n_a + 1)));
        drop(states[layer]);
    }
    largest = worse(largest, share(y, (s.num_layers + 1) * (n_x + 2 * n_a + 1)));
    for (ptrdiff_t k = 0; k <= 2 * s.num_layers; k++)
        drop(W[k]);
    const array all[] = {x, a, y, biases, z};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        drop(all[k]);
    free(symbols);
    return largest;
}

double check_stream(const crnn_operations *kernels, int *cases) {
    static const ptrdiff_t rows[] = {1, 2, 3, 4, 5, 6, 7, 16};
    double largest = 0;
    int kind = 0;
    for (int d = 0; d < 4; d++)
        for (int k = 0; k < (d == 0 ? (int)(sizeof rows / sizeof *rows) : SIZES); k++)
            for (int repeat = 0; repeat < 4; repeat++, kind++, ++*cases) {
                /* Each option has another period, so that they meet in many combinations. */
                shape s = {.m = 3,
                           .n_x = 4,
                           .n_a = 6,
                           .n_y = 5,
                           .num_layers = 1 + kind % LAYERS,
                           .symbols = kind % 2,
                           .relu = kind / 3 % 2,
                           .softmax = kind / 6 % 2};
                *(d == 0   ? &s.m
                  : d == 1 ? &s.n_x
                  : d == 2 ? &s.n_a
                           : &s.n_y) = d == 0 ? rows[k] : sizes[k];
                largest = worse(largest, check_step(kernels, s));
            }
    return largest;
}
