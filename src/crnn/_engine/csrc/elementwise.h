/* What happens to rows of numbers once a product has left them: columns `n` wide, `ld` apart. */

/* max(z, 0), and NaN for NaN. */
SIMD_INLINE V(t) V(relu)(V(t) z) {
    const V(t) zero = V(set1)(0);
    return V(select_ge)(zero, z, zero, z);
}

/* z becomes a = tanh(z) or relu(z), or da becomes dz = da (1 - a^2) or da [a > 0]. */
SIMD_INLINE V(t) V(finish)(const crnn_epilogue epilogue, V(t) z, V(t) a) {
    switch (epilogue) {
    case TANH:
        return V(tanh)(z);
    case RELU:
        return V(relu)(z);
    case TANH_BACKWARD:
        return V(mul)(z, V(fnma)(a, a, V(set1)(1)));
    case RELU_BACKWARD:
        /* denormals are zeros here, so the least normal number is the least above 0 */
        return V(mul)(z, V(select_ge)(a, V(set1)(CONST(LEAST)), V(set1)(1), V(set1)(0)));
    default:
        return z;
    }
}

SIMD_INLINE void V(finish_rows_as)(const crnn_epilogue epilogue, ptrdiff_t rows, ptrdiff_t n,
                                   ptrdiff_t ld, const V_REAL *a, V_REAL *z) {
    const int backward = epilogue == TANH_BACKWARD || epilogue == RELU_BACKWARD;
    const ptrdiff_t whole = n / V_LEN * V_LEN;
    const int tail = (int)(n - whole);
    for (ptrdiff_t i = 0; i < rows; i++, z += ld, a += backward ? ld : 0) {
        for (ptrdiff_t j = 0; j < whole; j += V_LEN)
            V(store)(z + j, V(finish)(epilogue, V(load)(z + j), V(load)((backward ? a : z) + j)));
        if (tail)
            V(store_n)(z + whole,
                       V(finish)(epilogue, V(load_n)(z + whole, tail),
                                 V(load_n)((backward ? a : z) + whole, tail)),
                       tail);
    }
}

SIMD_INLINE void V(finish_rows)(crnn_epilogue epilogue, ptrdiff_t rows, ptrdiff_t n, ptrdiff_t ld,
                                const V_REAL *a, V_REAL *z) {
    switch (epilogue) { /* one loop each, with no choice inside */
    case TANH:
        V(finish_rows_as)(TANH, rows, n, ld, z, z);
        break;
    case RELU:
        V(finish_rows_as)(RELU, rows, n, ld, z, z);
        break;
    case TANH_BACKWARD:
        V(finish_rows_as)(TANH_BACKWARD, rows, n, ld, a, z);
        break;
    case RELU_BACKWARD:
        V(finish_rows_as)(RELU_BACKWARD, rows, n, ld, a, z);
        break;
    default:
        break;
    }
}

/* db[j0:j1] = sum of dy (rows, n) over rows (+ db with `add`), in double, 64 columns at a time. */
static void V(sum_rows)(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t j0, ptrdiff_t j1, const V_REAL *dy,
                        int add, V_REAL *db) {
    for (ptrdiff_t start = j0; start < j1; start += 64) {
        const ptrdiff_t width = j1 - start < 64 ? j1 - start : 64;
        double sum[64];
        for (ptrdiff_t j = 0; j < width; j++)
            sum[j] = add ? db[start + j] : 0;
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < width; j++)
                sum[j] += dy[i * n + start + j];
        for (ptrdiff_t j = 0; j < width; j++)
            db[start + j] = (V_REAL)sum[j];
    }
}

static void V(finish_all)(crnn_epilogue epilogue, ptrdiff_t rows, ptrdiff_t n, const void *a,
                          void *z) {
    V(finish_rows)(epilogue, rows, n, n, a, z);
}

static void V(sum_all_rows)(ptrdiff_t rows, ptrdiff_t n, const void *dy, void *db) {
    V(sum_rows)(rows, n, 0, n, dy, 0, db);
}
