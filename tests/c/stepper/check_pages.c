/* Memory of a stepper: where it begins, and for which of it huge pages are asked for. Linked with
 * --wrap=madvise, which here never has any. */
#define _DEFAULT_SOURCE /* MADV_HUGEPAGE */
#include "pages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *advised;
static size_t length;
static int advice;

int __wrap_madvise(void *begin, size_t bytes, int kind);
int __wrap_madvise(void *begin, size_t bytes, int kind) {
    advised = begin, length = bytes, advice = kind;
    return -1;
}

static int wrong(size_t bytes, size_t alignment, int large) {
    void *to_free;
    advised = NULL, length = 0, advice = 0;
    char *begin = crnn_allocate(bytes, &to_free);
    if (begin == NULL || to_free == NULL)
        return 1;
    memset(begin, 1, bytes);
    const int asked = advised == begin && length == bytes && advice == MADV_HUGEPAGE;
    free(to_free);
    return (large ? !asked : advised != NULL) || (uintptr_t)begin % alignment != 0;
}

int main(void) {
    const size_t mib = 1 << 20;
    void *to_free = &to_free;
    if (wrong(1, 64, 0) || wrong(1000, 64, 0) || wrong(4 * mib - 1, 64, 0))
        return printf("small memory\n"), 1;
    if (wrong(4 * mib, 2 * mib, 1) || wrong(13 * mib + 5, 2 * mib, 1))
        return printf("large memory\n"), 1;
    if (crnn_allocate(SIZE_MAX / 2, &to_free) != NULL || to_free != NULL)
        return printf("memory that there is not\n"), 1;
    return printf("pages: right\n"), 0;
}
