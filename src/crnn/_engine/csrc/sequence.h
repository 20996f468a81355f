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

/* A call under way: what lies in its workspace, and the chunk of steps that backward is at. */
typedef struct {
    const V(rnn) * p;
    V_REAL *Waa; /* forward: Waa' (n_a, n_a) in panels; backward: Waa */
    V_REAL *Wax; /* forward: Wax' (n_x, n_a) in panels; backward: Wax (n_a, n_x); for symbols plain
                    Wax' with ba added, and the sum that becomes dWax' */
    int chains;
    ptrdiff_t over;      /* the first step at which an example is over: T without lengths */
    V_REAL *next;        /* (m, n_a): dz of the last step of the chunk before, and */
    const V_REAL *carry; /* the same, or NULL before there is one */
    V_REAL *first;       /* (m, n_a): dz of each example's first step read */
    V_REAL *dz;          /* (t1 - t0, m, n_a) */
    V_REAL *strips;      /* scratch of sum_products */
    ptrdiff_t t0, t1;
    int add;        /* whether sums have begun */
    int by_columns; /* whether parts share columns, not rows */
} V(pass);

static V(pass) V(begin)(const V(rnn) * p) {
    V(pass) pass = {.p = p, .chains = V(chains_for)(p->m), .over = p->T};
    pass.Waa = p->workspace;
    pass.Wax = pass.Waa + V(packed_size)(p->n_a, p->n_a);
    pass.strips = pass.Wax + V(packed_size)(p->n_x, p->n_a);
    pass.next = pass.strips + V(strips_size)(p->n_a);
    pass.first = pass.next + p->m * p->n_a;
    pass.dz = pass.first + p->m * p->n_a;
    for (ptrdiff_t i = 0; p->lengths != NULL && i < p->m; i++)
        if (p->lengths[i] < pass.over)
            pass.over = p->lengths[i];
    return pass;
}

/* At step t, give each example of i0..i1 that is over its row of `rows` (m, n), or zeros. */
static void V(fill_padding)(const V(rnn) * p, ptrdiff_t t, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t n,
                            const V_REAL *rows, V_REAL *at_t) {
    for (ptrdiff_t i = i0; i < i1; i++)
        if (t >= p->lengths[i]) {
            V_REAL *row = at_t + i * n;
            if (rows != NULL)
                memcpy(row, rows + i * n, (size_t)n * sizeof(V_REAL));
            else
                memset(row, 0, (size_t)n * sizeof(V_REAL));
        }
}

/* One part of a call: rows i0..i1 of m and columns of n_a. Either a part has all columns of its
 * rows, or, where rows are too few to share, all rows of its columns, and meets the others after
 * each step.
 */
typedef struct {
    ptrdiff_t i0, i1;
    V(columns) columns;
    int part, meets; /* which of how many parts; 0 where they never meet */
} V(share);

static V(share) V(share_of)(const V(rnn) * p, int by_columns, int part, int parts) {
    const int rows = by_columns ? 1 : parts, columns = by_columns ? parts : 1;
    const V(share) share = {p->m * (part % rows) / rows, p->m * (part % rows + 1) / rows,
                            V(columns_of)(p->n_a, part % columns, columns), part,
                            by_columns && parts > 1 ? parts : 0};
    return share;
}

/* Steps whose bulk product is taken at once: rows enough for full tiles, few enough that what it
 * writes is still in the second cache when the steps come to it. */
static ptrdiff_t V(steps_at_once)(ptrdiff_t rows, ptrdiff_t n) {
    const ptrdiff_t for_tiles = (8 * TILE_ROWS + rows - 1) / rows;
    const ptrdiff_t for_cache = (1 << 17) / (ptrdiff_t)sizeof(V_REAL) / (rows * n);
    return for_tiles > for_cache ? for_tiles : for_cache;
}

/* out<t> = bias + in<t> B for n steps of rows i0..i1 of m: in (n, m, K), out (n, m, N). */
static void V(bulk)(ptrdiff_t n, ptrdiff_t m, ptrdiff_t i0, ptrdiff_t i1, ptrdiff_t K,
                    V(columns) columns, const V_REAL *in, const V_REAL *B, const V_REAL *bias,
                    V_REAL *out) {
    const int whole = i1 - i0 == m; /* the steps are one matrix */
    for (ptrdiff_t t = 0; t < (whole ? 1 : n); t++) {
        const V(work) of_t = {.K = K,
                              .A = in + (t * m + i0) * K,
                              .B = B,
                              .c0 = {bias, 0},
                              .C = out + (t * m + i0) * columns.N};
        V(product)(whole ? n * m : i1 - i0, columns, &of_t);
    }
}

/* z<t> = Wax x<t> + ba into a<t>, for steps t0..t1. */
static void V(inputs)(const V(pass) * pass, ptrdiff_t t0, ptrdiff_t t1, V(share) share) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a, from = share.columns.from, n = share.columns.to - from;
    if (p->x != NULL) {
        V(bulk)(t1 - t0, p->m, share.i0, share.i1, p->n_x, share.columns, p->x + t0 * p->m * p->n_x,
                pass->Wax, p->ba, p->a + t0 * p->m * n_a);
        return;
    }
    for (ptrdiff_t t = t0; t < t1; t++)
        for (ptrdiff_t i = share.i0; i < share.i1; i++)
            if (p->lengths == NULL || t < p->lengths[i])
                memcpy(p->a + (t * p->m + i) * n_a + from,
                       pass->Wax + p->symbols[t * p->m + i] * n_a + from,
                       (size_t)n * sizeof(V_REAL));
}

/* Every other step reads the weights from their end, since what the step before read last is still
 * in the nearest cache: 8 % faster at m = 1, n_a = 128, 3 % at 512, else within the noise. */
static V(columns) V(there_and_back)(V(columns) columns, ptrdiff_t t) {
    columns.backwards = (int)(t % 2);
    return columns;
}

/* a<t> = tanh(z<t> + Waa a<t-1>), where a<t> holds z<t>. (Tried: one tile for Wax x<t> and
 * Waa a<t-1>, which saves z its way out and back, but sends two panels of weights through the first
 * cache: 4 to 12 % slower; and for m = 1 the rows of Waa as they lie, with nothing packed: 6 to 9 %
 * slower at n_a = 256 to 512, 0 to 7 % faster at 1024.) */
static void V(step)(const V(pass) * pass, ptrdiff_t t, V(share) share) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t m = p->m, n_a = p->n_a, before = p->reverse ? t + 1 : t - 1;
    const ptrdiff_t i0 = share.i0, i1 = share.i1, from = share.columns.from;
    const crnn_epilogue epilogue = p->relu ? RELU : TANH;
    V_REAL *a_t = p->a + (t * m + i0) * n_a;
    const V_REAL *previous = 0 <= before && before < p->T ? p->a + (before * m + i0) * n_a
                             : p->a0 != NULL              ? p->a0 + i0 * n_a
                                                          : NULL;
    const V(work) work = {.K = n_a,
                          .A = previous,
                          .B = pass->Waa,
                          .c0 = {a_t, n_a},
                          .C = a_t,
                          .chains = pass->chains,
                          .epilogue = epilogue};
    if (previous != NULL)
        V(product)(i1 - i0, V(there_and_back)(share.columns, t), &work);
    else
        V(finish_rows)(epilogue, i1 - i0, share.columns.to - from, n_a, NULL, a_t + from);
    if (t >= pass->over) /* read right to left, an example that has not begun holds its a0 */
        V(fill_padding)(p, t, i0, i1, n_a, p->reverse ? p->a0 : NULL, p->a + t * m * n_a);
    if (share.meets)
        crnn_barrier(share.part, share.meets);
}

static void V(forward_part)(const void *call, int part, int parts) {
    const V(pass) *pass = call;
    const V(rnn) *p = pass->p;
    const V(share) share = V(share_of)(p, pass->by_columns, part, parts);
    const ptrdiff_t T = p->T, chunk = V(steps_at_once)(share.i1 - share.i0, p->n_a);
    for (ptrdiff_t s0 = 0; s0 < T; s0 += chunk) {
        const ptrdiff_t s1 = s0 + chunk < T ? s0 + chunk : T;
        V(inputs)(pass, p->reverse ? T - s1 : s0, p->reverse ? T - s0 : s1, share);
        for (ptrdiff_t s = s0; s < s1; s++)
            V(step)(pass, p->reverse ? T - 1 - s : s, share);
    }
    if (p->reverse && p->a0 != NULL)
        for (ptrdiff_t t = pass->over; t < T; t++)
            V(fill_padding)(p, t, share.i0, share.i1, p->n_a, NULL, p->a + t * p->m * p->n_a);
}

/* Run `steps` steps of a pass: rows are shared, or, where they are few, columns. */
static void V(run_steps)(V(pass) * pass, crnn_task task, ptrdiff_t steps, double work) {
    const V(rnn) *p = pass->p;
    /* In operations: a number of the weights takes 2 for each row, and reading it as long as 3. */
    const double step = (2.0 * p->m + 3.0) * p->n_a * p->n_a * sizeof(V_REAL) / sizeof(float);
    const int together =
        p->m < 2 * MIN_ROWS_PER_PART && pass->over == p->T
            ? crnn_column_parts(p->threads, (p->n_a + PANEL - 1) / PANEL, step, steps)
            : 1;
    pass->by_columns = together > 1;
    if (pass->by_columns)
        crnn_run_with_barriers(together, task, pass);
    else
        crnn_run(crnn_row_parts(p->threads, p->m, work), task, pass);
}

static void V(rnn_forward)(const crnn_rnn *call) {
    const V(rnn) record = V(typed_rnn)(call), *p = &record;
    V(pass) pass = V(begin)(p);
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x;
    V(pack_transposed)(n_a, n_a, p->Waa, pass.Waa);
    if (p->x != NULL)
        V(pack_transposed)(n_x, n_a, p->Wax, pass.Wax);
    else
        for (ptrdiff_t k = 0; k < n_x; k++)
            for (ptrdiff_t j = 0; j < n_a; j++)
                pass.Wax[k * n_a + j] = p->Wax[j * n_x + k] + p->ba[j];
    V(run_steps)(&pass, V(forward_part), p->T, 2.0 * p->T * p->m * n_a * (n_a + (p->x ? n_x : 0)));
}

/* dz<t> = da<t> (1 - a<t>^2), for some columns of n rows: nothing comes after. */
static void V(last_step_backward)(crnn_epilogue epilogue, ptrdiff_t n, V(columns) columns,
                                  const V_REAL *da, const V_REAL *a, V_REAL *dz) {
    const ptrdiff_t from = columns.from, width = columns.to - from;
    for (ptrdiff_t i = 0; i < n; i++)
        memcpy(dz + i * columns.N + from, da + i * columns.N + from,
               (size_t)width * sizeof(V_REAL));
    V(finish_rows)(epilogue, n, width, columns.N, a + from, dz + from);
}

/* dz<t> of each example that is over; and, read left to right, of each whose last step is t: its
 * dz<t+1> is zeros, and 0 times infinity is NaN. */
static void V(ends_backward)(const V(rnn) * p, crnn_epilogue epilogue, ptrdiff_t t, V(share) share,
                             V_REAL *dz) {
    for (ptrdiff_t i = share.i0; i < share.i1; i++) {
        const ptrdiff_t here = (t * p->m + i) * p->n_a;
        if (!p->reverse && t + 1 == p->lengths[i])
            V(last_step_backward)(epilogue, 1, share.columns, p->da + here, p->a + here,
                                  dz + i * p->n_a);
    }
    V(fill_padding)(p, t, share.i0, share.i1, p->n_a, NULL, dz);
}

/* dz<t> = (da<t> + Waa' dz<t+1>) (1 - a<t>^2); `after` is dz<t+1> or NULL. */
static void V(step_backward)(const V(pass) * pass, ptrdiff_t t, V(share) share, const V_REAL *after,
                             V_REAL *dz) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a, i0 = share.i0, i1 = share.i1, here = (t * p->m + i0) * n_a;
    const crnn_epilogue epilogue = p->relu ? RELU_BACKWARD : TANH_BACKWARD;
    if (after != NULL) {
        /* da and a come from far away, and no tile can begin without them: they are asked for in
         * time (0.81 of the peak against 0.76 at m = 32, n_a = 128). Few rows wait for the weights
         * alone. */
        const int last = p->reverse ? t + 1 == p->T : t == 0;
        const V(work) work = {.K = n_a,
                              .A = after + i0 * n_a,
                              .B = pass->Waa,
                              .c0 = {p->da + here, n_a},
                              .C = dz + i0 * n_a,
                              .chains = pass->chains,
                              .epilogue = epilogue,
                              .a = p->a + here,
                              .next = last || p->m < TILE_ROWS ? 0
                                      : p->reverse             ? p->m * n_a
                                                               : -p->m * n_a};
        V(product)(i1 - i0, V(there_and_back)(share.columns, t), &work);
    } else {
        V(last_step_backward)(epilogue, i1 - i0, share.columns, p->da + here, p->a + here,
                              dz + i0 * n_a);
    }
    if (t + 1 >= pass->over && p->lengths != NULL)
        V(ends_backward)(p, epilogue, t, share, dz);
    if (share.meets)
        crnn_barrier(share.part, share.meets);
}

/* dz<t>, dx<t> and, where it is the first step read, `first`: for the steps of a chunk. */
static void V(backward_part)(const void *call, int part, int parts) {
    const V(pass) *pass = call;
    const V(rnn) *p = pass->p;
    const V(share) share = V(share_of)(p, pass->by_columns, part, parts);
    const ptrdiff_t i0 = share.i0, i1 = share.i1, m = p->m;
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x, t0 = pass->t0, t1 = pass->t1;
    const V_REAL *after = pass->carry;
    for (ptrdiff_t s = 0; s < t1 - t0; s++) {
        const ptrdiff_t slot = p->reverse ? s : t1 - t0 - 1 - s;
        V_REAL *dz = pass->dz + slot * m * n_a;
        V(step_backward)(pass, t0 + slot, share, after, dz);
        after = dz;
    }
    for (ptrdiff_t i = i0; i < i1; i++) { /* the first step read: right to left, the last */
        const ptrdiff_t t = !p->reverse ? 0 : p->lengths == NULL ? p->T - 1 : p->lengths[i] - 1;
        if (t0 <= t && t < t1 && (part == 0 || !share.meets))
            memcpy(pass->first + i * n_a, pass->dz + ((t - t0) * m + i) * n_a,
                   (size_t)n_a * sizeof(V_REAL));
    }
    if (p->dx == NULL)
        return;
    V(bulk)(t1 - t0, m, i0, i1, n_a,
            V(columns_of)(n_x, share.meets ? part : 0, share.meets ? parts : 1), pass->dz,
            pass->Wax, NULL, p->dx + t0 * m * n_x);
    for (ptrdiff_t t = t0 > pass->over ? t0 : pass->over; t < t1; t++)
        V(fill_padding)(p, t, i0, i1, n_x, NULL, p->dx + t * m * n_x);
}

/* dWax[u0:u1] += sum dz<t> x<t>' for one-hot x<t>, in its transpose (n_x, n_a). */
static void V(scatter_add)(const V(pass) * pass, ptrdiff_t u0, ptrdiff_t u1) {
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a, m = p->m;
    for (ptrdiff_t t = pass->t0; t < pass->t1; t++)
        for (ptrdiff_t i = 0; i < m; i++)
            if (p->lengths == NULL || t < p->lengths[i]) {
                V_REAL *row = pass->Wax + p->symbols[t * m + i] * n_a;
                const V_REAL *dz = pass->dz + ((t - pass->t0) * m + i) * n_a;
                for (ptrdiff_t u = u0; u < u1; u++)
                    row[u] += dz[u];
            }
}

/* dWaa += sum dz<t> a<t-1>', dWax += sum dz<t> x<t>', dba += sum dz<t>: of a chunk, some units. */
static void V(backward_units)(const void *call, int part, int parts) {
    const V(pass) *pass = call;
    const V(rnn) *p = pass->p;
    const ptrdiff_t n_a = p->n_a, n_x = p->n_x, m = p->m, t0 = pass->t0, t1 = pass->t1;
    const ptrdiff_t strips = V(strips)(n_a);
    const int add = pass->add;
    const ptrdiff_t s0 = strips * part / parts, s1 = strips * (part + 1) / parts;
    const ptrdiff_t u0 = V(strip_at)(n_a, s0), u1 = V(strip_at)(n_a, s1);
    /* Steps with a step before them: all but the first read, which a0 comes before. */
    const ptrdiff_t from = !p->reverse && t0 == 0 ? 1 : t0,
                    to = p->reverse && t1 == p->T ? t1 - 1 : t1;
    const ptrdiff_t first = from > t0 ? t0 : to; /* the one without, where from, to leave one out */
    const V_REAL *before = p->a + (p->reverse ? from + 1 : from - 1) * m * n_a;
    const ptrdiff_t *lengths = t1 > pass->over ? p->lengths : NULL;
    const V_REAL *x = p->x == NULL ? NULL : p->x + from * m * n_x;
    const V(sum) sums[] = {{before, n_a, add, p->dWaa, lengths, m, from},
                           {x, n_x, add, p->dWax, lengths, m, from}};
    V(sum_products)((to - from) * m, n_a, s0, s1, pass->dz + (from - t0) * m * n_a,
                    x != NULL ? 2 : 1, sums, pass->strips);
    if (x != NULL && to - from < t1 - t0) {
        const V(sum)
            rest = {p->x + first * m * n_x, n_x, add || to > from, p->dWax, lengths, m, first};
        V(sum_products)(m, n_a, s0, s1, pass->dz + (first - t0) * m * n_a, 1, &rest, pass->strips);
    }
    V(sum_rows)((t1 - t0) * m, n_a, u0, u1, pass->dz, pass->add, p->dba);
    if (p->x == NULL)
        V(scatter_add)(pass, u0, u1);
}

/* Steps whose dz is kept at once: 256 KiB of it, at most 1024 rows, still in the second cache when
 * the sums come to it (3 to 5 % faster than 1024 rows at n_a = 128 and 256). Where that is few
 * rows, the weights are no longer in that cache, and the more rows meet them at a time the better.
 */
static ptrdiff_t V(backward_chunk)(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_a) {
    const ptrdiff_t fit = (1 << 18) / (ptrdiff_t)sizeof(V_REAL) / n_a;
    const ptrdiff_t rows = 256 <= fit && fit < 1024 ? fit : 1024;
    const ptrdiff_t chunk = (rows + m - 1) / m;
    return chunk < T ? chunk : T;
}

static void V(rnn_backward)(const crnn_rnn *call) {
    const V(rnn) record = V(typed_rnn)(call), *p = &record;
    V(pass) pass = V(begin)(p);
    const ptrdiff_t T = p->T, m = p->m, n_a = p->n_a, n_x = p->n_x;
    const ptrdiff_t chunk = V(backward_chunk)(T, m, n_a);

    V(pack)(n_a, n_a, p->Waa, pass.Waa);
    if (p->x == NULL)
        memset(pass.Wax, 0, (size_t)(n_x * n_a) * sizeof(V_REAL));
    else if (p->dx != NULL)
        V(pack)(n_a, n_x, p->Wax, pass.Wax);
    for (ptrdiff_t s0 = 0; s0 < T; s0 += chunk) {
        const ptrdiff_t s1 = s0 + chunk < T ? s0 + chunk : T;
        const double work = 2.0 * (s1 - s0) * m * n_a * (n_a + (p->x ? n_x : 0));
        pass.t0 = p->reverse ? s0 : T - s1;
        pass.t1 = p->reverse ? s1 : T - s0;
        V(run_steps)(&pass, V(backward_part), s1 - s0, work);
        crnn_run(crnn_parts(p->threads, V(strips)(n_a), work), V(backward_units), &pass);
        memcpy(pass.next, pass.dz + (p->reverse ? s1 - s0 - 1 : 0) * m * n_a,
               (size_t)(m * n_a) * sizeof(V_REAL));
        pass.carry = pass.next;
        pass.add = 1;
    }
    const crnn_denormals before = crnn_denormals_off();
    if (p->a0 != NULL) {
        const V(sum) dWaa = {p->a0, n_a, 1, p->dWaa, NULL, 0, 0};
        V(sum_products)(m, n_a, 0, V(strips)(n_a), pass.first, 1, &dWaa, pass.strips);
    }
    if (p->da0 != NULL) {
        const V(work)
            da0 = {.K = n_a, .A = pass.first, .B = pass.Waa, .C = p->da0, .chains = pass.chains};
        V(product)(m, V(all_columns)(n_a), &da0);
    }
    if (p->x == NULL)
        for (ptrdiff_t u = 0; u < n_a; u++)
            for (ptrdiff_t k = 0; k < n_x; k++)
                p->dWax[u * n_x + k] = pass.Wax[k * n_a + u];
    crnn_denormals_restore(before);
}

static ptrdiff_t V(rnn_workspace)(ptrdiff_t T, ptrdiff_t m, ptrdiff_t n_x, ptrdiff_t n_a,
                                  int backward) {
    const ptrdiff_t packed = V(packed_size)(n_a, n_a) + V(packed_size)(n_x, n_a);
    return packed +
           (backward ? V(strips_size)(n_a) + (V(backward_chunk)(T, m, n_a) + 2) * m * n_a : 0);
}
