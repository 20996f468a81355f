/* B = A' for a square of V_LEN rows of A (ldb and lda from row to row), in registers where the
 * instruction set's shuffles are written out. Rows in groups of four (pairs, in double) become
 * columns within each 128-bit lane; then lanes of one number come together from all groups. */
#undef LANES_02
#undef LANES_13
#if defined(V_SHUFFLE_LANES) && REAL_BITS == 32
#define LANES_02(a, b) _mm512_shuffle_f32x4(a, b, 0x88)
#define LANES_13(a, b) _mm512_shuffle_f32x4(a, b, 0xdd)
#elif defined(V_SHUFFLE_LANES)
#define LANES_02(a, b) _mm512_shuffle_f64x2(a, b, 0x88)
#define LANES_13(a, b) _mm512_shuffle_f64x2(a, b, 0xdd)
#endif

static inline void V(transpose)(const V_REAL *A, ptrdiff_t lda, V_REAL *B, ptrdiff_t ldb) {
#ifdef V_SHUFFLE_LANES
    enum { IN_LANE = 128 / REAL_BITS };
    V(t) u[IN_LANE][4]; /* by number within a lane, and group of rows */
    EACH (g, 4) {
#if REAL_BITS == 32
        const V(t) r0 = V(load)(A + (4 * g) * lda), r1 = V(load)(A + (4 * g + 1) * lda);
        const V(t) r2 = V(load)(A + (4 * g + 2) * lda), r3 = V(load)(A + (4 * g + 3) * lda);
        const __m512d lo01 = _mm512_castps_pd(_mm512_unpacklo_ps(r0, r1));
        const __m512d hi01 = _mm512_castps_pd(_mm512_unpackhi_ps(r0, r1));
        const __m512d lo23 = _mm512_castps_pd(_mm512_unpacklo_ps(r2, r3));
        const __m512d hi23 = _mm512_castps_pd(_mm512_unpackhi_ps(r2, r3));
        u[0][g] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo01, lo23));
        u[1][g] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo01, lo23));
        u[2][g] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi01, hi23));
        u[3][g] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi01, hi23));
#else
        const V(t) r0 = V(load)(A + (2 * g) * lda), r1 = V(load)(A + (2 * g + 1) * lda);
        u[0][g] = _mm512_unpacklo_pd(r0, r1);
        u[1][g] = _mm512_unpackhi_pd(r0, r1);
#endif
    }
    EACH (c, IN_LANE) {
        const V(t) even01 = LANES_02(u[c][0], u[c][1]), even23 = LANES_02(u[c][2], u[c][3]);
        const V(t) odd01 = LANES_13(u[c][0], u[c][1]), odd23 = LANES_13(u[c][2], u[c][3]);
        V(store)(B + c * ldb, LANES_02(even01, even23));
        V(store)(B + (IN_LANE + c) * ldb, LANES_02(odd01, odd23));
        V(store)(B + (2 * IN_LANE + c) * ldb, LANES_13(even01, even23));
        V(store)(B + (3 * IN_LANE + c) * ldb, LANES_13(odd01, odd23));
    }
#else
    for (int i = 0; i < V_LEN; i++)
        for (int j = 0; j < V_LEN; j++)
            B[j * ldb + i] = A[i * lda + j];
#endif
}
