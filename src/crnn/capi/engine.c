#include "engine.h"

/* Both are set once, usually before the first call; but a program may set them at any time. MSVC
 * reads and writes a volatile pointer atomically. */
#if defined(_MSC_VER) && !defined(__clang__)
#define ATOMIC(type) type volatile
#else
#define ATOMIC(type) _Atomic(type)
#endif
typedef const crnn_kernels *table;
typedef int (*thread_count)(void);

static ATOMIC(table) kernels; /* NULL until they are set */
static ATOMIC(thread_count) threads;

void crnn_use_kernels(const crnn_kernels *chosen) { kernels = chosen; }

const crnn_operations *crnn_operations_for(int dtype) {
    table chosen = kernels;
    if (chosen == NULL)
        kernels = chosen = crnn_find_kernels(NULL); /* every thread finds the same */
    return dtype == CRNN_FLOAT64 ? chosen->f64 : chosen->f32;
}

void crnn_use_thread_count(int (*count)(void)) { threads = count; }

int crnn_most_threads(void) {
    const thread_count count = threads;
    return count == NULL ? 1 : count();
}
