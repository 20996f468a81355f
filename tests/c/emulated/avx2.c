/* As csrc/avx2.c, but masked loads and stores first touch each of their elements in plain C,
 * because AddressSanitizer does not see what these instructions access. */
#if defined(__x86_64__)
#include <immintrin.h>

/* Of one type each: real, the mask's integer, the vector, its lanes, and the suffix of the names.
 */
#define MASKED(real, integer, vector, lanes, suffix)                                               \
    static inline void touch_##suffix(const volatile real *p, const integer *mask) {               \
        for (int k = 0; k < (lanes); k++)                                                          \
            if (mask[k] < 0)                                                                       \
                (void)p[k];                                                                        \
    }                                                                                              \
    __attribute__((target("avx2"))) static inline vector maskload_##suffix(const real *p,          \
                                                                           __m256i mask) {         \
        integer all[lanes];                                                                        \
        _mm256_storeu_si256((__m256i *)all, mask);                                                 \
        touch_##suffix(p, all);                                                                    \
        return _mm256_maskload_##suffix(p, mask);                                                  \
    }                                                                                              \
    __attribute__((target("avx2"))) static inline void maskstore_##suffix(real *p, __m256i mask,   \
                                                                          vector a) {              \
        integer all[lanes];                                                                        \
        _mm256_storeu_si256((__m256i *)all, mask);                                                 \
        touch_##suffix(p, all);                                                                    \
        _mm256_maskstore_##suffix(p, mask, a);                                                     \
    }
MASKED(float, int, __m256, 8, ps)
MASKED(double, long long, __m256d, 4, pd)

#define _mm256_maskload_ps maskload_ps
#define _mm256_maskload_pd maskload_pd
#define _mm256_maskstore_ps maskstore_ps
#define _mm256_maskstore_pd maskstore_pd
#endif

#include <avx2.c>
