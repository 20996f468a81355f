#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L /* open and its flags */
#endif
#include "read_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "crnn.h"

#ifdef _WIN32
#include <io.h>
#include <windows.h>

static FILE *open_regular(const char *path) {
    const int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof *wide) : NULL;
    if (wide == NULL)
        return NULL;
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, length);
    FILE *file = _wfopen(wide, L"rb"); /* which waits for nobody, and opens no folder */
    free(wide);
    if (file != NULL && GetFileType((HANDLE)_get_osfhandle(_fileno(file))) != FILE_TYPE_DISK) {
        fclose(file);
        return NULL;
    }
    return file;
}
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Without O_NONBLOCK, to open a pipe would wait until somebody writes to it. */
static FILE *open_regular(const char *path) {
    const int found = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat about;
    if (found < 0)
        return NULL;
    FILE *file = fstat(found, &about) == 0 && S_ISREG(about.st_mode) ? fdopen(found, "rb") : NULL;
    if (file == NULL)
        close(found);
    return file;
}
#endif

/* In pieces, so that nothing depends on what the file's size is said to be. */
static int read_all(FILE *file, char **bytes, size_t *size) {
    size_t room = 0;
    do {
        if (*size == room) {
            room = room == 0 ? 1 << 16 : 2 * room;
            char *more = room > *size ? realloc(*bytes, room) : NULL;
            if (more == NULL)
                return CRNN_OUT_OF_MEMORY;
            *bytes = more;
        }
        *size += fread(*bytes + *size, 1, room - *size, file);
    } while (*size == room);
    return ferror(file) ? CRNN_FILE_UNREADABLE : CRNN_OK;
}

int crnn_read_file(const char *path, char **bytes, size_t *size) {
    *bytes = NULL;
    *size = 0;
    FILE *file = open_regular(path);
    if (file == NULL)
        return CRNN_FILE_UNREADABLE;
    const int status = read_all(file, bytes, size);
    fclose(file);
    return status;
}
