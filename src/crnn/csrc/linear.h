/* Products of whole matrices, from tiles: y = x W' + b, and its gradients dx = dy W, dW = dy' x. */

/* Panels of a matrix of N columns: those of one part. */
typedef struct {
    ptrdiff_t N, from, to; /* columns; from and to lie between panels, or at the end */
} V(columns);

static V(columns) V(columns_of)(ptrdiff_t N, int part, int parts) {
    const ptrdiff_t panels = (N + PANEL - 1) / PANEL;
    const V(columns) columns = {N, panels * part / parts * PANEL,
                                part + 1 == parts ? N : panels * (part + 1) / parts * PANEL};
    return columns;
}

static V(columns) V(all_columns)(ptrdiff_t N) { return V(columns_of)(N, 0, 1); }

/* C (rows, N) = C0 + A B, then the epilogue; A (rows, K) with lda, B packed, chains as chains_for.
 */
static void V(product)(ptrdiff_t rows, ptrdiff_t K, V(columns) columns, const V_REAL *A,
                       ptrdiff_t lda, const V_REAL *B, V(start) c0, V_REAL *C, int chains,
                       crnn_epilogue epilogue, const V_REAL *a) {
    const ptrdiff_t most = chains == 0 ? TILE_ROWS : chains == 1 ? 3 : 1;
    const ptrdiff_t blocks = (rows + most - 1) / most;
    const ptrdiff_t N = columns.N;
    for (ptrdiff_t column = columns.from; column < columns.to; column += PANEL) {
        const V(panel) p = V(panel_at)(column, N);
        for (ptrdiff_t block = 0; block < blocks; block++) {
            const ptrdiff_t i = rows * block / blocks, n = rows * (block + 1) / blocks - i;
            const V(start) start = {c0.rows == NULL ? NULL : c0.rows + i * c0.ld + column, c0.ld};
            V_REAL *c = C + i * N + column;
            V(row_tiles)
            [chains][n - 1][p.regs - 1](K, A + i *lda, lda, B + column *K, start, c, N, p.tail);
            V(finish_rows)(epilogue, n, p.columns, N, a == NULL ? NULL : a + i * N + column, c);
        }
    }
}

/* dW[u0:u1] (n_out, n_in) = dy' x (+ dW with `add`), for dy (rows, n_out) and x (rows, n_in). */
static void V(product_of_columns)(ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out, ptrdiff_t u0,
                                  ptrdiff_t u1, const V_REAL *dy, const V_REAL *x, int add,
                                  V_REAL *dW) {
    SIMD_ALIGNED V_REAL B[K_BLOCK * PANEL];
    const ptrdiff_t blocks = (u1 - u0 + TILE_ROWS - 1) / TILE_ROWS;
    if (rows == 0 && !add && u1 > u0)
        memset(dW + u0 * n_in, 0, (size_t)((u1 - u0) * n_in) * sizeof(V_REAL));
    for (ptrdiff_t k = 0; k < rows; k += K_BLOCK, add = 1) {
        const ptrdiff_t end = k + K_BLOCK < rows ? k + K_BLOCK : rows;
        for (ptrdiff_t column = 0; column < n_in; column += PANEL) {
            const V(panel) p = V(panel_at)(column, n_in);
            V(pack_panel)(p, k, end, x, n_in, B);
            for (ptrdiff_t block = 0; block < blocks; block++) {
                const ptrdiff_t u = u0 + (u1 - u0) * block / blocks;
                const ptrdiff_t n = u0 + (u1 - u0) * (block + 1) / blocks - u;
                V_REAL *c = dW + u * n_in + column;
                const V(start) start = {add ? c : NULL, n_in};
                V(column_tiles)
                [n - 1][p.regs - 1](end - k, dy + k *n_out + u, n_out, B, start, c, n_in, p.tail);
            }
        }
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

static void V(linear_forward_part)(const void *call, int part, int parts) {
    const V(linear) *l = call;
    const ptrdiff_t i0 = l->rows * part / parts, i1 = l->rows * (part + 1) / parts;
    const V(start) bias = {l->b, 0};
    V(product)(i1 - i0, l->n_in, V(all_columns)(l->n_out), l->x + i0 * l->n_in, l->n_in,
               l->workspace, bias, l->y + i0 * l->n_out, V(chains_for)(l->rows), NOTHING, NULL);
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
               l->workspace, zeros, l->dx + i0 * l->n_in, V(chains_for)(l->rows), NOTHING, NULL);
}

static void V(linear_backward_units)(const void *call, int part, int parts) {
    const V(linear) *l = call;
    const ptrdiff_t u0 = l->n_out * part / parts, u1 = l->n_out * (part + 1) / parts;
    V(product_of_columns)(l->rows, l->n_in, l->n_out, u0, u1, l->dy, l->x, 0, l->dW);
    V(sum_rows)(l->rows, l->n_out, u0, u1, l->dy, 0, l->db);
}

static void V(linear_backward)(const crnn_linear *call) {
    const V(linear) record = V(typed_linear)(call), *l = &record;
    const double work = 2.0 * l->rows * l->n_in * l->n_out;
    V(pack)(l->n_out, l->n_in, l->W, l->workspace);
    crnn_run(crnn_row_parts(l->threads, l->rows, work), V(linear_backward_rows), l);
    crnn_run(crnn_parts(l->threads, l->n_out, work), V(linear_backward_units), l);
}
