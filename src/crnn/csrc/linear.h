/* Products of whole matrices, from tiles: y = x W' + b, and its gradients dx = dy W, dW = dy' x. */

/* Panels of a matrix of N columns: those of one part. */
typedef struct {
    ptrdiff_t N, from, to; /* columns; from and to lie between panels, or at the end */
    int backwards;         /* whether the last panel comes first */
} V(columns);

static V(columns) V(columns_of)(ptrdiff_t N, int part, int parts) {
    const ptrdiff_t panels = (N + PANEL - 1) / PANEL;
    const V(columns) columns = {N, panels * part / parts * PANEL,
                                part + 1 == parts ? N : panels * (part + 1) / parts * PANEL, 0};
    return columns;
}

static V(columns) V(all_columns)(ptrdiff_t N) { return V(columns_of)(N, 0, 1); }

/* Ask for rows of a panel, `ld` apart, in each of two matrices. */
static void V(prefetch)(ptrdiff_t rows, ptrdiff_t ld, const V_REAL *a, const V_REAL *b) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < PANEL; j += 64 / (ptrdiff_t)sizeof(V_REAL)) {
            SIMD_PREFETCH(a + i * ld + j);
            SIMD_PREFETCH(b + i * ld + j);
        }
}

/* C (rows, N) = C0 + A B, then the epilogue; A (rows, K) with lda, B packed, chains as chains_for.
 * `next`: from C0 and a to those of the product to come, where that is worth asking for, or 0.
 */
static void V(product)(ptrdiff_t rows, ptrdiff_t K, V(columns) columns, const V_REAL *A,
                       ptrdiff_t lda, const V_REAL *B, V(start) c0, V_REAL *C, int chains,
                       crnn_epilogue epilogue, const V_REAL *a, ptrdiff_t next) {
    const ptrdiff_t most = chains == 0 ? TILE_ROWS : chains == 1 ? 3 : 1;
    /* The larger blocks first: where sizes take turns, branches are foretold worse (3 % at m = 32,
     * n_a = 128). */
    const ptrdiff_t blocks = (rows + most - 1) / most, least = rows / blocks, more = rows % blocks;
    const ptrdiff_t N = columns.N, panels = (columns.to - columns.from + PANEL - 1) / PANEL;
    for (ptrdiff_t k = 0; k < panels; k++) {
        const ptrdiff_t column = columns.from + (columns.backwards ? panels - 1 - k : k) * PANEL;
        const V(panel) p = V(panel_at)(column, N);
        for (ptrdiff_t block = 0, i = 0, n; block < blocks; block++, i += n) {
            n = least + (block < more);
            const V(start) start = {c0.rows == NULL ? NULL : c0.rows + i * c0.ld + column, c0.ld};
            V_REAL *c = C + i * N + column;
            if (next != 0) {
                const ptrdiff_t ahead = k + 1 == panels ? next : columns.backwards ? -PANEL : PANEL;
                V(prefetch)(n, N, start.rows + ahead, a + i * N + column + ahead);
            }
            V(row_tiles)
            [chains][n - 1][p.regs - 1](K, A + i *lda, lda, B + column *K, start, c, N, p.tail);
            V(finish_rows)(epilogue, n, p.columns, N, a == NULL ? NULL : a + i * N + column, c);
        }
    }
}

/* Strips of at most TILE_ROWS units, the larger first: strip s begins at unit strip_at(n, s). */
static ptrdiff_t V(strips)(ptrdiff_t n) { return (n + TILE_ROWS - 1) / TILE_ROWS; }
static ptrdiff_t V(strip_at)(ptrdiff_t n, ptrdiff_t s) {
    const ptrdiff_t least = n / V(strips)(n), more = n % V(strips)(n);
    return s * least + (s < more ? s : more);
}

/* Rows summed at a time: a packed panel of them stays in the first cache, 16 or 32 KiB of it. With
 * AVX2 256 gave 86 % of the peak and 128 gave 82 (n = 256). */
enum { V(K_BLOCK) = PANEL * sizeof(V_REAL) > 128 ? 128 : 256 };

/* Numbers of a packed strip, with room for the last vector to reach over its end. */
enum { V(STRIP) = TILE_ROWS * V(K_BLOCK) + V_LEN };

/* Numbers that sum_products needs as scratch. */
static ptrdiff_t V(strips_size)(ptrdiff_t n) { return V(strips)(n) * V(STRIP); }

/* Strips s0..s1 of dy (K, n), each (K, TILE_ROWS) of its own: a tile then reads a few cache lines
 * in a row, not one for each k, which for n of powers of two would all fall on the same place of
 * the cache. For the same reason some rows are packed for all strips before the next. */
static void V(pack_strips)(ptrdiff_t K, ptrdiff_t n, ptrdiff_t s0, ptrdiff_t s1, const V_REAL *dy,
                           V_REAL *A) {
    enum { VECTORS = (TILE_ROWS + V_LEN - 1) / V_LEN, ROWS = 16 };
    for (ptrdiff_t k0 = 0; k0 < K; k0 += ROWS)
        for (ptrdiff_t s = s0; s < s1; s++) {
            const ptrdiff_t u = V(strip_at)(n, s), k1 = k0 + ROWS < K ? k0 + ROWS : K;
            const int units = (int)(V(strip_at)(n, s + 1) - u), whole = u + VECTORS * V_LEN <= n;
            V_REAL *strip = A + (s - s0) * V(STRIP) + k0 * TILE_ROWS;
            for (ptrdiff_t k = k0; k < k1; k++, strip += TILE_ROWS) {
                const V_REAL *row = dy + k * n + u;
                if (whole) /* what reaches over is written again by the next row */
                    EACH (v, VECTORS)
                        V(store)(strip + v * V_LEN, V(load)(row + v * V_LEN));
                else
                    for (int i = 0; i < units; i++)
                        strip[i] = row[i];
            }
        }
}

/* A sum over rows: dW (n_out, n_in) = dy' x, or + dW with `add`. */
typedef struct {
    const V_REAL *x; /* (rows, n_in) */
    ptrdiff_t n_in;
    int add;
    V_REAL *dW;
    /* Where lengths is not NULL, rows are steps (from t0) of m examples, and those past an
     * example's length are taken for zeros: 0 times a NaN in the padding is NaN. */
    const ptrdiff_t *lengths;
    ptrdiff_t m, t0;
} V(sum);

/* Rows k0.. of a packed panel (K, width) that are padding become zeros. */
static void V(clear_padding)(const V(sum) * sum, ptrdiff_t k0, ptrdiff_t K, ptrdiff_t width,
                             V_REAL *B) {
    for (ptrdiff_t k = 0; k < K; k++)
        if (sum->t0 + (k0 + k) / sum->m >= sum->lengths[(k0 + k) % sum->m])
            memset(B + k * width, 0, (size_t)width * sizeof(V_REAL));
}

/* Add strips s0..s1 of a block of K rows, packed in A, to a sum. */
static void V(add_block)(ptrdiff_t K, ptrdiff_t k, ptrdiff_t n_out, ptrdiff_t s0, ptrdiff_t s1,
                         const V_REAL *A, const V(sum) * sum) {
    SIMD_ALIGNED V_REAL B[V(K_BLOCK) * PANEL];
    const ptrdiff_t n_in = sum->n_in;
    for (ptrdiff_t column = 0; column < n_in; column += PANEL) {
        const V(panel) p = V(panel_at)(column, n_in);
        V(pack_panel)(p, k, k + K, sum->x, n_in, B);
        if (sum->lengths != NULL)
            V(clear_padding)(sum, k, K, p.regs * V_LEN, B);
        for (ptrdiff_t s = s0; s < s1; s++) {
            const ptrdiff_t u = V(strip_at)(n_out, s), units = V(strip_at)(n_out, s + 1) - u;
            V_REAL *c = sum->dW + u * n_in + column;
            const V(start) start = {sum->add || k > 0 ? c : NULL, n_in};
            V(strip_tiles)
            [units - 1][p.regs - 1](K, A + (s - s0) *V(STRIP), 0, B, start, c, n_in, p.tail);
        }
    }
}

/* Strips s0..s1 of one or two sums over the same dy (rows, n_out). A block of rows of dy is packed
 * once, for both. Its strips may come from the third cache, each as a stream: shares of them that
 * stay in the second would have x packed for each share (3 % slower at n = 1024). */
static void V(sum_products)(ptrdiff_t rows, ptrdiff_t n_out, ptrdiff_t s0, ptrdiff_t s1,
                            const V_REAL *dy, int sums, const V(sum) * sum, V_REAL *scratch) {
    const ptrdiff_t u0 = V(strip_at)(n_out, s0), u1 = V(strip_at)(n_out, s1);
    V_REAL *A = scratch + s0 * V(STRIP);
    for (int i = 0; i < sums && rows == 0; i++)
        if (!sum[i].add)
            memset(sum[i].dW + u0 * sum[i].n_in, 0,
                   (size_t)((u1 - u0) * sum[i].n_in) * sizeof(V_REAL));
    for (ptrdiff_t k = 0; k < rows; k += V(K_BLOCK)) {
        const ptrdiff_t K = k + V(K_BLOCK) < rows ? V(K_BLOCK) : rows - k;
        V(pack_strips)(K, n_out, s0, s1, dy + k * n_out, A);
        for (int i = 0; i < sums; i++)
            V(add_block)(K, k, n_out, s0, s1, A, &sum[i]);
    }
}

typedef struct {
    CRNN_LINEAR(V_REAL)
} V(linear);

static V(linear) V(typed_linear)(const crnn_linear *call) {
    V(linear) typed;
    memcpy(&typed, call, sizeof typed);
    return typed;
}

static ptrdiff_t V(packed_size)(ptrdiff_t n_in, ptrdiff_t n_out) {
    const ptrdiff_t forward = V(padded)(n_in, n_out), backward = V(padded)(n_out, n_in);
    return forward > backward ? forward : backward;
}

static ptrdiff_t V(linear_workspace)(ptrdiff_t n_in, ptrdiff_t n_out) {
    return V(packed_size)(n_in, n_out) + V(strips_size)(n_out);
}

static void V(linear_forward_part)(const void *call, int part, int parts) {
    const V(linear) *l = call;
    const ptrdiff_t i0 = l->rows * part / parts, i1 = l->rows * (part + 1) / parts;
    const V(start) bias = {l->b, 0};
    V(product)(i1 - i0, l->n_in, V(all_columns)(l->n_out), l->x + i0 * l->n_in, l->n_in,
               l->workspace, bias, l->y + i0 * l->n_out, V(chains_for)(l->rows), NOTHING, NULL, 0);
}

static void V(linear_forward)(const crnn_linear *call) {
    const V(linear) record = V(typed_linear)(call), *l = &record;
    V(pack_transposed)(l->n_in, l->n_out, l->W, l->workspace);
    crnn_run(crnn_row_parts(l->threads, l->rows, 2.0 * l->rows * l->n_in * l->n_out),
             V(linear_forward_part), l);
}

static void V(linear_backward_rows)(const void *call, int part, int parts) {
    const V(linear) *l = call;
    const ptrdiff_t i0 = l->rows * part / parts, i1 = l->rows * (part + 1) / parts;
    const V(start) zeros = {NULL, 0};
    V(product)(i1 - i0, l->n_out, V(all_columns)(l->n_in), l->dy + i0 * l->n_out, l->n_out,
               l->workspace, zeros, l->dx + i0 * l->n_in, V(chains_for)(l->rows), NOTHING, NULL, 0);
}

static void V(linear_backward_units)(const void *call, int part, int parts) {
    const V(linear) *l = call;
    const ptrdiff_t n = l->n_out, strips = V(strips)(n);
    const ptrdiff_t s0 = strips * part / parts, s1 = strips * (part + 1) / parts;
    const V(sum) dW = {l->x, l->n_in, 0, l->dW, NULL, 0, 0};
    V(sum_products)(l->rows, n, s0, s1, l->dy, 1, &dW, l->workspace + V(packed_size)(l->n_in, n));
    V(sum_rows)(l->rows, n, V(strip_at)(n, s0), V(strip_at)(n, s1), l->dy, 0, l->db);
}

static void V(linear_backward)(const crnn_linear *call) {
    const V(linear) record = V(typed_linear)(call), *l = &record;
    const double work = 2.0 * l->rows * l->n_in * l->n_out;
    V(pack)(l->n_out, l->n_in, l->W, l->workspace);
    crnn_run(crnn_row_parts(l->threads, l->rows, work), V(linear_backward_rows), l);
    crnn_run(crnn_parts(l->threads, V(strips)(l->n_out), work), V(linear_backward_units), l);
}
