/* In place of dispatch.c, for programs in which one table of kernels is compiled. */
#include "crnn_kernels.h"

#include <string.h>

const crnn_kernels *crnn_find_kernels(const char *name) {
    return name == NULL || strcmp(name, "portable") == 0 ? &crnn_kernels_portable : NULL;
}
