#if defined(__linux__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "pages.h"

#include <stdint.h>
#include <stdlib.h>

#ifdef __linux__
#include <sys/mman.h>
#endif

enum { CACHE_LINE = 64 };

#ifdef MADV_HUGEPAGE
/* The size of a huge page on x86-64, and on aarch64 with pages of 4 KiB; and the smallest block for
 * which NumPy asks for them. */
enum { HUGE_PAGE = 2 << 20, LARGE = 4 << 20 };

static size_t alignment_of(size_t bytes) { return bytes < LARGE ? CACHE_LINE : HUGE_PAGE; }

/* A system that has no huge pages does not take the advice. The memory is the same. */
static void advise(void *begin, size_t bytes) {
    if (bytes >= LARGE)
        (void)madvise(begin, bytes, MADV_HUGEPAGE);
}
#else
static size_t alignment_of(size_t bytes) { return (void)bytes, CACHE_LINE; }
static void advise(void *begin, size_t bytes) { (void)begin, (void)bytes; }
#endif

void *crnn_allocate(size_t bytes, void **to_free) {
    const size_t alignment = alignment_of(bytes);
    char *memory = malloc(bytes + alignment - 1);
    *to_free = memory;
    if (memory == NULL)
        return NULL;
    char *begin = memory + (alignment - (uintptr_t)memory % alignment) % alignment;
    advise(begin, bytes);
    return begin;
}
