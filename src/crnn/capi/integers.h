/* Range checks of lengths, offsets and symbols, shared by the entries from Python and from C. */
#ifndef CRNN_INTEGERS_H
#define CRNN_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

/* Whether all n numbers are in least..most. Branch-free, because they almost always are. */
static inline int crnn_within(const ptrdiff_t *numbers, ptrdiff_t n, ptrdiff_t least,
                              ptrdiff_t most) {
    int wrong = 0;
    for (ptrdiff_t k = 0; k < n; k++)
        wrong |= (numbers[k] < least) | (numbers[k] > most);
    return !wrong;
}

/* The number of rows of packed arrays, or -1 unless lengths are >= 1 and never increase. A sum that
 * overflows also gives -1: wrapped around, it could equal the rows of a small array. */
static inline ptrdiff_t crnn_packed_rows(const ptrdiff_t *lengths, ptrdiff_t m) {
    ptrdiff_t rows = 0;
    for (ptrdiff_t i = 0; i < m; i++) {
        if (lengths[i] < 1 || (i > 0 && lengths[i] > lengths[i - 1]) ||
            lengths[i] > PTRDIFF_MAX - rows)
            return -1;
        rows += lengths[i];
    }
    return rows;
}

/* Find lengths (m) and each example's last packed row, last (m), from batch sizes (T). Returns 0 if
 * the batch sizes, the numbers of examples at each step, are not positive or rise. */
static inline int crnn_find_lengths(const ptrdiff_t *batch_sizes, ptrdiff_t T, ptrdiff_t *lengths,
                                    ptrdiff_t *last) {
    ptrdiff_t row = 0;
    for (ptrdiff_t t = 0; t < T; t++) {
        const ptrdiff_t running = t + 1 < T ? batch_sizes[t + 1] : 0;
        if (batch_sizes[t] < 1 || running < 0 || running > batch_sizes[t])
            return 0;
        for (ptrdiff_t i = running; i < batch_sizes[t]; i++) { /* their last step is t */
            lengths[i] = t + 1;
            last[i] = row + i;
        }
        row += batch_sizes[t];
    }
    return 1;
}

/* How many of the first `running` lengths, which never increase, are longer than t. */
static inline ptrdiff_t crnn_still_running(const ptrdiff_t *lengths, ptrdiff_t running,
                                           ptrdiff_t t) {
    while (running > 0 && lengths[running - 1] <= t)
        running--;
    return running;
}

/* offsets (T): the packed rows before step t, for lengths that never increase. */
static inline void crnn_find_offsets(const ptrdiff_t *lengths, ptrdiff_t m, ptrdiff_t T,
                                     ptrdiff_t *offsets) {
    ptrdiff_t row = 0, running = m;
    for (ptrdiff_t t = 0; t < T; t++) {
        running = crnn_still_running(lengths, running, t);
        offsets[t] = row;
        row += running;
    }
}

/* Whether these are the offsets that crnn_find_offsets finds. */
static inline int crnn_offsets_fit(const ptrdiff_t *lengths, ptrdiff_t m, ptrdiff_t T,
                                   const ptrdiff_t *offsets) {
    ptrdiff_t row = 0, running = m;
    for (ptrdiff_t t = 0; t < T; t++) {
        running = crnn_still_running(lengths, running, t);
        if (offsets[t] != row)
            return 0;
        row += running;
    }
    return 1;
}

/* Whether all symbols (T, m) within the lengths are in 0..n_x - 1; others are ignored. */
static inline int crnn_symbols_fit(const ptrdiff_t *symbols, const ptrdiff_t *lengths, ptrdiff_t T,
                                   ptrdiff_t m, ptrdiff_t n_x) {
    if (lengths == NULL)
        return crnn_within(symbols, T * m, 0, n_x - 1);
    for (ptrdiff_t t = 0; t < T; t++)
        for (ptrdiff_t i = 0; i < m; i++)
            if (t < lengths[i] && (symbols[t * m + i] < 0 || symbols[t * m + i] >= n_x))
                return 0;
    return 1;
}

#endif
