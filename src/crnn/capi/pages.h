/* Memory for arrays that are read in every step. */
#ifndef CRNN_PAGES_H
#define CRNN_PAGES_H

#include <stddef.h>

/* Memory of at most SIZE_MAX / 2 bytes that begins at a multiple of 64, or NULL. Pass `*to_free` to
 * free. Linux is asked for huge pages for a large block: with 13 MB of weights in pages of 4 KiB a
 * product takes a third longer, because the processor must look up where each page is. */
void *crnn_allocate(size_t bytes, void **to_free);

#endif
