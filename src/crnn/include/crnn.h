/* The C interface of crnn: the recurrence and its gradients, for any caller in the same process.
 *
 *     a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)
 *
 * One record holds a call's arguments; functions read it, check it and return a status. There is no
 * Python in any of them: they may be called with or without the GIL, and from several threads at a
 * time. No function keeps a pointer, allocates memory or raises.
 *
 * From Cython:  cimport crnn           (then every function below is there by its name)
 * From C:       #include <Python.h>
 *               #include <crnn.h>      (then crnn_import() gives a table of the functions)
 * `crnn.get_include()` in Python says where this file is.
 *
 * Arrays are C-contiguous, aligned as their numbers are, and shaped as in the package: T steps, m
 * examples, n_x inputs, n_a units. All real arrays of a call have one dtype.
 */
#ifndef CRNN_H
#define CRNN_H

#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes only where what is compiled against this file would no longer work. The table may grow at
 * its end meanwhile; its struct_size says how far it reaches. */
#define CRNN_C_API_VERSION 1

/* The table's capsule, for PyCapsule_Import. */
#define CRNN_C_API_CAPSULE "crnn._c_api.v1"

enum crnn_dtype { CRNN_FLOAT32 = 1, CRNN_FLOAT64 = 2 };

enum crnn_activation { CRNN_TANH = 0, CRNN_RELU = 1 };

/* What a function returns: CRNN_OK, or the first thing that does not fit. Everything is checked
 * before anything is written, so after any other status no output has changed. */
enum crnn_status {
    CRNN_OK = 0,
    CRNN_NULL_POINTER = 1,        /* an array or record that is needed is NULL */
    CRNN_VERSION_MISMATCH = 2,    /* struct_size is that of no crnn_rnn_call, or a field is set
                                     that the running version does not know */
    CRNN_UNSUPPORTED_DTYPE = 3,   /* dtype is none of enum crnn_dtype */
    CRNN_UNSUPPORTED_OPTION = 4,  /* activation, reverse or threads; x and symbols both; dx of
                                     symbols */
    CRNN_SIZE_OUT_OF_RANGE = 5,   /* T, m, n_x or n_a below 1; m, n_x or n_a above 2^31 - 1; or more
                                     numbers than can be addressed */
    CRNN_LENGTH_OUT_OF_RANGE = 6, /* one of lengths is not in 1..T, or offsets do not fit them */
    CRNN_SYMBOL_OUT_OF_RANGE = 7, /* one of symbols, within its example's length, is not in
                                     0..n_x-1 */
    CRNN_MISALIGNED = 8,          /* an array does not begin at a multiple of its numbers' size */
    CRNN_WORKSPACE_TOO_SMALL = 9  /* workspace_bytes is less than crnn_rnn_workspace says */
};

/* One call of the recurrence. Begin with crnn_rnn_new(), then set what the call has. Later versions
 * may add fields at the end; a program that was compiled with an older or newer version of this
 * file still works, as long as it sets no field that the running version does not know.
 *
 * The caller owns every array. What is const is only read; outputs are written in full. An output
 * may overlap no other array of the call. */
typedef struct crnn_rnn_call {
    size_t struct_size; /* set by crnn_rnn_new */
    int dtype;          /* enum crnn_dtype: of every array of void */
    int activation;     /* enum crnn_activation */
    int reverse;        /* 0, or 1: each example's valid steps are read from the last to the first;
                           a<t> stays at its own t */
    int threads;        /* use at most so many; 0: crnn.get_num_threads() */
    ptrdiff_t T, m, n_x, n_a;

    const void *x;            /* (T, m, n_x), or NULL and */
    const ptrdiff_t *symbols; /* (T, m): each in 0..n_x-1, standing for a one-hot row */
    const void *Waa;          /* (n_a, n_a) */
    const void *Wax;          /* (n_a, n_x) */
    const void *ba;           /* (n_a), or NULL: zeros. Forward only */
    const void *a0;           /* (m, n_a): the state before the first step, or NULL: zeros */
    const ptrdiff_t *lengths; /* (m): steps of each example, in 1..T; NULL: all have T. Past an
                                 example's length x, symbols and da are not read, and a and dx
                                 are exactly 0 */
    void *a;                  /* (T, m, n_a): forward writes it, backward only reads what forward
                                 wrote */

    /* backward only */
    const void *da; /* (T, m, n_a): dL/da<t> from above */
    void *dWaa;     /* (n_a, n_a) */
    void *dWax;     /* (n_a, n_x) */
    void *dba;      /* (n_a), or NULL: not wanted */
    void *dx;       /* (T, m, n_x), or NULL: not wanted; NULL for symbols */
    void *da0;      /* (m, n_a), or NULL: not wanted */

    /* Scratch memory of the call, at any address; what is in it before and after means nothing.
     * Calls that run at the same time need one each. */
    void *workspace;
    size_t workspace_bytes;

    /* backward only */
    const void *da_n; /* (m, n_a): dL/da of the last step that each example reads, added to da
                         there; or NULL. With it, da may be NULL: zeros */

    /* Packed arrays hold no padding: step t of the examples longer than t stands at the rows
     * offsets[t], offsets[t] + 1, ... of x, symbols, a, da and dx, which have as many rows as there
     * are valid steps. This needs lengths that never rise from one example to the next. */
    const ptrdiff_t *offsets; /* (T): how many valid steps come before t; or NULL: not packed */
} crnn_rnn_call;

/* A record with its struct_size and nothing else: sizes 0, pointers NULL, tanh, left to right. */
static inline crnn_rnn_call crnn_rnn_new(void) {
    crnn_rnn_call call;
    memset(&call, 0, sizeof call);
    call.struct_size = sizeof call;
    return call;
}

/* The functions. Each may be called from several threads at a time, on records of their own. A call
 * may hand parts of its work to crnn's own threads; where another call has those, it does all of it
 * itself. Results are the same bits at any number of threads (over BLAS: what the BLAS makes of
 * it). Denormals are flushed to zero during the work; the calling thread's own setting of that is
 * as before when a call returns.
 *
 * rnn_workspace: *bytes = the workspace that rnn_forward (backward 0) or rnn_backward (backward 1)
 * needs for a call of that dtype and these sizes; nothing else of the record is read. It is the
 * same for the life of the process.
 *
 * rnn_forward: fills a.
 *
 * rnn_backward: fills dWaa, dWax and those of dba, dx and da0 that are not NULL, for the call that
 * a came from: the gradients of a loss L whose dL/da<t> is da<t> where no step came after.
 *
 * status_message: a status in words, static and in ASCII; never NULL. */
typedef struct crnn_c_api {
    size_t struct_size;
    int version; /* CRNN_C_API_VERSION */
    int (*rnn_workspace)(const crnn_rnn_call *call, int backward, size_t *bytes);
    int (*rnn_forward)(const crnn_rnn_call *call);
    int (*rnn_backward)(const crnn_rnn_call *call);
    const char *(*status_message)(int status);
} crnn_c_api;

#ifdef Py_PYTHON_H
/* The table of this process's crnn, good until the process ends; or NULL with an ImportError set.
 * Needs the GIL. */
static inline const crnn_c_api *crnn_import(void) {
    const crnn_c_api *api = (const crnn_c_api *)PyCapsule_Import(CRNN_C_API_CAPSULE, 0);
    if (api == NULL)
        return NULL;
    if (api->version != CRNN_C_API_VERSION || api->struct_size < sizeof *api) {
        PyErr_SetString(PyExc_ImportError,
                        "crnn: the C API is of another version than what was compiled for");
        return NULL;
    }
    return api;
}
#endif

#ifdef __cplusplus
}
#endif

#endif
