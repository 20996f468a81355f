/* Every table of kernels that can run here against the equations in plain C and double.
 *
 * Each array is an allocation of its own and exactly as large as it must be, so that a sanitizer
 * sees any step outside; and the whole needs no Python, so that it can be built for another machine
 * and run under an emulator. Prints a line per table; exit code 1 where an error is larger than
 * rounding.
 */
#include "crnn_kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long seed = 1;

/* Uniform in [-1, 1). */
static double draw(void) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(seed >> 11) / (double)(1ull << 52) - 1;
}

/* An array of n numbers, in double and in the dtype of the kernels: the same numbers. */
typedef struct {
    ptrdiff_t n;
    double *exact;
    void *real;
} array;

static int is_float; /* the dtype under test */

static double get(const void *real, ptrdiff_t k) {
    return is_float ? ((const float *)real)[k] : ((const double *)real)[k];
}

static array make(ptrdiff_t n, double scale) {
    array a = {n, malloc((size_t)n * sizeof(double)), malloc((size_t)n * (is_float ? 4 : 8))};
    for (ptrdiff_t k = 0; k < n; k++) {
        const double x = scale * draw();
        if (is_float)
            ((float *)a.real)[k] = (float)x;
        else
            ((double *)a.real)[k] = x;
        a.exact[k] = get(a.real, k);
    }
    return a;
}

static void drop(array a) {
    free(a.exact);
    free(a.real);
}

/* The largest difference over the largest number of the truth. */
static double error(array a) {
    double difference = 0, largest = 0;
    for (ptrdiff_t k = 0; k < a.n; k++) {
        const double d = fabs(get(a.real, k) - a.exact[k]);
        difference = d > difference || d != d ? d : difference;
        largest = fabs(a.exact[k]) > largest ? fabs(a.exact[k]) : largest;
    }
    return difference / (largest > 0 ? largest : 1);
}

static double worst(double a, double b) { return b > a || b != b ? b : a; }

/* One call, forward and backward, left to right, from a0; the largest error of any result. */
static double check(const crnn_operations *kernels, ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_x,
                    ptrdiff_t n_a, int relu, int threads) {
    array x = make(T * m * n_x, 1), Waa = make(n_a * n_a, 1 / sqrt((double)n_a)),
          Wax = make(n_a * n_x, 1 / sqrt((double)n_x)), ba = make(n_a, 0.1),
          a0 = make(m * n_a, 0.5), a = make(T * m * n_a, 0), da = make(T * m * n_a, 1),
          dWaa = make(n_a * n_a, 0), dWax = make(n_a * n_x, 0), dba = make(n_a, 0),
          dx = make(T * m * n_x, 0), da0 = make(m * n_a, 0);
    const ptrdiff_t forward = kernels->rnn_workspace(T, m, n_x, n_a, 0);
    const ptrdiff_t backward = kernels->rnn_workspace(T, m, n_x, n_a, 1);
    const size_t size = (size_t)(forward > backward ? forward : backward) * (is_float ? 4 : 8);
    crnn_rnn call = {.T = T,
                     .m = m,
                     .n_x = n_x,
                     .n_a = n_a,
                     .x = x.real,
                     .Waa = Waa.real,
                     .Wax = Wax.real,
                     .ba = ba.real,
                     .a0 = a0.real,
                     .relu = relu,
                     .a = a.real,
                     .da = da.real,
                     .dWaa = dWaa.real,
                     .dWax = dWax.real,
                     .dba = dba.real,
                     .dx = dx.real,
                     .da0 = da0.real,
                     .threads = threads};
    call.workspace = aligned_alloc(64, (size + 63) / 64 * 64);

    for (ptrdiff_t t = 0; t < T; t++)
        for (ptrdiff_t i = 0; i < m; i++)
            for (ptrdiff_t j = 0; j < n_a; j++) {
                const double *before =
                    t > 0 ? a.exact + ((t - 1) * m + i) * n_a : a0.exact + i * n_a;
                double z = ba.exact[j];
                for (ptrdiff_t k = 0; k < n_a; k++)
                    z += Waa.exact[j * n_a + k] * before[k];
                for (ptrdiff_t k = 0; k < n_x; k++)
                    z += Wax.exact[j * n_x + k] * x.exact[(t * m + i) * n_x + k];
                a.exact[(t * m + i) * n_a + j] = relu ? (z > 0 ? z : 0) : tanh(z);
            }
    kernels->rnn_forward(&call);
    double largest = error(a);

    /* the gradients at the kernels' own states, so that relu's kinks fall on the same side */
    double *next = calloc((size_t)(m * n_a), sizeof(double)), *dz = calloc((size_t)n_a, sizeof *dz);
    memset(dx.exact, 0, (size_t)dx.n * sizeof(double));
    for (ptrdiff_t k = 0; k < a.n; k++)
        a.exact[k] = get(a.real, k);
    for (ptrdiff_t t = T - 1; t >= 0; t--)
        for (ptrdiff_t i = 0; i < m; i++) {
            const double *before = t > 0 ? a.exact + ((t - 1) * m + i) * n_a : a0.exact + i * n_a;
            for (ptrdiff_t j = 0; j < n_a; j++) {
                const double y = a.exact[(t * m + i) * n_a + j];
                const double above = da.exact[(t * m + i) * n_a + j] + next[i * n_a + j];
                dz[j] = above * (relu ? y > 0 : 1 - y * y);
                dba.exact[j] += dz[j];
                for (ptrdiff_t k = 0; k < n_a; k++)
                    dWaa.exact[j * n_a + k] += dz[j] * before[k];
                for (ptrdiff_t k = 0; k < n_x; k++) {
                    dWax.exact[j * n_x + k] += dz[j] * x.exact[(t * m + i) * n_x + k];
                    dx.exact[(t * m + i) * n_x + k] += dz[j] * Wax.exact[j * n_x + k];
                }
            }
            for (ptrdiff_t k = 0; k < n_a; k++) {
                next[i * n_a + k] = 0;
                for (ptrdiff_t j = 0; j < n_a; j++)
                    next[i * n_a + k] += dz[j] * Waa.exact[j * n_a + k];
            }
        }
    memcpy(da0.exact, next, (size_t)da0.n * sizeof(double));
    kernels->rnn_backward(&call);
    const array results[] = {dWaa, dWax, dba, dx, da0};
    for (size_t k = 0; k < sizeof results / sizeof *results; k++)
        largest = worst(largest, error(results[k]));

    const array all[] = {x, Waa, Wax, ba, a0, a, da, dWaa, dWax, dba, dx, da0};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        drop(all[k]);
    free(next);
    free(dz);
    free(call.workspace);
    return largest;
}

int main(void) {
    static const char *const names[] = {"avx512", "avx2", "neon", "portable"};
    static const ptrdiff_t sizes[] = {1, 2, 3, 5, 15, 16, 17, 31, 33, 65};
    int failed = 0, tables = 0;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const crnn_kernels *kernels = crnn_find_kernels(names[n]);
        if (kernels == NULL)
            continue;
        tables++;
        for (is_float = 0; is_float < 2; is_float++) {
            double largest = 0;
            int cases = 0;
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
                for (int relu = 0; relu < 2; relu++)
                    for (int shape = 0; shape < 4; shape++, cases++) {
                        const ptrdiff_t size = sizes[k];
                        largest = worst(largest, check(is_float ? kernels->f32 : kernels->f64,
                                                       shape == 0 ? size : 3, shape == 1 ? size : 4,
                                                       shape == 2 ? size : 5, shape == 3 ? size : 6,
                                                       relu, 1 + relu));
                    }
            const double most = is_float ? 1e-5 : 1e-14;
            printf("%s %s: %d cases, largest relative error %.1e\n", kernels->name,
                   is_float ? "float" : "double", cases, largest);
            failed |= !(largest < most);
        }
    }
    return failed || tables == 0;
}
