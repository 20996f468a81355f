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

/* A product C (rows, N) = C0 + A B, and what then happens to C. */
typedef struct {
    ptrdiff_t K;
    const V_REAL *A, *B; /* (rows, K), and packed (K, N) */
    V(start) c0;
    V_REAL *C;
    int chains; /* as chains_for */
    crnn_epilogue epilogue;
    const V_REAL *a; /* (rows, N), for an epilogue of backward */
    ptrdiff_t next;  /* from C0 (ld N) and a, both given, to those of the product to come; or 0 */
} V(work);

/* Ask for rows of a panel, `ld` apart, in each of two matrices. */
static void V(prefetch)(ptrdiff_t rows, ptrdiff_t ld, const V_REAL *a, const V_REAL *b) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < PANEL; j += 64 / (ptrdiff_t)sizeof(V_REAL)) {
            SIMD_PREFETCH(a + i * ld + j);
            SIMD_PREFETCH(b + i * ld + j);
        }
}

/* The rows i0..i1 of one panel, n at a time. `ahead`: from what a row starts from to what it will
 * start from next, or 0. */
SIMD_INLINE void V(product_rows)(const V(work) * w, ptrdiff_t N, V(panel) p, ptrdiff_t ahead,
                                 ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t n) {
    const ptrdiff_t K = w->K, ld = w->c0.ld;
    for (ptrdiff_t i = i0; i < i1; i += n) {
        const ptrdiff_t here = i * N + p.column;
        const V(start) start = {w->c0.rows == NULL ? NULL : w->c0.rows + i * ld + p.column, ld};
        const V_REAL *a = w->a == NULL ? NULL : w->a + here;
        if (ahead != 0)
            V(prefetch)(n, N, start.rows + ahead, a + ahead);
        const V(tile_function) tile = V(row_tiles)[w->chains][n - 1][p.regs - 1];
        tile(K, w->A + i * K, K, w->B + p.column * K, start, w->C + here, N, p.tail);
        V(finish_rows)(w->epilogue, n, p.columns, N, a, w->C + here);
    }
}

/* Inlined, so that what a caller's record leaves out costs a short step nothing. */
SIMD_INLINE void V(product)(ptrdiff_t rows, V(columns) columns, const V(work) * w) {
    const ptrdiff_t most = w->chains == 0 ? TILE_ROWS : w->chains == 1 ? 3 : 1;
    /* Blocks of two sizes, each in a loop of its own: where sizes take turns, branches are foretold
     * worse (91 % of the peak against 88 at m = 32, n_a = 128). */
    const ptrdiff_t blocks = (rows + most - 1) / most, n = rows <= most ? rows : rows / blocks;
    const ptrdiff_t larger = (rows - n * blocks) * (n + 1); /* rows in blocks of n + 1 */
    const ptrdiff_t panels = (columns.to - columns.from + PANEL - 1) / PANEL;
    for (ptrdiff_t k = 0; k < panels; k++) {
        const ptrdiff_t at = columns.backwards ? panels - 1 - k : k;
        const V(panel) p = V(panel_at)(columns.from + at * PANEL, columns.N);
        const ptrdiff_t beside = columns.backwards ? -PANEL : PANEL;
        const ptrdiff_t ahead = w->next == 0 || k + 1 == panels ? w->next : beside;
        if (larger > 0)
            V(product_rows)(w, columns.N, p, ahead, 0, larger, n + 1);
        V(product_rows)(w, columns.N, p, ahead, larger, rows, n);
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
     * example's length are taken for zeros: 0 times the NaN that may stand there is NaN. */
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
    const V(work) y = {.K = l->n_in,
                       .A = l->x + i0 * l->n_in,
                       .B = l->workspace,
                       .c0 = {l->b, 0},
                       .C = l->y + i0 * l->n_out,
                       .chains = V(chains_for)(l->rows)};
    V(product)(i1 - i0, V(all_columns)(l->n_out), &y);
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
    const V(work) dx = {.K = l->n_out,
                        .A = l->dy + i0 * l->n_out,
                        .B = l->workspace,
                        .C = l->dx + i0 * l->n_in,
                        .chains = V(chains_for)(l->rows)};
    V(product)(i1 - i0, V(all_columns)(l->n_in), &dx);
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
