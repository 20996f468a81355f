/* Continue a wave: a model that RNN.save wrote reads a sine, then its own answers.
 *
 *     sine MODEL [STEPS]
 *
 * docs/embed.md trains the model. Prints a number for each step. */
#include <crnn_stepper.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { WARM_UP = 100 }; /* steps that read the sine */

static int failed(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

/* Read a whole number in 1..1000000. */
static int read_count(const char *text, long *count) {
    char *end;
    *count = strtol(text, &end, 10);
    return end != text && *end == 0 && *count >= 1 && *count <= 1000000;
}

/* Whether the model reads and answers one float32 number. */
static int fits(const crnn_stepper *stepper) {
    crnn_stepper_sizes sizes = {.struct_size = sizeof sizes};
    return crnn_stepper_get_sizes(stepper, &sizes) == CRNN_OK && sizes.dtype == CRNN_FLOAT32 &&
           sizes.n_x == 1 && sizes.n_y == 1;
}

int main(int argc, char **argv) {
    crnn_stepper *stepper;
    long steps = 20;
    if (argc < 2 || argc > 3 || (argc == 3 && !read_count(argv[2], &steps)))
        return failed("usage", "sine MODEL [STEPS], with STEPS in 1..1000000");
    int status = crnn_stepper_create_from_file(argv[1], 1, &stepper);
    if (status != CRNN_OK)
        return failed(argv[1], crnn_status_message(status));
    if (!fits(stepper)) {
        crnn_stepper_destroy(stepper);
        return failed(argv[1], "expected a model of float32 with n_x = n_y = 1");
    }
    float y = 0;
    for (long t = 0; t < WARM_UP + steps && status == CRNN_OK; t++) {
        const float x = t < WARM_UP ? sinf(0.2f * (float)t) : y;
        status = crnn_stepper_step(stepper, &x, &y);
        if (t >= WARM_UP)
            printf("%.6f\n", x);
    }
    crnn_stepper_destroy(stepper);
    return status == CRNN_OK ? 0 : failed("step", crnn_status_message(status));
}
