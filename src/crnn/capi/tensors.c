#include "tensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crnn.h"

/* Bytes of a number of each dtype of the format. */
static const struct {
    const char *name;
    int size, dtype;
} dtypes[] = {
    {"F32", 4, TENSOR_F32},    {"F64", 8, TENSOR_F64},   {"BOOL", 1, TENSOR_BOOL},
    {"I8", 1, TENSOR_I8},      {"U8", 1, TENSOR_OTHER},  {"F16", 2, TENSOR_OTHER},
    {"BF16", 2, TENSOR_OTHER}, {"I16", 2, TENSOR_OTHER}, {"U16", 2, TENSOR_OTHER},
    {"I32", 4, TENSOR_OTHER},  {"U32", 4, TENSOR_OTHER}, {"I64", 8, TENSOR_OTHER},
    {"U64", 8, TENSOR_OTHER},
};

static size_t read_dtype(json *header, tensor *t) {
    json_text name;
    if (crnn_json_string(header, &name))
        for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++)
            if (crnn_json_is(name, dtypes[k].name)) {
                t->dtype = dtypes[k].dtype;
                return (size_t)dtypes[k].size;
            }
    header->failed = 1;
    return 0;
}

/* The product of the dimensions; the reader fails where it cannot be addressed. */
static size_t read_shape(json *header, tensor *t) {
    size_t count = 0, numbers = 1;
    ptrdiff_t n;
    crnn_json_open(header, '[');
    while (crnn_json_more(header, '[', &count) && crnn_json_count(header, &n)) {
        if (n > 0 && numbers > PTRDIFF_MAX / (size_t)n) {
            header->failed = 1;
            return 0;
        }
        numbers *= (size_t)n;
        if (count <= 2)
            t->shape[count - 1] = n;
    }
    t->dimensions = count;
    return numbers;
}

static void read_offsets(json *header, tensor *t) {
    ptrdiff_t offsets[2] = {0, 0};
    size_t count = 0;
    crnn_json_open(header, '[');
    while (crnn_json_more(header, '[', &count) && count <= 2)
        crnn_json_count(header, &offsets[count - 1]);
    if (count != 2 || offsets[0] > offsets[1])
        header->failed = 1;
    t->begin = (size_t)offsets[0];
    t->end = (size_t)offsets[1];
}

/* One tensor: each of its three fields once, and offsets that fit its shape. */
static int read_tensor(json *header, tensor *t) {
    size_t count = 0, bytes = 0, numbers = 0;
    int dtype = 0, shape = 0, offsets = 0;
    json_text key;
    t->shape[0] = t->shape[1] = 1;
    crnn_json_open(header, '{');
    while (crnn_json_more(header, '{', &count) && crnn_json_key(header, &key)) {
        if (crnn_json_is(key, "dtype") && !dtype++)
            bytes = read_dtype(header, t);
        else if (crnn_json_is(key, "shape") && !shape++)
            numbers = read_shape(header, t);
        else if (crnn_json_is(key, "data_offsets") && !offsets++)
            read_offsets(header, t);
        else
            header->failed = 1;
    }
    if (!dtype || !shape || !offsets || header->failed || numbers > PTRDIFF_MAX / bytes ||
        t->end - t->begin != numbers * bytes)
        header->failed = 1;
    return !header->failed;
}

static int read_metadata(json *header, tensors *found) {
    size_t count = 0;
    json_text key, value;
    crnn_json_open(header, '{');
    while (crnn_json_more(header, '{', &count) && crnn_json_key(header, &key) &&
           crnn_json_string(header, &value))
        if (crnn_json_is(key, "crnn")) {
            if (found->metadata.at != NULL)
                header->failed = 1;
            found->metadata = value;
        }
    return !header->failed;
}

/* Read all members of the header. Without `all` they are counted only. */
static int read_members(json *header, tensors *found) {
    size_t count = 0;
    int metadata = 0;
    json_text key;
    found->count = 0;
    crnn_json_open(header, '{');
    while (crnn_json_more(header, '{', &count) && crnn_json_key(header, &key)) {
        if (crnn_json_is(key, "__metadata__")) {
            if (metadata++ ||
                !(found->all == NULL ? crnn_json_skip(header) : read_metadata(header, found)))
                header->failed = 1;
            continue;
        }
        if (found->all == NULL)
            crnn_json_skip(header);
        else {
            found->all[found->count].name = key;
            read_tensor(header, &found->all[found->count]);
        }
        found->count += !header->failed;
    }
    return crnn_json_done(header);
}

static int compare_names(const void *a, const void *b) {
    const json_text *first = &((const tensor *)a)->name, *second = &((const tensor *)b)->name;
    const size_t shorter = first->length < second->length ? first->length : second->length;
    const int order = memcmp(first->at, second->at, shorter);
    return order != 0 ? order : (first->length > second->length) - (first->length < second->length);
}

static int compare_places(const void *a, const void *b) {
    const tensor *first = a, *second = b;
    if (first->begin != second->begin)
        return first->begin < second->begin ? -1 : 1;
    return (first->end > second->end) - (first->end < second->end);
}

/* Whether the tensors fill the data, and no two have one name. Leaves them in the order of names.
 */
static int fit(tensors *found) {
    size_t end = 0;
    qsort(found->all, found->count, sizeof *found->all, compare_places);
    for (size_t k = 0; k < found->count; k++) {
        if (found->all[k].begin != end)
            return 0;
        end = found->all[k].end;
    }
    qsort(found->all, found->count, sizeof *found->all, compare_names);
    for (size_t k = 1; k < found->count; k++)
        if (compare_names(&found->all[k - 1], &found->all[k]) == 0)
            return 0;
    return end == found->size;
}

/* The bytes of the character at p, or 0 if none is there that UTF-8 may have (RFC 3629). */
static ptrdiff_t utf8_character(const unsigned char *p, const unsigned char *end) {
    static const long least[] = {0, 0x80, 0x800, 0x10000}; /* none may be longer than it must */
    const ptrdiff_t more = *p < 0x80 ? 0 : *p < 0xC0 ? 4 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
    if (more == 0)
        return 1;
    if (more == 4 || *p > 0xF4 || end - p <= more)
        return 0;
    long c = *p & (0x3F >> more);
    for (ptrdiff_t k = 1; k <= more; k++) {
        if ((p[k] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[k] & 0x3F);
    }
    return c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : more + 1;
}

static int is_utf8(const char *text, size_t size) {
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    ptrdiff_t length = 1;
    while (p < end && length > 0)
        p += length = utf8_character(p, end);
    return length > 0;
}

int crnn_read_tensors(const void *bytes, size_t size, tensors *found) {
    const unsigned char *file = bytes;
    uint64_t length = 0;
    memset(found, 0, sizeof *found);
    for (int k = 7; size >= 8 && k >= 0; k--)
        length = length << 8 | file[k];
    if (size < 8 || length > size - 8)
        return CRNN_NOT_A_MODEL;
    const char *header = (const char *)file + 8;
    found->data = header + length;
    found->size = size - 8 - (size_t)length;
    json reader = json_of(header, (size_t)length);
    if (!is_utf8(header, (size_t)length) || !read_members(&reader, found) || found->count == 0)
        return CRNN_NOT_A_MODEL;
    found->all = calloc(found->count, sizeof *found->all);
    if (found->all == NULL)
        return CRNN_OUT_OF_MEMORY;
    reader = json_of(header, (size_t)length);
    if (read_members(&reader, found) && fit(found))
        return CRNN_OK;
    free(found->all);
    found->all = NULL;
    return CRNN_NOT_A_MODEL;
}

const tensor *crnn_find_tensor(const tensors *found, const char *name, size_t length) {
    tensor wanted;
    wanted.name.at = name;
    wanted.name.length = length;
    return found->count == 0
               ? NULL
               : bsearch(&wanted, found->all, found->count, sizeof *found->all, compare_names);
}
