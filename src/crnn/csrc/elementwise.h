/* The one source of the element-wise kernels. A thin file defines, and includes this per type:
 *
 *   REAL       float or double
 *   REAL_TANH  tanhf or tanh
 *   NAME(f)    the function's full name: crnn_<operation>_<dtype>_<instruction set>
 */

/* Columns summed at a time by sum_rows: their sums stay in registers or the first cache. */
enum { NAME(sum_width) = 64 };

static void NAME(bias_tanh)(ptrdiff_t rows, ptrdiff_t n, const REAL *b, REAL *z) {
    for (ptrdiff_t i = 0; i < rows; i++, z += n)
        for (ptrdiff_t j = 0; j < n; j++)
            z[j] = REAL_TANH(z[j] + b[j]);
}

static void NAME(tanh_backward)(ptrdiff_t rows, ptrdiff_t n, const REAL *a, REAL *dz) {
    for (ptrdiff_t k = 0; k < rows * n; k++)
        dz[k] *= 1 - a[k] * a[k];
}

static void NAME(bias_relu)(ptrdiff_t rows, ptrdiff_t n, const REAL *b, REAL *z) {
    for (ptrdiff_t i = 0; i < rows; i++, z += n)
        for (ptrdiff_t j = 0; j < n; j++) {
            const REAL zj = z[j] + b[j];
            z[j] = zj < 0 ? 0 : zj; /* NaN < 0 is false: NaN flows through */
        }
}

static void NAME(relu_backward)(ptrdiff_t rows, ptrdiff_t n, const REAL *a, REAL *dz) {
    for (ptrdiff_t k = 0; k < rows * n; k++)
        dz[k] *= a[k] > 0 ? (REAL)1 : (REAL)0;
}

static void NAME(add_bias)(ptrdiff_t rows, ptrdiff_t n, const REAL *b, REAL *y) {
    for (ptrdiff_t i = 0; i < rows; i++, y += n)
        for (ptrdiff_t j = 0; j < n; j++)
            y[j] += b[j];
}

static void NAME(sum_rows)(ptrdiff_t rows, ptrdiff_t n, const REAL *dy, REAL *db) {
    for (ptrdiff_t start = 0; start < n; start += NAME(sum_width)) {
        const ptrdiff_t left = n - start;
        const ptrdiff_t width = left < NAME(sum_width) ? left : NAME(sum_width);
        double sum[NAME(sum_width)] = {0};
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < width; j++)
                sum[j] += dy[i * n + start + j];
        for (ptrdiff_t j = 0; j < width; j++)
            db[start + j] = (REAL)sum[j];
    }
}

#undef REAL
#undef REAL_TANH
#undef NAME
