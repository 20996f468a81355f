/* Which table of kernels to use: best first, the portable one last. */
#include <string.h>

#include "crnn_kernels.h"

static const crnn_kernels *const tables[] = {&crnn_kernels_portable};

const crnn_kernels *crnn_find_kernels(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (name == NULL || strcmp(name, tables[i]->name) == 0)
            return tables[i];
    return NULL;
}
