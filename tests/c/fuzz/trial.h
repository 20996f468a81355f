/* What the fuzz targets of the C interface share: choices out of libFuzzer's bytes, arrays that end
 * where their numbers end, and the statuses that may come back.
 *
 * A target makes arguments that fit, and then damages them in ways that it chooses. It knows which
 * status each damage may give: without any, a call must be accepted, and otherwise it must be
 * refused with one of those, and must not have written anything. */
#ifndef TRIAL_H
#define TRIAL_H

#include "crnn.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 96, UNTOUCHED = 0xA5 };

typedef struct {
    const uint8_t *at, *end;
    unsigned may_be;           /* bit s: the status s may come */
    void *memory[MOST_ARRAYS]; /* to be freed */
    int arrays;
    struct {
        const unsigned char *at;
        size_t bytes;
    } outputs[MOST_ARRAYS]; /* begin as bytes UNTOUCHED */
    int written;
} trial;

/* One of 0..n-1; 0 when the bytes are used up. */
static inline ptrdiff_t pick(trial *t, ptrdiff_t n) { return t->at < t->end ? *t->at++ % n : 0; }

static inline int chance(trial *t) { return (int)pick(t, 2); }

/* Any integer: at the edges of the types, or all of its bytes chosen. */
static inline ptrdiff_t any_integer(trial *t) {
    static const ptrdiff_t edges[] = {0,           -1,          1,
                                      PTRDIFF_MAX, PTRDIFF_MIN, 2147483647,
                                      2147483648,  1073741824,  4611686018427387904};
    const ptrdiff_t which = pick(t, 2 * (ptrdiff_t)(sizeof edges / sizeof *edges));
    uint64_t all = 0;
    if (which < (ptrdiff_t)(sizeof edges / sizeof *edges))
        return edges[which];
    const ptrdiff_t bytes = pick(t, 8);
    for (ptrdiff_t k = 0; k <= bytes; k++)
        all = all << 8 | (uint64_t)pick(t, 256);
    return (ptrdiff_t)all;
}

/* Memory that begins `shift` bytes after an aligned address, and has not one byte more. */
static inline void *memory_of(trial *t, size_t bytes, size_t shift) {
    char *all = malloc(bytes + shift);
    if (all == NULL || t->arrays == MOST_ARRAYS)
        abort();
    t->memory[t->arrays++] = all;
    return all + shift;
}

static inline ptrdiff_t *integers(trial *t, ptrdiff_t n) {
    return memory_of(t, (size_t)n * sizeof(ptrdiff_t), 0);
}

static inline size_t size_of(int dtype) { return dtype == CRNN_FLOAT64 ? 8 : 4; }

/* n numbers to be read, in (-1, 1), or all of them NaN. */
static inline void *numbers(trial *t, int dtype, ptrdiff_t n) {
    void *array = memory_of(t, (size_t)n * size_of(dtype), 0);
    unsigned seed = (unsigned)t->arrays;
    const int all_nan = pick(t, 16) == 15;
    for (ptrdiff_t k = 0; k < n; k++) {
        seed = seed * 1664525u + 1013904223u;
        const double number = all_nan ? (double)NAN : (double)(seed >> 8) / (1 << 23) - 1;
        if (dtype == CRNN_FLOAT64)
            ((double *)array)[k] = number;
        else
            ((float *)array)[k] = (float)number;
    }
    return array;
}

/* The same, or NULL. */
static inline void *optional(trial *t, int dtype, ptrdiff_t n) {
    return chance(t) ? NULL : numbers(t, dtype, n);
}

/* The leaks of n units, in (0, 1]. */
static inline void *leaks(trial *t, int dtype, ptrdiff_t n) {
    void *array = memory_of(t, (size_t)n * size_of(dtype), 0);
    for (ptrdiff_t k = 0; k < n; k++)
        if (dtype == CRNN_FLOAT64)
            ((double *)array)[k] = 1.0 / (double)(k + 1);
        else
            ((float *)array)[k] = 1.0F / (float)(k + 1);
    return array;
}

/* Damage one of n leaks. */
static inline void damage_leak(trial *t, int dtype, ptrdiff_t n, void *array) {
    static const double wrong[] = {0, -0.5, 1.5, (double)NAN, (double)INFINITY};
    const double leak = wrong[pick(t, 5)];
    const ptrdiff_t k = pick(t, n);
    if (dtype == CRNN_FLOAT64)
        ((double *)array)[k] = leak;
    else
        ((float *)array)[k] = (float)leak;
    t->may_be |= 1u << CRNN_LEAK_OUT_OF_RANGE;
}

/* n numbers to be written. */
static inline void *output(trial *t, size_t number, ptrdiff_t n) {
    const size_t bytes = (size_t)n * number;
    unsigned char *array = memory_of(t, bytes, 0);
    memset(array, UNTOUCHED, bytes);
    t->outputs[t->written].at = array;
    t->outputs[t->written++].bytes = bytes;
    return array;
}

static inline void *optional_output(trial *t, size_t number, ptrdiff_t n) {
    return chance(t) ? NULL : output(t, number, n);
}

/* Whether no byte of any output was written. */
static inline int untouched(const trial *t) {
    for (int k = 0; k < t->written; k++)
        for (size_t b = 0; b < t->outputs[k].bytes; b++)
            if (t->outputs[k].at[b] != UNTOUCHED)
                return 0;
    return 1;
}

/* Whether no number of any output was left out. */
static inline int all_written(const trial *t, size_t number) {
    static const unsigned char none[8] = {UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED,
                                          UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};
    for (int k = 0; k < t->written; k++)
        for (size_t b = 0; b < t->outputs[k].bytes; b += number)
            if (memcmp(t->outputs[k].at + b, none, number) == 0)
                return 0;
    return 1;
}

/* A copy of a record that ends where struct_size says: shorter, as an older version's, if what is
 * cut off is 0, or longer, as a newer one's. The damage is a size of no version, or a field that
 * is unknown here. */
static inline void *record_of(trial *t, const void *record, size_t size, size_t first, int damage) {
    const char *bytes = record;
    size_t used = size, given = size;
    while (used > first && bytes[used - 1] == 0)
        used--;
    const ptrdiff_t kind = pick(t, 4);
    if (damage && kind < 2)
        given = kind == 0 ? (size_t)pick(t, (ptrdiff_t)(first < 256 ? first : 256)) : 4097;
    else if (damage || kind == 1)
        given = size + 8 * (size_t)(1 + pick(t, 20));
    else if (kind == 2)
        given = used + (size - used) * (size_t)pick(t, 5) / 4;
    const size_t room = given > sizeof given ? (given < 4097 ? given : 8) : sizeof given;
    char *copy = memory_of(t, room, 0);
    memset(copy, 0, room);
    memcpy(copy, record, room < size ? room : size);
    memcpy(copy, &given, sizeof given);
    if (damage) {
        t->may_be |= 1u << CRNN_VERSION_MISMATCH;
        if (kind >= 2)
            copy[size + (size_t)pick(t, (ptrdiff_t)(given - size))] = 1;
    }
    return copy;
}

/* End with a finding unless this is right. */
static inline void expect(int right, const char *what, int status) {
    if (right)
        return;
    fprintf(stderr, "%s: status %d, %s\n", what, status, crnn_status_message(status));
    abort();
}

static inline void release(trial *t) {
    for (int k = 0; k < t->arrays; k++)
        free(t->memory[k]);
}

#endif
