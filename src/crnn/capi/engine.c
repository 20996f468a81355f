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
static ATOMIC(int) most_threads; /* of crnn_set_num_threads */

void crnn_use_kernels(const crnn_kernels *chosen) { kernels = chosen; }

const crnn_kernels *crnn_kernels_in_use(void) {
    table chosen = kernels;
    if (chosen == NULL)
        kernels = chosen = crnn_find_kernels(NULL); /* every thread finds the same */
    return chosen;
}

const crnn_operations *crnn_operations_for(int dtype) {
    const crnn_kernels *chosen = crnn_kernels_in_use();
    return dtype == CRNN_FLOAT64 ? chosen->f64 : chosen->f32;
}

void crnn_use_thread_count(int (*count)(void)) { threads = count; }

int crnn_most_threads(void) {
    const thread_count count = threads;
    return count == NULL ? 1 : count();
}

/* The settings of libcrnn. In Python they are those of the package. */
static int set_threads(void) { return most_threads; }

int crnn_set_num_threads(int n) {
    if (n < 1)
        return CRNN_UNSUPPORTED_OPTION;
    most_threads = n;
    crnn_use_thread_count(set_threads);
    return CRNN_OK;
}

int crnn_select_kernels(const char *name) {
    const crnn_kernels *found = crnn_find_kernels(name);
    if (found == NULL)
        return CRNN_UNSUPPORTED_OPTION;
    crnn_use_kernels(found);
    return CRNN_OK;
}

const char *crnn_kernels_name(void) { return crnn_kernels_in_use()->name; }

const char *crnn_version(void) { return CRNN_VERSION; }
