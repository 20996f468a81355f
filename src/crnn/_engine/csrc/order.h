/* Order examples by length, so that those that still run at a step come first. */
#ifndef CRNN_ORDER_H
#define CRNN_ORDER_H

#include <stddef.h>

/* order (m) = the examples by falling length; equal lengths stay in the caller's order. `scratch`
 * has room for m integers. */
void crnn_order_by_length(ptrdiff_t m, const ptrdiff_t *lengths, ptrdiff_t *order,
                          ptrdiff_t *scratch);

#endif
