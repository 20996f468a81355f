/* Paths on Windows: `check_paths.exe MODEL` copies the model to a file whose name no code page has,
 * and creates a stepper from the name in UTF-8. What is not a regular file is refused at once. */
#include "crnn_stepper.h"

#include <stdio.h>
#include <wchar.h>

static int status_of(const char *path) {
    crnn_stepper *stepper;
    const int status = crnn_stepper_create_from_file(path, 1, &stepper);
    crnn_stepper_destroy(stepper);
    return status;
}

static int copied(const char *from, const wchar_t *to) {
    FILE *model = fopen(from, "rb"), *copy = _wfopen(to, L"wb");
    if (model == NULL || copy == NULL)
        return 0;
    for (int c = getc(model); c != EOF; c = getc(model))
        putc(c, copy);
    fclose(model);
    return fclose(copy) == 0;
}

int main(int argc, char **argv) {
    static const char *const refused[] = {"missing", ".", "NUL", "CON", "\xFF"};
    int failed = argc != 2 || !copied(argv[1], L"\x6A21\x578B \x00FC.safetensors") ||
                 status_of("\xE6\xA8\xA1\xE5\x9E\x8B \xC3\xBC.safetensors") != CRNN_OK;
    for (int k = 0; k < 5; k++)
        failed |= status_of(refused[k]) != CRNN_FILE_UNREADABLE;
    printf(failed ? "paths: wrong\n" : "paths: right\n");
    return failed;
}
