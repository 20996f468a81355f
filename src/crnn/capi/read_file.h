/* A whole file in memory. */
#ifndef CRNN_READ_FILE_H
#define CRNN_READ_FILE_H

#include <stddef.h>

/* Read a regular file. Anything else, such as a folder, a pipe or a device, could keep the program
 * waiting, or never end: it is CRNN_FILE_UNREADABLE. On Windows too, the path is in UTF-8. Returns
 * CRNN_OK, CRNN_FILE_UNREADABLE or CRNN_OUT_OF_MEMORY; free() *bytes in any case. */
int crnn_read_file(const char *path, char **bytes, size_t *size);

#endif
