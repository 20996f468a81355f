/* A strict reader of JSON in memory that is not trusted: it reads no byte outside, follows no more
 * than JSON_DEPTH levels, and allocates nothing. Every function returns whether what it reads was
 * there; afterwards the reader is behind it. Once a function has returned 0, all do. */
#ifndef CRNN_JSON_H
#define CRNN_JSON_H

#include <stddef.h>

enum {
    JSON_DEPTH = 32,
    JSON_LONGEST = 63 /* characters of a number that is read; those that Python writes have 24 */
};

typedef struct {
    const char *at, *end;
    int failed;
    int lone_surrogates; /* whether a string may have the escape of one, as Python writes it */
} json;

/* A string between its quotes, with its escapes: they are valid. */
typedef struct {
    const char *at;
    size_t length;
} json_text;

static inline json json_of(const char *at, size_t size) {
    const json reader = {at, at + size, 0, 0};
    return reader;
}

/* The opening bracket of an object or an array. */
int crnn_json_open(json *reader, char bracket);

/* Whether another member follows, up to the closing bracket, which is read too. *count begins at 0.
 */
int crnn_json_more(json *reader, char bracket, size_t *count);

/* A member's name, and the colon. */
int crnn_json_key(json *reader, json_text *name);

int crnn_json_string(json *reader, json_text *text);

/* A whole number of at least 0, without a sign, fraction or exponent. */
int crnn_json_count(json *reader, ptrdiff_t *count);

/* A finite number of at most JSON_LONGEST characters, rounded correctly, whatever the locale. */
int crnn_json_number(json *reader, double *number);

/* null, if that is what follows. */
int crnn_json_null(json *reader);

/* The first character of the next value, or 0. */
char crnn_json_peek(json *reader);

/* Any value. As Python's json module writes them, numbers may be NaN, Infinity and -Infinity. */
int crnn_json_skip(json *reader);

/* Whether nothing but white space is left. */
int crnn_json_done(json *reader);

/* Whether a string without escapes is this one. */
int crnn_json_is(json_text text, const char *word);

/* Write a string without its escapes, in UTF-8: at most `length` bytes. Returns how many. A lone
 * surrogate becomes U+FFFD. */
size_t crnn_json_unescape(json_text text, char *to);

#endif
