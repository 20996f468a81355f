/* A step of learning besides the network itself: the loss, the norm, the update; one pass each. */

/* exp(x) for x <= 0, to about 2 ulp; 0 below the least normal number; NaN for NaN.
 * x = k ln2 + 2h with |h| <= ln2/4, as in tanh.h, whose polynomial for exp(2h) it is. */
SIMD_INLINE V(t) V(exp)(V(t) x) {
    const V(t) magic = V(set1)(CONST(ROUND_MAGIC)), lowest = V(set1)(CONST(EXP_LOWEST));
    const V(t) half = V(mul)(V(select_ge)(lowest, x, lowest, x), V(set1)((V_REAL)0.5));
    const V(t) rounded = V(fma)(half, V(set1)(CONST(TANH_2LOG2E)), magic);
    const V(t) k = V(sub)(rounded, magic);
    V(t) h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_HI)), half);
    h = V(fnma)(k, V(set1)(CONST(TANH_LN2H_LO)), h);
    const V(t) e = V(scale)(V(tanh_exp2h)(h), rounded);
    const V(t) positive = V(select_ge)(lowest, x, V(set1)(0), e);
    return V(select_ge)(V(set1)(0), x, positive, x); /* x itself where it is NaN */
}

/* Elements j.. of a row of n; past its end, `fill`. */
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

/* A row of logits becomes exp(z - max); their sum. */
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

/* The sum over rows of -w log y_hat_y, from the logits (rows, n), which become
 * w (y_hat - y) / rows; `right` is the sum of w where the first largest logit is that of y. With no
 * weights (rows) each w is 1, and a product with 1 changes no bit. */
static double V(cross_entropy)(ptrdiff_t rows, ptrdiff_t n, const ptrdiff_t *y, const void *weights,
                               void *logits, double *right) {
    const V_REAL one_share = 1 / (V_REAL)rows, *w = weights;
    double loss = 0;
    V_REAL *z = logits, max;
    *right = 0;
    for (ptrdiff_t i = 0; i < rows; i++, z += n) {
        const V_REAL w_i = w == NULL ? 1 : w[i], share = w_i * one_share;
        const V_REAL z_y = z[y[i]];
        ptrdiff_t before = 0;
        while (before < y[i] && z[before] < z_y)
            before++;
        const V_REAL total = V(exp_row)(n, z, &max);
        loss += (double)w_i * (log((double)total) - ((double)z_y - (double)max));
        *right += before == y[i] && z_y == max ? (double)w_i : 0;
        V(scale_row)(n, share / total, z);
        z[y[i]] -= share;
    }
    return loss;
}

/* The sum of squares of g (n), in double: eight sums side by side, in one order. */
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

/* Whether no number of p (n) is infinite or NaN: 0 times those is NaN. */
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
    const crnn_denormals before = crnn_denormals_off(); /* moments of a dead weight fade */
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
 * with both means freed of their bias towards 0: rate = lr / (1 - beta1^t), root = 1 / sqrt(1 -
 * beta2^t). */
static void V(adam)(ptrdiff_t n, void *parameters, const void *gradients, void *mean, void *square,
                    double beta1, double beta2, double rate, double root, double eps) {
    V_REAL *w = parameters, *m = mean, *v = square;
    const V_REAL *g = gradients;
    const V(t) new1 = V(set1)((V_REAL)(1 - beta1)), new2 = V(set1)((V_REAL)(1 - beta2));
    const V(t) rate_ = V(set1)((V_REAL)rate), root_ = V(set1)((V_REAL)root);
    const V(t) eps_ = V(set1)((V_REAL)eps);
    const crnn_denormals before = crnn_denormals_off(); /* moments of a dead weight fade */
    for (ptrdiff_t k = 0; k < n; k += V_LEN) {
        const V(t) dw = V(load_or)(g, k, n, 0);
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
