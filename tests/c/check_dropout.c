/* Dropout at every size, against Philox in plain C. */
#include "check.h"

#include <math.h>
#include <string.h>

enum { T = 3, M = 2 };

/* Word k of Philox4x32-10 (Salmon et al., SC 2011) for a counter and a key. */
static uint32_t philox_word(uint64_t seed, uint64_t t, uint64_t example, uint64_t first, int k) {
    uint32_t c[4] = {(uint32_t)first, (uint32_t)example, (uint32_t)t, (uint32_t)(t >> 32)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        const uint64_t p = UINT64_C(0xD2511F53) * c[0], q = UINT64_C(0xCD9E8D57) * c[2];
        const uint32_t c0 = (uint32_t)(q >> 32) ^ c[1] ^ key[0];
        const uint32_t c2 = (uint32_t)(p >> 32) ^ c[3] ^ key[1];
        c[0] = c0;
        c[1] = (uint32_t)q;
        c[2] = c2;
        c[3] = (uint32_t)p;
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    return c[k];
}

/* Read from left to right from step 5 on, or from right to left with `ends`; in place or not. A
 * quarter of the units is dropped, and 4/3 is rounded once, the product once more. */
static double check(const crnn_operations *kernels, ptrdiff_t n, const ptrdiff_t *ends, int same) {
    const uint64_t seed = UINT64_C(0x123456789ABCDEF0);
    const double rate = 0.25;
    array x = given(T * M * n, 1), y = result(T * M * n);
    for (ptrdiff_t s = 0; s < T; s++)
        for (ptrdiff_t i = 0; i < M; i++)
            for (ptrdiff_t j = 0; j < n; j++) {
                const ptrdiff_t t = ends == NULL ? 5 + s : ends[i] - 1 - s, in = j % 32;
                const uint64_t first = (uint64_t)(j / 32 * 8 + in % 8);
                const uint32_t word =
                    philox_word(seed, (uint64_t)t, (uint64_t)i, first, (int)(in / 8));
                const ptrdiff_t place = (s * M + i) * n + j;
                add(y, place, word < rate * 0x1p32 ? 0 : x.exact[place] / (1 - rate));
            }
    if (same)
        memcpy(y.real, x.real, (size_t)x.n * (is_float ? 4 : 8));
    kernels->dropout(T, M, n, 5, ends, seed, rate, same ? y.real : x.real, y.real);
    double largest = share(y, 2);
    for (ptrdiff_t k = 0; k < y.n; k++) /* what is dropped is 0 exactly */
        if (y.exact[k] == 0 && get(y.real, k) != 0)
            largest = INFINITY;
    drop(x);
    drop(y);
    return largest;
}

double check_dropout(const crnn_operations *kernels, int *cases) {
    const ptrdiff_t ends[M] = {7, 4};
    double largest = 0;
    for (int s = 0; s < SIZES; s++, ++*cases)
        for (int same = 0; same < 2; same++) {
            largest = worse(largest, check(kernels, sizes[s], NULL, same));
            largest = worse(largest, check(kernels, sizes[s], ends, same));
        }
    return largest;
}
