/* The part of XLA's foreign function interface (FFI) that crnn uses.
 *
 * The interface is a versioned C ABI. Its records begin with their size and may only grow at their
 * end; any other change raises the major version. Its header, xla/ffi/api/c_api.h, comes with
 * jaxlib and is not available when crnn is built. Declared here are only the beginnings of the
 * records, as far as crnn uses them; they have been the same since version 0.1. A test compares
 * every size and offset with the header of the installed jaxlib.
 */
#ifndef CRNN_XLA_ABI_H
#define CRNN_XLA_ABI_H

#include <stddef.h>
#include <stdint.h>

enum { XLA_MAJOR = 0, XLA_LEAST_MINOR = 1, XLA_METADATA = 1, XLA_BUFFER = 1, XLA_SCALAR = 3 };
enum { XLA_S32 = 4, XLA_S64 = 5, XLA_F32 = 11, XLA_F64 = 12 };
enum { XLA_INVALID_ARGUMENT = 3, XLA_RESOURCE_EXHAUSTED = 8, XLA_UNIMPLEMENTED = 12 };

typedef struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
} xla_extension;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int major, minor;
} xla_version;

typedef struct xla_error xla_error; /* made by XLA, and returned to it */

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    const char *message;
    int code;
} xla_new_error;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    xla_version version;
    const void *internal;
    xla_error *(*create_error)(xla_new_error *);
    /* more functions, none of them called */
} xla_api;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims; /* (rank) */
} xla_buffer;

/* The arguments of a call; its results have the same form. */
typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int64_t size;
    int *types;    /* (size) */
    void **values; /* (size): an xla_buffer each */
} xla_list;

typedef struct {
    const char *text;
    size_t length;
} xla_text;

typedef struct {
    int dtype;
    void *value;
} xla_scalar;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    int64_t size;
    int *types;       /* (size) */
    xla_text **names; /* (size) */
    void **values;    /* (size): an xla_scalar, or something else, each */
} xla_attributes;

typedef struct {
    size_t struct_size;
    xla_extension *extensions;
    const xla_api *api;
    void *context;
    int stage;
    xla_list arguments, results;
    xla_attributes attributes;
} xla_frame;

/* What XLA asks a handler when the handler is registered. */
typedef struct {
    size_t struct_size;
    xla_version version; /* of the interface that the handler was made for */
    uint32_t traits;
    /* more */
} xla_metadata;

typedef struct {
    xla_extension base;
    xla_metadata *metadata;
} xla_metadata_extension;

#endif
