#include "json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLACEMENT = 0xFFFD }; /* Unicode's character for what cannot be one */

static int fail(json *reader) {
    reader->failed = 1;
    return 0;
}

char crnn_json_peek(json *reader) {
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
    return reader->failed || reader->at == reader->end ? 0 : *reader->at;
}

static int expect(json *reader, char c) {
    if (crnn_json_peek(reader) != c)
        return fail(reader);
    reader->at++;
    return 1;
}

int crnn_json_open(json *reader, char bracket) { return expect(reader, bracket); }

int crnn_json_more(json *reader, char bracket, size_t *count) {
    const char close = bracket == '{' ? '}' : ']';
    const char next = crnn_json_peek(reader);
    if (next == close) {
        reader->at++;
        return 0;
    }
    if ((*count)++ > 0)
        return expect(reader, ',');
    return next != 0 ? 1 : fail(reader);
}

int crnn_json_key(json *reader, json_text *name) {
    return crnn_json_string(reader, name) && expect(reader, ':');
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The unit of UTF-16 in the four digits at p, or -1. */
static long unit_at(const char *p, const char *end) {
    long unit = 0;
    if (end - p < 4)
        return -1;
    for (int k = 0; k < 4; k++) {
        const int digit = hex_digit(p[k]);
        if (digit < 0)
            return -1;
        unit = 16 * unit + digit;
    }
    return unit;
}

/* The character of an escape, at p behind the backslash; *p becomes what follows it. -1 if it is
 * none. A surrogate without the other is `lone`. */
static long escaped(const char **p, const char *end, long lone) {
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (*p == end)
        return -1;
    const char c = *(*p)++;
    const char *letter = c == 0 ? NULL : strchr(letters, c);
    if (letter != NULL)
        return meant[letter - letters];
    const long unit = c == 'u' ? unit_at(*p, end) : -1;
    if (unit < 0)
        return -1;
    *p += 4;
    if (unit < 0xD800 || unit > 0xDFFF)
        return unit;
    if (unit > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return lone;
    const long low = unit_at(*p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return lone;
    *p += 6;
    return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
}

int crnn_json_string(json *reader, json_text *text) {
    const long lone = reader->lone_surrogates ? REPLACEMENT : -1;
    if (!expect(reader, '"'))
        return 0;
    text->at = reader->at;
    while (reader->at < reader->end && *reader->at != '"') {
        const char c = *reader->at++;
        if ((unsigned char)c < 0x20 || (c == '\\' && escaped(&reader->at, reader->end, lone) < 0))
            return fail(reader);
    }
    if (reader->at == reader->end)
        return fail(reader);
    text->length = (size_t)(reader->at++ - text->at);
    return 1;
}

static char *put_utf8(char *to, long c) {
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3; /* bytes that follow the first */
    static const int first[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(first[more] | c >> 6 * more);
    for (int k = more - 1; k >= 0; k--)
        *to++ = (char)(0x80 | (c >> 6 * k & 0x3F));
    return to;
}

size_t crnn_json_unescape(json_text text, char *to) {
    const char *at = text.at, *end = text.at + text.length;
    char *next = to;
    while (at < end) {
        const char c = *at++;
        if (c == '\\')
            next = put_utf8(next, escaped(&at, end, REPLACEMENT));
        else
            *next++ = c;
    }
    return (size_t)(next - to);
}

static const char *skip_digits(const char *p, const char *end) {
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* The end of the number at p, as JSON writes numbers, or NULL. */
static const char *end_of_number(const char *p, const char *end) {
    p += p < end && *p == '-';
    const char *digits = p;
    p = skip_digits(p, end);
    if (p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        digits = ++p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '-' || *p == '+');
        digits = p;
        p = skip_digits(p, end);
        if (p == digits)
            return NULL;
    }
    return p;
}

int crnn_json_count(json *reader, ptrdiff_t *count) {
    crnn_json_peek(reader);
    const char *end = reader->failed ? NULL : end_of_number(reader->at, reader->end);
    *count = 0;
    if (end == NULL)
        return fail(reader);
    for (; reader->at < end; reader->at++) {
        const int digit = *reader->at - '0'; /* of '-', '.' and 'e' it is none */
        if (digit < 0 || digit > 9 || *count > (PTRDIFF_MAX - digit) / 10)
            return fail(reader);
        *count = 10 * *count + digit;
    }
    return 1;
}

/* The exponent at p, behind the 'e', or 0 if the number has none: beyond +-9999 that is enough. */
static int exponent_of(const char *p, const char *end) {
    int exponent = 0;
    const int negative = p < end && *p == '-';
    for (p += p < end && (*p == '-' || *p == '+'); p < end; p++)
        exponent = exponent < 1000 ? 10 * exponent + (*p - '0') : 9999;
    return negative ? -exponent : exponent;
}

/* strtod gets "25e-2" for 0.25. With a point it would read what the program's locale writes, and
 * another thread may change that meanwhile. */
int crnn_json_number(json *reader, double *number) {
    char digits[JSON_LONGEST + 16]; /* with an exponent and its sign */
    crnn_json_peek(reader);
    const char *p = reader->at, *end = reader->failed ? NULL : end_of_number(p, reader->end);
    *number = 0;
    if (end == NULL || end - p > JSON_LONGEST)
        return fail(reader);
    size_t length = 0;
    int behind_point = 0, decimals = 0;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            behind_point = 1;
            continue;
        }
        digits[length++] = *p;
        decimals += behind_point;
    }
    snprintf(digits + length, sizeof digits - length, "e%d",
             exponent_of(p + (p < end), end) - decimals);
    char *last;
    *number = strtod(digits, &last);
    reader->at = end;
    return *last == 0 && isfinite(*number) ? 1 : fail(reader);
}

static int word(json *reader, const char *expected) {
    const size_t length = strlen(expected);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, expected, length) != 0)
        return 0;
    reader->at += length;
    return 1;
}

int crnn_json_null(json *reader) { return crnn_json_peek(reader) == 'n' && word(reader, "null"); }

static int skip(json *reader, int depth) {
    const char next = crnn_json_peek(reader);
    json_text text;
    size_t count = 0;
    if (next == '"')
        return crnn_json_string(reader, &text);
    if (next == '{' || next == '[') {
        if (depth == JSON_DEPTH)
            return fail(reader);
        for (crnn_json_open(reader, next); crnn_json_more(reader, next, &count);)
            if ((next == '{' && !crnn_json_key(reader, &text)) || !skip(reader, depth + 1))
                return 0;
        return !reader->failed;
    }
    static const char *const words[] = {"null", "true", "false", "NaN", "Infinity", "-Infinity"};
    for (size_t k = 0; next != 0 && k < sizeof words / sizeof *words; k++)
        if (word(reader, words[k]))
            return 1;
    const char *end = next == 0 ? NULL : end_of_number(reader->at, reader->end);
    if (end == NULL)
        return fail(reader);
    reader->at = end;
    return 1;
}

int crnn_json_skip(json *reader) { return skip(reader, 0); }

int crnn_json_done(json *reader) {
    return crnn_json_peek(reader) == 0 && !reader->failed && reader->at == reader->end;
}

int crnn_json_is(json_text text, const char *expected) {
    return text.length == strlen(expected) && memcmp(text.at, expected, text.length) == 0;
}
