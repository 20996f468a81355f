/* Compare crnn's declarations of XLA's FFI with XLA's own header, and check what the handlers
 * answer to a version of it that they do not know. Built with csrc/xla/handler.c. */
#include "xla/ffi/api/c_api.h"

#include "xla/handler.h"

#include <stdio.h>
#include <string.h>

#define SAME(ours, field, theirs, their_field)                                                     \
    _Static_assert(offsetof(ours, field) == offsetof(theirs, their_field) &&                       \
                       sizeof((ours){0}.field) == sizeof((theirs){0}.their_field),                 \
                   #ours "." #field)
#define VALUE(ours, theirs) _Static_assert((int)ours == (int)theirs, #ours)

SAME(xla_extension, struct_size, XLA_FFI_Extension_Base, struct_size);
SAME(xla_extension, type, XLA_FFI_Extension_Base, type);
SAME(xla_extension, next, XLA_FFI_Extension_Base, next);
SAME(xla_version, struct_size, XLA_FFI_Api_Version, struct_size);
SAME(xla_version, extensions, XLA_FFI_Api_Version, extension_start);
SAME(xla_version, major, XLA_FFI_Api_Version, major_version);
SAME(xla_version, minor, XLA_FFI_Api_Version, minor_version);
SAME(xla_new_error, struct_size, XLA_FFI_Error_Create_Args, struct_size);
SAME(xla_new_error, extensions, XLA_FFI_Error_Create_Args, extension_start);
SAME(xla_new_error, message, XLA_FFI_Error_Create_Args, message);
SAME(xla_new_error, code, XLA_FFI_Error_Create_Args, errc);
SAME(xla_api, struct_size, XLA_FFI_Api, struct_size);
SAME(xla_api, extensions, XLA_FFI_Api, extension_start);
SAME(xla_api, version, XLA_FFI_Api, api_version);
SAME(xla_api, internal, XLA_FFI_Api, internal_api);
SAME(xla_api, create_error, XLA_FFI_Api, XLA_FFI_Error_Create);
SAME(xla_buffer, struct_size, XLA_FFI_Buffer, struct_size);
SAME(xla_buffer, extensions, XLA_FFI_Buffer, extension_start);
SAME(xla_buffer, dtype, XLA_FFI_Buffer, dtype);
SAME(xla_buffer, data, XLA_FFI_Buffer, data);
SAME(xla_buffer, rank, XLA_FFI_Buffer, rank);
SAME(xla_buffer, dims, XLA_FFI_Buffer, dims);
SAME(xla_list, struct_size, XLA_FFI_Args, struct_size);
SAME(xla_list, extensions, XLA_FFI_Args, extension_start);
SAME(xla_list, size, XLA_FFI_Args, size);
SAME(xla_list, types, XLA_FFI_Args, types);
SAME(xla_list, values, XLA_FFI_Args, args);
SAME(xla_list, struct_size, XLA_FFI_Rets, struct_size);
SAME(xla_list, extensions, XLA_FFI_Rets, extension_start);
SAME(xla_list, size, XLA_FFI_Rets, size);
SAME(xla_list, types, XLA_FFI_Rets, types);
SAME(xla_list, values, XLA_FFI_Rets, rets);
SAME(xla_text, text, XLA_FFI_ByteSpan, ptr);
SAME(xla_text, length, XLA_FFI_ByteSpan, len);
SAME(xla_scalar, dtype, XLA_FFI_Scalar, dtype);
SAME(xla_scalar, value, XLA_FFI_Scalar, value);
SAME(xla_attributes, struct_size, XLA_FFI_Attrs, struct_size);
SAME(xla_attributes, extensions, XLA_FFI_Attrs, extension_start);
SAME(xla_attributes, size, XLA_FFI_Attrs, size);
SAME(xla_attributes, types, XLA_FFI_Attrs, types);
SAME(xla_attributes, names, XLA_FFI_Attrs, names);
SAME(xla_attributes, values, XLA_FFI_Attrs, attrs);
SAME(xla_frame, struct_size, XLA_FFI_CallFrame, struct_size);
SAME(xla_frame, extensions, XLA_FFI_CallFrame, extension_start);
SAME(xla_frame, api, XLA_FFI_CallFrame, api);
SAME(xla_frame, context, XLA_FFI_CallFrame, ctx);
SAME(xla_frame, stage, XLA_FFI_CallFrame, stage);
SAME(xla_frame, arguments, XLA_FFI_CallFrame, args);
SAME(xla_frame, results, XLA_FFI_CallFrame, rets);
SAME(xla_frame, attributes, XLA_FFI_CallFrame, attrs);
SAME(xla_metadata, struct_size, XLA_FFI_Metadata, struct_size);
SAME(xla_metadata, version, XLA_FFI_Metadata, api_version);
SAME(xla_metadata, traits, XLA_FFI_Metadata, traits);
SAME(xla_metadata_extension, base, XLA_FFI_Metadata_Extension, extension_base);
SAME(xla_metadata_extension, metadata, XLA_FFI_Metadata_Extension, metadata);

VALUE(XLA_MAJOR, XLA_FFI_API_MAJOR);
VALUE(XLA_METADATA, XLA_FFI_Extension_Metadata);
VALUE(XLA_BUFFER, XLA_FFI_ArgType_BUFFER);
VALUE(XLA_BUFFER, XLA_FFI_RetType_BUFFER);
VALUE(XLA_SCALAR, XLA_FFI_AttrType_SCALAR);
VALUE(XLA_S32, XLA_FFI_DataType_S32);
VALUE(XLA_S64, XLA_FFI_DataType_S64);
VALUE(XLA_F32, XLA_FFI_DataType_F32);
VALUE(XLA_F64, XLA_FFI_DataType_F64);
VALUE(XLA_INVALID_ARGUMENT, XLA_FFI_Error_Code_INVALID_ARGUMENT);
VALUE(XLA_RESOURCE_EXHAUSTED, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
VALUE(XLA_UNIMPLEMENTED, XLA_FFI_Error_Code_UNIMPLEMENTED);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("line %d: " #what "\n", __LINE__);                                              \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static int failures, code;
static char said[200];

static xla_error *create_error(xla_new_error *error) {
    code = error->code;
    strncpy(said, error->message, sizeof said - 1);
    return (xla_error *)said;
}

static xla_api api = {sizeof api, NULL, {sizeof(xla_version), NULL, 0, 7}, NULL, create_error};

/* A frame without arguments, as XLA passes it in the version of this header. */
static xla_frame frame(void) {
    xla_frame made = {.struct_size = XLA_FFI_CallFrame_STRUCT_SIZE, .api = &api, .stage = 3};
    made.arguments.struct_size = XLA_FFI_Args_STRUCT_SIZE;
    made.results.struct_size = XLA_FFI_Rets_STRUCT_SIZE;
    made.attributes.struct_size = XLA_FFI_Attrs_STRUCT_SIZE;
    return made;
}

/* The minor version that a handler says it was made for. */
static int minor_version(xla_frame asked, xla_error *(*handler)(xla_frame *)) {
    xla_metadata metadata = {.struct_size = XLA_FFI_Metadata_STRUCT_SIZE, .version = {.major = -1}};
    xla_metadata_extension extension = {
        {XLA_FFI_Metadata_Extension_STRUCT_SIZE, XLA_METADATA, NULL}, &metadata};
    asked.extensions = &extension.base;
    CHECK(handler(&asked) == NULL);
    CHECK(metadata.version.major == 0 && metadata.traits == 0);
    return metadata.version.minor;
}

static void check_handler(xla_error *(*handler)(xla_frame *)) {
    size_t *sizes[5];
    xla_frame whole = frame(), other = frame();

    CHECK(minor_version(whole, handler) == 7);
    other.api = NULL; /* as XLA 0.1 asks */
    CHECK(minor_version(other, handler) == 1);

    CHECK(handler(&whole) != NULL && code == XLA_INVALID_ARGUMENT);
    CHECK(strstr(said, "operand 0 is absent") != NULL);

    other = frame();
    sizes[0] = &other.struct_size, sizes[1] = &other.arguments.struct_size;
    sizes[2] = &other.results.struct_size, sizes[3] = &other.attributes.struct_size;
    sizes[4] = &api.struct_size;
    for (int k = 0; k < 5; k++) {
        const size_t before = *sizes[k];
        *sizes[k] = before - 8;
        CHECK(minor_version(other, handler) == 1);
        if (k < 4) /* without a function that creates errors there can be no answer */
            CHECK(handler(&other) != NULL && code == XLA_UNIMPLEMENTED);
        *sizes[k] = before;
    }
    api.version.major = 1;
    CHECK(minor_version(whole, handler) == 1);
    CHECK(handler(&whole) != NULL && code == XLA_UNIMPLEMENTED);
    api.version.major = 0;
}

int main(void) {
    check_handler(crnn_xla_rnn_forward);
    check_handler(crnn_xla_rnn_backward);
    check_handler(crnn_xla_gru_forward);
    check_handler(crnn_xla_gru_backward);
    check_handler(crnn_xla_lstm_forward);
    check_handler(crnn_xla_lstm_backward);
    return failures > 0;
}
