/* What a training step does besides running the network: the loss, the gradient's norm and the
 * optimizer's update, each in one pass over its array. */

/* exp(x) for x <= 0, to about 2 ulp; 0 below the least normal number; NaN for NaN.
 * x = k ln2 + 2h with |h| <= ln2/4; exp(2h) is the polynomial of tanh.h. */
SIMD_INLINE V(t) V(exp)(V(t) x) {
    const V(t) magic = V(set1)(CONST(ROUND_MAGIC)), lowest = V(set1)(CONST(EXP_LOWEST));
    const V(t) half = V(mul)(V(select_ge)(lowest, x, lowest, x), V(set1)((V_REAL)0.5));
    const V(t) rounded = V(fma)(half, V(set1)(CONST(TANH_2LOG2E)), magic);
    const V(t) k = V(sub)(rounded, magic);
    V(t) h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_HI)), half);
    h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_LO)), h);
    const V(t) e = V(scale)(V(tanh_exp2h)(h), rounded);
    const V(t) positive = V(select_ge)(lowest, x, V(set1)(0), e);
    return V(select_ge)(V(set1)(0), x, positive, x); /* NaN stays NaN */
}

/* The vector of elements j, j + 1, ... of a row of n, with `fill` past the row's end. */
SIMD_INLINE V(t) V(load_or)(const V_REAL *row, ptrdiff_t j, ptrdiff_t n, V_REAL fill) {
    if (j + V_LEN <= n)
        return V(load)(row + j);
    V_REAL all[V_LEN];
    for (int v = 0; v < V_LEN; v++)
        all[v] = j + v < n ? row[j + v] : fill;
    return V(load)(all);
}

SIMD_INLINE void V(store_row)(V_REAL *row, ptrdiff_t j, ptrdiff_t n, V(t) a) {
    if (j + V_LEN <= n)
        V(store)(row + j, a);
    else
        V(store_n)(row + j, a, (int)(n - j));
}

/* A row of logits becomes exp(z - max); returns the sum. */
static V_REAL V(exp_row)(ptrdiff_t n, V_REAL *z, V_REAL *max) {
    V_REAL lanes[V_LEN];
    V(t) most = V(load_or)(z, 0, n, z[0]), sum = V(set1)(0);
    for (ptrdiff_t j = V_LEN; j < n; j += V_LEN) {
        const V(t) z_j = V(load_or)(z, j, n, z[0]);
        most = V(select_ge)(most, z_j, most, z_j);
    }
    V(store)(lanes, most);
    *max = lanes[0];
    for (int v = 1; v < V_LEN; v++)
        *max = lanes[v] > *max ? lanes[v] : *max;
    most = V(set1)(*max);
    for (ptrdiff_t j = 0; j < n; j += V_LEN) {
        const V(t) e = V(exp)(V(sub)(V(load_or)(z, j, n, -(V_REAL)INFINITY), most));
        sum = V(add)(sum, e);
        V(store_row)(z, j, n, e);
    }
    V(store)(lanes, sum);
    V_REAL total = 0;
    for (int v = 0; v < V_LEN; v++)
        total += lanes[v];
    return total;
}

/* The sum of a row. */
static V_REAL V(row_sum)(ptrdiff_t n, const V_REAL *z) {
    V_REAL lanes[V_LEN], total = 0;
    V(t) sum = V(set1)(0);
    for (ptrdiff_t j = 0; j < n; j += V_LEN)
        sum = V(add)(sum, V(load_or)(z, j, n, 0));
    V(store)(lanes, sum);
    for (int v = 0; v < V_LEN; v++)
        total += lanes[v];
    return total;
}

static void V(scale_row)(ptrdiff_t n, V_REAL by, V_REAL *z) {
    const V(t) factor = V(set1)(by);
    for (ptrdiff_t j = 0; j < n; j += V_LEN)
        V(store_row)(z, j, n, V(mul)(V(load_or)(z, j, n, 0), factor));
}

/* y_hat = softmax(logits) in place: (rows, n). */
static void V(softmax)(ptrdiff_t rows, ptrdiff_t n, void *logits) {
    V_REAL *z = logits, max;
    for (ptrdiff_t i = 0; i < rows; i++, z += n)
        V(scale_row)(n, 1 / V(exp_row)(n, z, &max), z);
}

/* The sum over rows of -w log y_hat_y, computed from the logits (rows, n), which become
 * w (y_hat - y) / rows. `right` is the sum of w over the rows whose first largest logit is that of
 * y. Without weights (rows) each w is 1; a product with 1 changes no bit. A row of weight 0 adds
 * nothing, even if its logits are NaN.
 *
 * With e_k = exp(z_k - max), `rest` is the sum of e_k over the other classes, k != y. If y has the
 * largest logit, the loss is log(1 + rest), and y_hat_y - 1 is -rest / total. In this form neither
 * loses the digits of a small rest: in float32, 1 + 4e-9 is 1. */
static double V(cross_entropy)(ptrdiff_t rows, ptrdiff_t n, const ptrdiff_t *y, const void *weights,
                               void *logits, double *right) {
    const V_REAL one_share = 1 / (V_REAL)rows, *w = weights;
    double loss = 0;
    V_REAL *z = logits, max;
    *right = 0;
    for (ptrdiff_t i = 0; i < rows; i++, z += n) {
        const V_REAL w_i = w == NULL ? 1 : w[i], share = w_i * one_share;
        if (w_i == 0) {
            memset(z, 0, (size_t)n * sizeof *z);
            continue;
        }
        const V_REAL z_y = z[y[i]];
        ptrdiff_t before = 0;
        while (before < y[i] && z[before] < z_y)
            before++;
        const V_REAL total = V(exp_row)(n, z, &max);
        z[y[i]] = 0;
        const V_REAL rest = V(row_sum)(n, z);
        loss += (double)w_i * (z_y == max ? log1p((double)rest)
                                          : log((double)total) + ((double)max - (double)z_y));
        *right += before == y[i] && z_y == max ? (double)w_i : 0;
        const V_REAL factor = share / total;
        V(scale_row)(n, factor, z);
        z[y[i]] = -rest * factor;
    }
    return loss;
}

/* The sum of squares of g (n), in double: eight partial sums, added in a fixed order. */
static double V(sum_squares)(ptrdiff_t n, const void *numbers) {
    const V_REAL *g = numbers;
    double sum[8] = {0}, total = 0;
    ptrdiff_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int s = 0; s < 8; s++)
            sum[s] += (double)g[k + s] * g[k + s];
    for (; k < n; k++)
        sum[0] += (double)g[k] * g[k];
    for (int s = 0; s < 8; s++)
        total += sum[s];
    return total;
}

/* Whether every number of p (n) is finite: 0 times infinity or NaN is NaN. */
static int V(all_finite)(ptrdiff_t n, const void *numbers) {
    const V_REAL *p = numbers;
    const V(t) zero = V(set1)(0);
    V_REAL lanes[V_LEN];
    V(t) sum = zero;
    for (ptrdiff_t k = 0; k < n; k += V_LEN)
        sum = V(fma)(V(load_or)(p, k, n, 0), zero, sum);
    V(store)(lanes, sum);
    for (int v = 0; v < V_LEN; v++)
        if (lanes[v] != 0)
            return 0;
    return 1;
}

/* W := W - lr dW; or v := momentum v + dW, W := W - lr v where v is not NULL. */
static void V(sgd)(ptrdiff_t n, void *parameters, const void *gradients, void *velocity, double lr,
                   double momentum) {
    V_REAL *w = parameters, *v = velocity;
    const V_REAL *g = gradients;
    const V(t) rate = V(set1)((V_REAL)lr), keep = V(set1)((V_REAL)momentum);
    const crnn_denormals before = crnn_denormals_off(); /* the moments of an unused weight decay */
    for (ptrdiff_t k = 0; k < n; k += V_LEN) {
        V(t) step = V(load_or)(g, k, n, 0);
        if (v != NULL) {
            step = V(fma)(keep, V(load_or)(v, k, n, 0), step);
            V(store_row)(v, k, n, step);
        }
        V(store_row)(w, k, n, V(fnma)(rate, step, V(load_or)(w, k, n, 0)));
    }
    crnn_denormals_restore(before);
}

/* m := m + (1 - beta1) (dW - m), v := v + (1 - beta2) (dW^2 - v), W := W - lr m / (root v + eps),
 * where rate = lr / (1 - beta1^t) and root = 1 / sqrt(1 - beta2^t) correct the bias of both means
 * towards 0. dW is clamped to numbers whose square is finite, for v would otherwise become infinite
 * and, at the next step, NaN. Steps hardly depend on the size of a clamped gradient, since m and
 * root v are both multiples of it. NaN stays NaN. */
static void V(adam)(ptrdiff_t n, void *parameters, const void *gradients, void *mean, void *square,
                    double beta1, double beta2, double rate, double root, double eps) {
    V_REAL *w = parameters, *m = mean, *v = square;
    const V_REAL *g = gradients;
    const V(t) new1 = V(set1)((V_REAL)(1 - beta1)), new2 = V(set1)((V_REAL)(1 - beta2));
    const V(t) rate_ = V(set1)((V_REAL)rate), root_ = V(set1)((V_REAL)root);
    const V(t) eps_ = V(set1)((V_REAL)eps);
    const V(t) most = V(set1)(CONST(MOST_TO_SQUARE)), least = V(set1)(-CONST(MOST_TO_SQUARE));
    const crnn_denormals before = crnn_denormals_off(); /* the moments of an unused weight decay */
    for (ptrdiff_t k = 0; k < n; k += V_LEN) {
        V(t) dw = V(load_or)(g, k, n, 0);
        dw = V(select_ge)(dw, most, most, dw);
        dw = V(select_ge)(least, dw, least, dw);
        V(t) m_k = V(load_or)(m, k, n, 0), v_k = V(load_or)(v, k, n, 0);
        m_k = V(fma)(new1, V(sub)(dw, m_k), m_k);
        v_k = V(fma)(new2, V(fma)(dw, dw, V(sub)(V(set1)(0), v_k)), v_k);
        V(store_row)(m, k, n, m_k);
        V(store_row)(v, k, n, v_k);
        const V(t) step = V(div)(V(mul)(rate_, m_k), V(fma)(V(sqrt)(v_k), root_, eps_));
        V(store_row)(w, k, n, V(sub)(V(load_or)(w, k, n, 0), step));
    }
    crnn_denormals_restore(before);
}
