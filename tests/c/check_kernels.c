/* Compare every table of kernels that can run here with the equations in plain C and double.
 *
 * Each array is an allocation of its own without a byte to spare, so that a sanitizer sees any
 * access outside it. The program needs no Python, so it can be built for another machine and run
 * under an emulator. It prints a line per table and group of kernels, and exits with 1 if an error
 * is larger than rounding explains. `check avx2 float` checks one table in one dtype, so that
 * several programs can run at the same time; `check avx2 float 1000 7` then tries 1000 random
 * shapes of each kind, drawn from seed 7.
 */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include "check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int is_float;

const ptrdiff_t sizes[SIZES] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  15, 16,
                                17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 129};

int random_cases = 20;

static unsigned long long seed = 1;

double draw(void) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(seed >> 11) / (double)(1ull << 52) - 1;
}

double get(const void *real, ptrdiff_t k) {
    return is_float ? ((const float *)real)[k] : ((const double *)real)[k];
}

void put(void *real, ptrdiff_t k, double x) {
    if (is_float)
        ((float *)real)[k] = (float)x;
    else
        ((double *)real)[k] = x;
}

array result(ptrdiff_t n) {
    array a = {n, calloc((size_t)n, sizeof(double)), calloc((size_t)n, sizeof(double)),
               malloc((size_t)n * (is_float ? sizeof(float) : sizeof(double)))};
    for (ptrdiff_t k = 0; k < n; k++)
        put(a.real, k, NAN);
    return a;
}

array given(ptrdiff_t n, double scale) {
    array a = result(n);
    for (ptrdiff_t k = 0; k < n; k++) {
        put(a.real, k, scale * draw());
        a.exact[k] = get(a.real, k);
    }
    return a;
}

void drop(array a) {
    free(a.exact);
    free(a.squares);
    free(a.real);
}

double worse(double a, double b) { return b > a || b != b ? b : a; }

double eps(void) { return is_float ? FLT_EPSILON : DBL_EPSILON; }

double share(array a, ptrdiff_t terms) {
    double difference = 0, size = 0;
    for (ptrdiff_t k = 0; k < a.n; k++) {
        difference = worse(difference, fabs(get(a.real, k) - a.exact[k]));
        size = fmax(size, sqrt(a.squares[k]));
    }
    return difference == 0 ? 0 : difference / (3 * eps() * sqrt((double)terms) * size);
}

void *workspace(ptrdiff_t n) {
    const size_t bytes = (size_t)n * (is_float ? sizeof(float) : sizeof(double));
#ifdef _WIN32
    return _aligned_malloc(bytes, 64);
#else
    void *room;
    return posix_memalign(&room, 64, bytes) == 0 ? room : NULL;
#endif
}

void drop_workspace(void *room) {
#ifdef _WIN32
    _aligned_free(room);
#else
    free(room);
#endif
}

/* The table of that name, if it can run here. An emulated one can run anywhere. */
static const crnn_kernels *find(const char *name) {
#ifdef EMULATED_AVX512
    return strcmp(name, "avx512") == 0 ? &crnn_kernels_avx512 : NULL;
#else
    return crnn_find_kernels(name);
#endif
}

int main(int argc, char **argv) {
    static const char *const names[] = {"avx512", "avx2", "neon", "portable"};
    static const struct {
        const char *name;
        double (*check)(const crnn_operations *, int *);
    } groups[] = {{"rnn", check_rnn},
                  {"cells", check_cells},
                  {"large", check_large},
                  {"random rnn", check_random_rnn},
                  {"random cells", check_random_cells},
                  {"linear", check_linear},
                  {"stream", check_stream},
                  {"training", check_training},
                  {"losses", check_losses},
                  {"tanh", check_tanh},
                  {"segments", check_segments},
                  {"dropout", check_dropout}};
    int failed = 0, tables = 0;
    random_cases = argc > 3 ? atoi(argv[3]) : random_cases;
    seed = argc > 4 ? strtoull(argv[4], NULL, 10) : seed;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        const crnn_kernels *kernels = find(names[n]);
        if (argc > 1 && strcmp(argv[1], names[n]) != 0)
            continue;
        if (kernels == NULL) {
            printf("%s: not on this machine\n", names[n]);
            continue;
        }
        tables++;
        for (is_float = 0; is_float < 2; is_float++)
            for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
                if (argc > 2 && strcmp(argv[2], is_float ? "float" : "double") != 0)
                    continue;
                int cases = 0;
                const double largest =
                    groups[g].check(is_float ? kernels->f32 : kernels->f64, &cases);
                printf("%s %s %s: %d cases, error %.2f of what rounding explains\n", kernels->name,
                       is_float ? "float" : "double", groups[g].name, cases, largest);
                failed |= !(largest <= 1) || cases == 0;
            }
    }
    return failed || (argc == 1 && tables == 0);
}
