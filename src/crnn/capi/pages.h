/* Memory for arrays that are read in every step. */
#ifndef CRNN_PAGES_H
#define CRNN_PAGES_H

#include <stddef.h>

/* Memory that begins at a multiple of 64 bytes, or NULL, for a number of bytes of which twice as
 * many can be counted. `*to_free` is for free. A large block lies in huge pages where the system
 * has them on request, as NumPy's arrays do: with 13 MB of weights in pages of 4 KiB a product
 * takes a third longer, because the processor must look up where each page is. */
void *crnn_allocate(size_t bytes, void **to_free);

#endif
