/* Small products on packed weights: the inner loops of everything.
 *
 * A tile is C (rows, columns) = C0 + A B with rows <= TILE_ROWS and columns <= PANEL, held in
 * registers while k runs. B is packed in panels of PANEL columns: row k of a panel is contiguous,
 * the last panel is only as wide as its vectors need, and padded with zeros.
 *
 * Each element of C is one chain of fused multiply-adds over ascending k (or `chains` of them,
 * added up in one order), whatever the tile's size: how rows are cut into tiles never shows in the
 * result, so any number of threads gives the same bits.
 */

/* As many columns as leave registers for a row of B and an element of A. */
#if V_REGISTERS >= 32
#define TILE_REGS 4
#else
#define TILE_REGS 2
#endif
#define PANEL (TILE_REGS * V_LEN)

/* Where C0 comes from: NULL is zeros, ld 0 is one row for all (a bias), else rows of their own. */
typedef struct {
    const V_REAL *rows;
    ptrdiff_t ld;
} V(start);

/* The last vector of a row, of `tail` columns. A mask is only for those that need one: a masked
 * store takes some twelve cycles on AMD's processors. */
SIMD_INLINE V(t) V(load_last)(const V_REAL *p, int tail) {
    return tail == V_LEN ? V(load)(p) : V(load_n)(p, tail);
}
SIMD_INLINE void V(store_last)(V_REAL *p, V(t) a, int tail) {
    if (tail == V_LEN)
        V(store)(p, a);
    else
        V(store_n)(p, a, tail);
}

/* A's element (i, k) is A[i * rs + k * cs]; the last vector of C has `tail` columns. rows, regs and
 * chains are constants wherever this is inlined. */
SIMD_INLINE void V(tile)(const int rows, const int regs, const int chains, ptrdiff_t K,
                         const V_REAL *A, ptrdiff_t rs, ptrdiff_t cs, const V_REAL *B, V(start) c0,
                         V_REAL *C, ptrdiff_t ldc, int tail) {
    V(t) c[4][TILE_ROWS][TILE_REGS], b[TILE_REGS];
    const ptrdiff_t width = (ptrdiff_t)regs * V_LEN;
    ptrdiff_t k = 0;

    EACH (i, rows)
        EACH (v, regs) {
            const ptrdiff_t from = i * c0.ld + v * V_LEN;
            c[0][i][v] = c0.rows == NULL ? V(set1)(0)
                         : v < regs - 1  ? V(load)(c0.rows + from)
                                         : V(load_last)(c0.rows + from, tail);
            EACH (s, chains - 1)
                c[s + 1][i][v] = V(set1)(0);
        }
    for (; k + chains <= K; k += chains)
        EACH (s, chains) {
            EACH (v, regs) {
                b[v] = V(load)(B + (k + s) * width + v * V_LEN);
                if (rows == 2)
                    b[v] = V(keep)(b[v]);
            }
            EACH (i, rows) {
                const V(t) a = V(set1)(A[i * rs + (k + s) * cs]);
                EACH (v, regs)
                    c[s][i][v] = V(fma)(a, b[v], c[s][i][v]);
            }
        }
    for (; chains > 1 && k < K; k++)
        EACH (i, rows)
            EACH (v, regs)
                c[0][i][v] = V(fma)(V(set1)(A[i * rs + k * cs]), V(load)(B + k * width + v * V_LEN),
                                    c[0][i][v]);
    EACH (i, rows)
        EACH (v, regs) {
            V(t) sum = c[0][i][v];
            if (chains == 2)
                sum = V(add)(sum, c[1][i][v]);
            if (chains == 4)
                sum = V(add)(V(add)(sum, c[1][i][v]), V(add)(c[2][i][v], c[3][i][v]));
            if (v < regs - 1)
                V(store)(C + i * ldc + v * V_LEN, sum);
            else
                V(store_last)(C + i * ldc + v * V_LEN, sum, tail);
        }
}

typedef void (*V(tile_function))(ptrdiff_t K, const V_REAL *A, ptrdiff_t stride, const V_REAL *B,
                                 V(start) c0, V_REAL *C, ptrdiff_t ldc, int tail);

/* rows_: A is row-major, `stride` from row to row. strip_: A is (K, TILE_ROWS), column-major. */
#define TILE(rows, regs, chains)                                                                   \
    static void V(rows_##rows##_##regs##_##chains)(ptrdiff_t K, const V_REAL *A, ptrdiff_t stride, \
                                                   const V_REAL *B, V(start) c0, V_REAL *C,        \
                                                   ptrdiff_t ldc, int tail) {                      \
        V(tile)(rows, regs, chains, K, A, stride, 1, B, c0, C, ldc, tail);                         \
    }
#define TILE_OF_STRIP(rows, regs)                                                                  \
    static void V(strip_##rows##_##regs)(ptrdiff_t K, const V_REAL *A, ptrdiff_t stride,           \
                                         const V_REAL *B, V(start) c0, V_REAL *C, ptrdiff_t ldc,   \
                                         int tail) {                                               \
        (void)stride;                                                                              \
        V(tile)(rows, regs, 1, K, A, 1, TILE_ROWS, B, c0, C, ldc, tail);                           \
    }
#if TILE_REGS == 4
#define EACH_WIDTH(F, ...) F(__VA_ARGS__, 1) F(__VA_ARGS__, 2) F(__VA_ARGS__, 3) F(__VA_ARGS__, 4)
#define WIDTHS(f, rest) {V(f##_1##rest), V(f##_2##rest), V(f##_3##rest), V(f##_4##rest)}
#else
#define EACH_WIDTH(F, ...) F(__VA_ARGS__, 1) F(__VA_ARGS__, 2)
#define WIDTHS(f, rest) {V(f##_1##rest), V(f##_2##rest)}
#endif
#define TILE_1(rows, regs) TILE(rows, regs, 1) TILE_OF_STRIP(rows, regs)
#define TILE_2(rows, regs) TILE(rows, regs, 2)
#define TILE_4(rows, regs) TILE(rows, regs, 4)
EACH_WIDTH(TILE_1, 1)
EACH_WIDTH(TILE_1, 2)
EACH_WIDTH(TILE_1, 3)
EACH_WIDTH(TILE_1, 4)
EACH_WIDTH(TILE_1, 5)
EACH_WIDTH(TILE_1, 6)
EACH_WIDTH(TILE_2, 1)
EACH_WIDTH(TILE_2, 2)
EACH_WIDTH(TILE_2, 3)
EACH_WIDTH(TILE_4, 1)

/* By chains (1, 2, 4), rows and vectors. A few rows alone are too few chains to hide the latency of
 * a multiply-add (4 cycles, 2 a cycle), so there each element is cut into more. */
static const V(tile_function) V(row_tiles)[3][TILE_ROWS][TILE_REGS] = {
    {WIDTHS(rows_1, _1), WIDTHS(rows_2, _1), WIDTHS(rows_3, _1), WIDTHS(rows_4, _1),
     WIDTHS(rows_5, _1), WIDTHS(rows_6, _1)},
    {WIDTHS(rows_1, _2), WIDTHS(rows_2, _2), WIDTHS(rows_3, _2)},
    {WIDTHS(rows_1, _4)},
};
static const V(tile_function) V(strip_tiles)[TILE_ROWS][TILE_REGS] = {
    WIDTHS(strip_1, ), WIDTHS(strip_2, ), WIDTHS(strip_3, ),
    WIDTHS(strip_4, ), WIDTHS(strip_5, ), WIDTHS(strip_6, ),
};

/* Which row of row_tiles serves a product of so many rows in all (not: in one thread's share). */
static int V(chains_for)(ptrdiff_t rows) { return rows == 1 ? 2 : rows <= 3 ? 1 : 0; }

/* Panel by panel: where a panel of N columns begins, its vectors and the columns of the last one.
 */
typedef struct {
    ptrdiff_t column;
    int columns, regs, tail;
} V(panel);

SIMD_INLINE V(panel) V(panel_at)(ptrdiff_t column, ptrdiff_t N) {
    V(panel) p = {column, PANEL, TILE_REGS, V_LEN};
    if (N - column < PANEL) {
        p.columns = (int)(N - column);
        p.regs = (p.columns + V_LEN - 1) / V_LEN;
        p.tail = p.columns - (p.regs - 1) * V_LEN;
    }
    return p;
}

/* Numbers in a packed (K, N) matrix. */
static ptrdiff_t V(padded)(ptrdiff_t K, ptrdiff_t N) {
    return K * ((N + V_LEN - 1) / V_LEN * V_LEN);
}

/* B (K, N) in panels from W (K, N) with `ld` from row to row: one panel, rows k0 to k1. */
static void V(pack_panel)(V(panel) p, ptrdiff_t k0, ptrdiff_t k1, const V_REAL *W, ptrdiff_t ld,
                          V_REAL *B) {
    W += k0 * ld + p.column;
    if (p.columns == PANEL) { /* nearly always: worth a loop without choices */
        for (ptrdiff_t k = k0; k < k1; k++, W += ld, B += PANEL)
            EACH (v, TILE_REGS)
                V(store)(B + v * V_LEN, V(load)(W + v * V_LEN));
        return;
    }
    for (ptrdiff_t k = k0; k < k1; k++, W += ld, B += p.regs * V_LEN)
        for (int v = 0; v < p.regs; v++)
            V(store)(B + v * V_LEN,
                     v < p.regs - 1 ? V(load)(W + v * V_LEN) : V(load_last)(W + v * V_LEN, p.tail));
}

/* B (K, N) in panels from W (K, N). */
static void V(pack)(ptrdiff_t K, ptrdiff_t N, const V_REAL *W, V_REAL *B) {
    for (ptrdiff_t column = 0; column < N; column += PANEL)
        V(pack_panel)(V(panel_at)(column, N), 0, K, W, N, B + column * K);
}

/* B (K, N) in panels from W (N, K), by squares of V_LEN. */
static void V(pack_transposed)(ptrdiff_t K, ptrdiff_t N, const V_REAL *W, V_REAL *B) {
    for (ptrdiff_t column = 0; column < N; column += PANEL) {
        const V(panel) p = V(panel_at)(column, N);
        const ptrdiff_t width = (ptrdiff_t)p.regs * V_LEN;
        V_REAL *panel = B + column * K;
        for (ptrdiff_t j = 0; j < width; j += V_LEN)
            for (ptrdiff_t k = 0; k < K; k += V_LEN) {
                const V_REAL *from = W + (column + j) * K + k;
                if (k + V_LEN <= K && j + V_LEN <= p.columns) {
                    V(transpose)(from, K, panel + k * width + j, width);
                    continue;
                }
                for (ptrdiff_t jj = j; jj < j + V_LEN; jj++)
                    for (ptrdiff_t kk = k; kk < K && kk < k + V_LEN; kk++)
                        panel[kk * width + jj] = jj < p.columns ? W[(column + jj) * K + kk] : 0;
            }
    }
}

#undef TILE
#undef TILE_OF_STRIP
#undef EACH_WIDTH
#undef WIDTHS
#undef TILE_1
#undef TILE_2
#undef TILE_4
