/* B = A' for a square of V_LEN rows of A (ldb and lda from row to row), in registers where the
 * instruction set's shuffles are written out (V_LANES lanes of 128 bits). Rows in groups of four
 * (pairs, in double) become columns within each lane; then lanes of one number come together from
 * all groups. */
#if defined(V_LANES) && REAL_BITS == 32
enum { IN_LANE32 = 4 };
/* Four rows, from one to the next lda: their columns by lane, number c of each lane in out[c]. */
SIMD_INLINE void v_columns_by_lane32(const float *A, ptrdiff_t lda, v_t32 *out) {
    const v_t32 r0 = v_load32(A), r1 = v_load32(A + lda);
    const v_t32 r2 = v_load32(A + 2 * lda), r3 = v_load32(A + 3 * lda);
    const v_t32 lo01 = SIMD_OP(unpacklo)(r0, r1), hi01 = SIMD_OP(unpackhi)(r0, r1);
    const v_t32 lo23 = SIMD_OP(unpacklo)(r2, r3), hi23 = SIMD_OP(unpackhi)(r2, r3);
    out[0] = SIMD_OP(shuffle)(lo01, lo23, 0x44);
    out[1] = SIMD_OP(shuffle)(lo01, lo23, 0xee);
    out[2] = SIMD_OP(shuffle)(hi01, hi23, 0x44);
    out[3] = SIMD_OP(shuffle)(hi01, hi23, 0xee);
}
#elif defined(V_LANES)
enum { IN_LANE64 = 2 };
SIMD_INLINE void v_columns_by_lane64(const double *A, ptrdiff_t lda, v_t64 *out) {
    const v_t64 r0 = v_load64(A), r1 = v_load64(A + lda);
    out[0] = SIMD_OP(unpacklo)(r0, r1);
    out[1] = SIMD_OP(unpackhi)(r0, r1);
}
#endif

static inline void V(transpose)(const V_REAL *A, ptrdiff_t lda, V_REAL *B, ptrdiff_t ldb) {
#ifdef V_LANES
    enum { IN_LANE = CONST(IN_LANE) };
    V(t) u[V_LANES][IN_LANE]; /* by group of rows, and number within a lane */
    EACH (g, V_LANES)
        V(columns_by_lane)(A + g * IN_LANE * lda, lda, u[g]);
    EACH (c, IN_LANE) {
#if V_LANES == 4
        const V(t) even01 = V_CHOOSE_LANES(u[0][c], u[1][c], 0x88),
                   odd01 = V_CHOOSE_LANES(u[0][c], u[1][c], 0xdd);
        const V(t) even23 = V_CHOOSE_LANES(u[2][c], u[3][c], 0x88),
                   odd23 = V_CHOOSE_LANES(u[2][c], u[3][c], 0xdd);
        V(store)(B + c * ldb, V_CHOOSE_LANES(even01, even23, 0x88));
        V(store)(B + (IN_LANE + c) * ldb, V_CHOOSE_LANES(odd01, odd23, 0x88));
        V(store)(B + (2 * IN_LANE + c) * ldb, V_CHOOSE_LANES(even01, even23, 0xdd));
        V(store)(B + (3 * IN_LANE + c) * ldb, V_CHOOSE_LANES(odd01, odd23, 0xdd));
#else
        V(store)(B + c * ldb, V_CHOOSE_LANES(u[0][c], u[1][c], 0x20));
        V(store)(B + (IN_LANE + c) * ldb, V_CHOOSE_LANES(u[0][c], u[1][c], 0x31));
#endif
    }
#else
    for (int i = 0; i < V_LEN; i++)
        for (int j = 0; j < V_LEN; j++)
            B[j * ldb + i] = A[i * lda + j];
#endif
}
