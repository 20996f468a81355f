#if defined(__linux__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "pages.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

/* What Linux calls a huge page on x86-64 and, with pages of 4 KiB, on aarch64. */
enum { CACHE_LINE = 64, HUGE_PAGE = 2 << 20 };

/* Below this size pages of 4 KiB are as good, as NumPy found for its arrays. */
enum { LARGE = 2 * HUGE_PAGE };

static void advise(void *begin, size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    /* Advice which a system without huge pages does not take. The memory is the same. */
    (void)madvise(begin, bytes, MADV_HUGEPAGE);
#else
    (void)begin, (void)bytes;
#endif
}

void *crnn_allocate(size_t bytes, void **to_free) {
    const size_t alignment = bytes < LARGE ? CACHE_LINE : HUGE_PAGE;
    char *memory = malloc(bytes + alignment - 1);
    *to_free = memory;
    if (memory == NULL)
        return NULL;
    char *begin = memory + (alignment - (uintptr_t)memory % alignment) % alignment;
    if (bytes >= LARGE)
        advise(begin, bytes);
    return begin;
}
