/* The recurrence over a whole sequence: forward beside backward.
 *
 * Examples are independent through time, so a thread takes its rows i0..i1 of m through all T steps
 * and meets no other; the sums over rows (dWaa, dWax, dba) then run over units u0..u1 of n_a.
 */

typedef struct {
    CRNN_RNN(V_REAL)
} V(rnn);

static V(rnn) V(typed_rnn)(const crnn_rnn *call) {
    V(rnn) typed;
    memcpy(&typed, call, sizeof typed);
    return typed;
}

/* Weights in panels, in the call's workspace. */
typedef struct {
    const V(rnn) *p;
    V_REAL *Waa; /* forward: Waa' (n_a, n_a); backward: Waa */
    V_REAL *Wax; /* forward: Wax' (n_x, n_a), or its rows with ba added; backward: Wax (n_a, n_x) */
    int chains;
    ptrdiff_t over; /* the first step at which an example is over: T without lengths */
} V(pass);

static V(pass) V(begin)(const V(rnn) *p) {
    V(pass) pass = {p, p->packed, p->packed + V(packed_size)(p->n_a, p->n_a),
                    V(chains_for)(p->m), p->T};
    for (ptrdiff_t i = 0; p->lengths != NULL && i < p->m; i++)
        if (p->lengths[i] < pass.over)
            pass.over = p->lengths[i];
    return pass;
}

/* At step t, give each example of i0..i1 that is over its row of `rows` (m, n), or zeros. */
static void V(fill_padding)(const V(rnn) *p, ptrdiff_t t, ptrdiff_t i0, ptrdiff_t i1,
                            ptrdiff_t n, const V_REAL *rows, V_REAL *sequence) {
    for (ptrdiff_t i = i0; i < i1; i++)
        if (t >= p->lengths[i]) {
            V_REAL *row = sequence + (t * p->m + i) * n;
            if (rows != NULL)
                memcpy(row, rows + i * n, (size_t)n * sizeof(V_REAL));
            else
                memset(row, 0, (size_t)n * sizeof(V_REAL));
        }
}

/* Steps whose bulk product is taken at once: rows enough for full tiles, few enough that what it
 * writes is still in the second cache when the steps come to it. */
static ptrdiff_t V(steps_at_once)(ptrdiff_t rows, ptrdiff_t n) {
    const ptrdiff_t for_tiles = (8 * TILE_ROWS + rows - 1) / rows;
    const ptrdiff_t for_cache = (1 << 17) / (ptrdiff_t)sizeof(V_REAL) / (rows * n);
    return for_tiles > for_cache ? for_tiles : for_cache;
}

/* out<t> = start + in<t> B for steps t0..t1 of rows i0..i1: (T, m, K) to (T, m, N). */
static void V(bulk)(const V(pass) *pass, ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t i0, ptrdiff_t i1,
                    ptrdiff_t K, ptrdiff_t N, const V_REAL *in, const V_REAL *B, V(start) start,
                    V_REAL *out) {
    const ptrdiff_t m = pass->p->m;
    if (i1 - i0 == m) /* the steps are one matrix */
        V(product)((t1 - t0) * m, K, N, in + t0 * m * K, K, B, start, out + t0 * m * N, 0, NOTHING,
                   NULL);
    else
        for (ptrdiff_t t = t0; t < t1; t++)
            V(product)(i1 - i0, K, N, in + (t * m + i0) * K, K, B, start,
                       out + (t * m + i0) * N, 0, NOTHING, NULL);
}

/* z<t> = Wax x<t> + ba into a<t>. */
static void V(inputs)(const V(pass) *pass, ptrdiff_t t0, ptrdiff_t t1, ptrdiff_t i0, ptrdiff_t i1) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a;
    const V(start) bias = {p->ba, 0};
    if (p->x != NULL) {
        V(bulk)(pass, t0, t1, i0, i1, p->n_x, n_a, p->x, pass->Wax, bias, p->a);
        return;
    }
    for (ptrdiff_t t = t0; t < t1; t++)
        for (ptrdiff_t i = i0; i < i1; i++)
            if (p->lengths == NULL || t < p->lengths[i])
                memcpy(p->a + (t * p->m + i) * n_a, pass->Wax + p->symbols[t * p->m + i] * n_a,
                       (size_t)n_a * sizeof(V_REAL));
}

/* a<t> = tanh(z<t> + Waa a<t-1>), where a<t> holds z<t>. */
static void V(step)(const V(pass) *pass, ptrdiff_t t, ptrdiff_t i0, ptrdiff_t i1) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t m = p->m, n_a = p->n_a, before = p->reverse ? t + 1 : t - 1;
    const crnn_epilogue epilogue = p->relu ? RELU : TANH;
    V_REAL *a_t = p->a + (t * m + i0) * n_a;
    const V_REAL *previous = 0 <= before && before < p->T ? p->a + (before * m + i0) * n_a
                             : p->a0 != NULL              ? p->a0 + i0 * n_a
                                                          : NULL;
    const V(start) z = {a_t, n_a};
    if (previous != NULL)
        V(product)(i1 - i0, n_a, n_a, previous, n_a, pass->Waa, z, a_t, pass->chains, epilogue, NULL);
    else
        V(finish_rows)(epilogue, i1 - i0, n_a, n_a, NULL, a_t);
    if (t >= pass->over) /* read right to left, an example that has not begun holds its a0 */
        V(fill_padding)(p, t, i0, i1, n_a, p->reverse ? p->a0 : NULL, p->a);
}

static void V(forward_part)(const void *call, int part, int parts) {
    const V(pass) *pass = call;
    const V(rnn) *p = pass->p;
    const ptrdiff_t i0 = p->m * part / parts, i1 = p->m * (part + 1) / parts, T = p->T;
    const ptrdiff_t chunk = V(steps_at_once)(i1 - i0, p->n_a);
    for (ptrdiff_t s0 = 0; s0 < T; s0 += chunk) {
        const ptrdiff_t s1 = s0 + chunk < T ? s0 + chunk : T;
        V(inputs)(pass, p->reverse ? T - s1 : s0, p->reverse ? T - s0 : s1, i0, i1);
        for (ptrdiff_t s = s0; s < s1; s++)
            V(step)(pass, p->reverse ? T - 1 - s : s, i0, i1);
    }
    if (p->reverse && p->a0 != NULL)
        for (ptrdiff_t t = pass->over; t < T; t++)
            V(fill_padding)(p, t, i0, i1, p->n_a, NULL, p->a);
}

static void V(rnn_forward)(const crnn_rnn *call) {
    const V(rnn) record = V(typed_rnn)(call), *p = &record;
    const V(pass) pass = V(begin)(p);
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x;
    V(pack_transposed)(n_a, n_a, p->Waa, pass.Waa);
    if (p->x != NULL)
        V(pack_transposed)(n_x, n_a, p->Wax, pass.Wax);
    else
        for (ptrdiff_t k = 0; k < n_x; k++)
            for (ptrdiff_t j = 0; j < n_a; j++)
                pass.Wax[k * n_a + j] = p->Wax[j * n_x + k] + p->ba[j];
    crnn_run(crnn_parts(p->threads, p->m, 2.0 * p->T * p->m * n_a * (n_a + (p->x ? n_x : 0))),
             V(forward_part), &pass);
}

/* dz<t> = (da<t> + Waa' dz<t+1>) (1 - a<t>^2) */
static void V(step_backward)(const V(pass) *pass, ptrdiff_t t, ptrdiff_t i0, ptrdiff_t i1) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t m = p->m, n_a = p->n_a, after = p->reverse ? t - 1 : t + 1;
    const ptrdiff_t here = (t * m + i0) * n_a;
    const crnn_epilogue epilogue = p->relu ? RELU_BACKWARD : TANH_BACKWARD;
    const V(start) da = {p->da + here, n_a};
    if (0 <= after && after < p->T) {
        V(product)(i1 - i0, n_a, n_a, p->dz + (after * m + i0) * n_a, n_a, pass->Waa, da,
                   p->dz + here, pass->chains, epilogue, p->a + here);
    } else {
        memcpy(p->dz + here, p->da + here, (size_t)((i1 - i0) * n_a) * sizeof(V_REAL));
        V(finish_rows)(epilogue, i1 - i0, n_a, n_a, p->a + here, p->dz + here);
    }
    if (t >= pass->over)
        V(fill_padding)(p, t, i0, i1, n_a, NULL, p->dz);
}

static void V(backward_part)(const void *call, int part, int parts) {
    const V(pass) *pass = call;
    const V(rnn) *p = pass->p;
    const ptrdiff_t i0 = p->m * part / parts, i1 = p->m * (part + 1) / parts;
    const ptrdiff_t T = p->T, n_a = p->n_a, n_x = p->n_x;
    const ptrdiff_t chunk = V(steps_at_once)(i1 - i0, n_a);
    const V(start) zeros = {NULL, 0};
    for (ptrdiff_t s0 = 0; s0 < T; s0 += chunk) {
        const ptrdiff_t s1 = s0 + chunk < T ? s0 + chunk : T;
        const ptrdiff_t t0 = p->reverse ? s0 : T - s1, t1 = p->reverse ? s1 : T - s0;
        for (ptrdiff_t s = s0; s < s1; s++)
            V(step_backward)(pass, p->reverse ? s : T - 1 - s, i0, i1);
        if (p->dx == NULL)
            continue;
        V(bulk)(pass, t0, t1, i0, i1, n_a, n_x, p->dz, pass->Wax, zeros, p->dx);
        for (ptrdiff_t t = t0 > pass->over ? t0 : pass->over; t < t1; t++)
            V(fill_padding)(p, t, i0, i1, n_x, NULL, p->dx);
    }
    for (ptrdiff_t i = i0; i < i1; i++) { /* the first step read: right to left, the last */
        const ptrdiff_t t = !p->reverse ? 0 : p->lengths == NULL ? T - 1 : p->lengths[i] - 1;
        memcpy(p->first + i * n_a, p->dz + (t * p->m + i) * n_a, (size_t)n_a * sizeof(V_REAL));
    }
    if (p->da0 != NULL)
        V(product)(i1 - i0, n_a, n_a, p->first + i0 * n_a, n_a, pass->Waa, zeros,
                   p->da0 + i0 * n_a, pass->chains, NOTHING, NULL);
}

/* dWax[u0:u1] = sum dz<t> x<t>' for one-hot x<t>, by way of its transpose (n_x, n_a). */
static void V(scatter_add)(const V(pass) *pass, ptrdiff_t u0, ptrdiff_t u1) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x, m = p->m;
    for (ptrdiff_t k = 0; k < n_x; k++)
        memset(pass->Wax + k * n_a + u0, 0, (size_t)(u1 - u0) * sizeof(V_REAL));
    for (ptrdiff_t t = 0; t < p->T; t++)
        for (ptrdiff_t i = 0; i < m; i++)
            if (p->lengths == NULL || t < p->lengths[i]) {
                V_REAL *row = pass->Wax + p->symbols[t * m + i] * n_a;
                const V_REAL *dz = p->dz + (t * m + i) * n_a;
                for (ptrdiff_t u = u0; u < u1; u++)
                    row[u] += dz[u];
            }
    for (ptrdiff_t u = u0; u < u1; u++)
        for (ptrdiff_t k = 0; k < n_x; k++)
            p->dWax[u * n_x + k] = pass->Wax[k * n_a + u];
}

/* dWaa = sum dz<t> a<t-1>', dWax = sum dz<t> x<t>', dba = sum dz<t>, for units u0..u1 */
static void V(backward_units)(const void *call, int part, int parts) {
    const V(rnn) *p = ((const V(pass) *)call)->p;
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x, m = p->m, rows = p->T * m;
    const ptrdiff_t u0 = n_a * part / parts, u1 = n_a * (part + 1) / parts, step = m * n_a;
    V(product_of_columns)(rows - m, n_a, n_a, u0, u1, p->dz + (p->reverse ? 0 : step),
                          p->a + (p->reverse ? step : 0), 0, p->dWaa);
    if (p->a0 != NULL)
        V(product_of_columns)(m, n_a, n_a, u0, u1, p->first, p->a0, 1, p->dWaa);
    V(sum_rows)(rows, n_a, u0, u1, p->dz, p->dba);
    if (p->x != NULL)
        V(product_of_columns)(rows, n_x, n_a, u0, u1, p->dz, p->x, 0, p->dWax);
    else
        V(scatter_add)((const V(pass) *)call, u0, u1);
}

static void V(rnn_backward)(const crnn_rnn *call) {
    const V(rnn) record = V(typed_rnn)(call), *p = &record;
    const V(pass) pass = V(begin)(p);
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x;
    const double work = 2.0 * p->T * p->m * n_a * (n_a + (p->x ? n_x : 0));
    V(pack)(n_a, n_a, p->Waa, pass.Waa);
    if (p->dx != NULL)
        V(pack)(n_a, n_x, p->Wax, pass.Wax);
    crnn_run(crnn_parts(p->threads, p->m, work), V(backward_part), &pass);
    crnn_run(crnn_parts(p->threads, n_a, work), V(backward_units), &pass);
}
