/* One time step of a whole model, on weights packed once: no memory is taken, no thread is woken.
 */

typedef struct {
    CRNN_STREAM(V_REAL)
} V(stream);

static void V(pack_for_stream)(ptrdiff_t n_in, ptrdiff_t n_out, const void *W, void *packed) {
    V(pack_transposed)(n_in, n_out, W, packed);
}

/* z (m, N) = the packed weights' rows for one-hot inputs, plus the bias. */
static void V(gather_rows)(const V(stream) * s, const V_REAL *B, const V_REAL *bias, V_REAL *z) {
    for (ptrdiff_t i = 0; i < s->m; i++, z += s->n_a)
        for (ptrdiff_t column = 0; column < s->n_a; column += PANEL) {
            const V(panel) p = V(panel_at)(column, s->n_a);
            const V_REAL *row = B + column * s->n_x + s->symbols[i] * p.regs * V_LEN;
            for (int j = 0; j < p.columns; j++)
                z[column + j] = row[j] + bias[column + j];
        }
}

static void V(stream_step)(const crnn_stream *call) {
    const crnn_denormals before = crnn_denormals_off();
    V(stream) stream;
    memcpy(&stream, call, sizeof stream);
    const V(stream) *s = &stream;
    const ptrdiff_t m = s->m, n_a = s->n_a;
    const int chains = V(chains_for)(m);
    const V_REAL *below = s->x, *weights = s->packed, *bias = s->biases;
    V_REAL *a = s->a, *z = s->z;
    ptrdiff_t n_in = s->n_x;
    for (ptrdiff_t layer = 0; layer < s->num_layers; layer++) {
        const V(work) inputs = {
            .K = n_in, .A = below, .B = weights, .c0 = {bias, 0}, .C = z, .chains = chains};
        if (below != NULL)
            V(product)(m, V(all_columns)(n_a), &inputs);
        else
            V(gather_rows)(s, weights, bias, z);
        weights += V(padded)(n_in, n_a);
        const V(work) step = {.K = n_a,
                              .A = a,
                              .B = weights,
                              .c0 = {z, n_a},
                              .C = z,
                              .chains = chains,
                              .epilogue = s->relu ? RELU : TANH};
        V(product)(m, V(all_columns)(n_a), &step);
        weights += V(padded)(n_a, n_a);
        memcpy(a, z, (size_t)(m * n_a) * sizeof(V_REAL));
        below = a;
        n_in = n_a;
        bias += n_a;
        a += m * n_a;
    }
    const V(work)
        y = {.K = n_in, .A = below, .B = weights, .c0 = {bias, 0}, .C = s->y, .chains = chains};
    V(product)(m, V(all_columns)(s->n_y), &y);
    if (s->softmax)
        V(softmax)(m, s->n_y, s->y);
    crnn_denormals_restore(before);
}
