#include "order.h"

#include <string.h>

/* Merge two adjacent sorted runs of `from`, a to b and b to c, into `to`. */
static void merge(const ptrdiff_t *lengths, const ptrdiff_t *from, ptrdiff_t *to, ptrdiff_t a,
                  ptrdiff_t b, ptrdiff_t c) {
    ptrdiff_t left = a, right = b;
    for (ptrdiff_t k = a; k < c; k++)
        to[k] = left < b && (right == c || lengths[from[left]] >= lengths[from[right]])
                    ? from[left++]
                    : from[right++];
}

/* A bottom-up merge sort: stable, and O(m log m) in the worst case too. */
void crnn_order_by_length(ptrdiff_t m, const ptrdiff_t *lengths, ptrdiff_t *order,
                          ptrdiff_t *scratch) {
    ptrdiff_t *from = order, *to = scratch;
    int sorted = 1;
    for (ptrdiff_t i = 0; i < m; i++) {
        order[i] = i;
        sorted &= i == 0 || lengths[i - 1] >= lengths[i];
    }
    if (sorted) /* as PyTorch's packed sequences are */
        return;
    for (ptrdiff_t run = 1; run < m; run *= 2) {
        for (ptrdiff_t a = 0; a < m; a += 2 * run) {
            const ptrdiff_t b = a + run < m ? a + run : m, c = b + run < m ? b + run : m;
            merge(lengths, from, to, a, b, c);
        }
        ptrdiff_t *const swap = from;
        from = to;
        to = swap;
    }
    if (from != order)
        memcpy(order, from, (size_t)m * sizeof *order);
}
