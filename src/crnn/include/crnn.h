/* The C interface of crnn: the recurrence and its gradients, for any caller in the same process.
 *
 *     a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)                 vanilla: crnn_rnn_*
 *
 * or the leaky cell, the GRU or the LSTM, whose equations are in docs/cells.md.
 *
 * A record holds the arguments of a call; the functions check it, run it and return a status. They
 * do not use Python: they may be called with or without the GIL, and from several threads at a
 * time. No function keeps a pointer, allocates memory or raises an exception.
 *
 * From Cython:  cimport crnn           (then call the functions below by their names)
 * From C:       #include <Python.h>
 *               #include <crnn.h>      (then crnn_import() returns a table of the functions)
 * In Python, `crnn.get_include()` is the folder of this file.
 *
 * Arrays are C-contiguous, aligned to the size of their numbers, and shaped as in the package: T
 * steps, m examples, n_x inputs, n_a units. All floating-point arrays of a call have one dtype.
 */
#ifndef CRNN_H
#define CRNN_H

#include <stddef.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks the functions that libcrnn exports. */
#if defined(__GNUC__) && !defined(_WIN32)
#define CRNN_API __attribute__((visibility("default")))
#else
#define CRNN_API
#endif

/* The version of the package that this file came with. */
#define CRNN_VERSION "0.1.0"

/* Changes only if programs compiled with this file would no longer work. Until then the record
 * and the table of functions may get new fields at their ends; struct_size says how many there are.
 */
#define CRNN_C_API_VERSION 1

/* The name of the capsule that holds the table, for PyCapsule_Import. */
#define CRNN_C_API_CAPSULE "crnn._c_api.v1"

enum crnn_dtype { CRNN_FLOAT32 = 1, CRNN_FLOAT64 = 2 };

enum crnn_activation { CRNN_TANH = 0, CRNN_RELU = 1 };

enum crnn_cell { CRNN_VANILLA = 0, CRNN_LEAKY = 1, CRNN_GRU = 2, CRNN_LSTM = 3 };

/* The leaky cell's state: a, after the activation, or v, before it. */
enum crnn_equation { CRNN_RATE = 0, CRNN_CURRENT = 1 };

/* What a function returns: CRNN_OK, or the first error that was found. Everything is checked before
 * anything is written, so after an error no output has changed. crnn_status_message names the
 * fields and arguments that a status can be about. */
enum crnn_status {
    CRNN_OK = 0,
    CRNN_NULL_POINTER = 1,        /* a required array or record is NULL */
    CRNN_VERSION_MISMATCH = 2,    /* struct_size is not that of any version of the record, or a
                                     field is set that the running version does not know */
    CRNN_UNSUPPORTED_DTYPE = 3,   /* dtype is none of enum crnn_dtype */
    CRNN_UNSUPPORTED_OPTION = 4,  /* activation, equation, reverse or threads; x and symbols both;
                                     dx of symbols; a stepper's link, or its n_y, which must be
                                     even with CRNN_DEVIATION; kernels that this CPU has not */
    CRNN_SIZE_OUT_OF_RANGE = 5,   /* T, m, n_x, n_a or n_y below 1; one of them but T above
                                     2^31 - 1; num_layers not in 1..10000; more numbers than can
                                     be addressed; a stepper's row, or the bytes of its state */
    CRNN_LENGTH_OUT_OF_RANGE = 6, /* one of lengths is not in 1..T, or offsets do not fit them */
    CRNN_SYMBOL_OUT_OF_RANGE = 7, /* one of symbols, within its example's length, is not in
                                     0..n_x-1 */
    CRNN_MISALIGNED = 8,          /* an array does not begin at a multiple of its numbers' size */
    CRNN_WORKSPACE_TOO_SMALL = 9, /* workspace_bytes is less than crnn_rnn_workspace says */
    CRNN_WRONG_CELL = 10,         /* cell is not that of the function, or a field that only another
                                     cell has is set */
    CRNN_LEAK_OUT_OF_RANGE = 11,  /* one of leak is not in (0, 1], or noise is negative or not
                                     finite in dtype */
    CRNN_OUT_OF_MEMORY = 12,
    CRNN_FILE_UNREADABLE = 13,  /* the file cannot be opened or read, or is not a regular file */
    CRNN_NOT_A_MODEL = 14,      /* the bytes are not a model of crnn's, or damaged: whatever in them
                                   does not fit, its leaks too */
    CRNN_UNSUPPORTED_MODEL = 15 /* the model cannot be run step by step, or needs a newer crnn */
};

/* One call of the recurrence. Begin with crnn_rnn_new(), then set what the call has. Later versions
 * may add fields at the end; a program that was compiled with an older or newer version of this
 * file still works, as long as it sets no field that the running version does not know.
 *
 * The caller owns every array. What is const is only read; outputs are written in full. An output
 * may overlap no other array of the call. */
typedef struct crnn_rnn_call {
    size_t struct_size; /* set by crnn_rnn_new */
    int dtype;          /* enum crnn_dtype: of every void array */
    int activation;     /* enum crnn_activation */
    int reverse;        /* 0, or 1: each example's valid steps are read from the last to the first;
                           a<t> stays at its own t */
    int threads;        /* use at most this many; 0 means crnn.get_num_threads(), and in libcrnn
                           what crnn_set_num_threads was given */
    ptrdiff_t T, m, n_x, n_a;

    const void *x;            /* (T, m, n_x), or NULL if there are symbols */
    const ptrdiff_t *symbols; /* (T, m), or NULL: integers in 0..n_x-1, for one-hot rows */
    const void *Waa;          /* (n_a, n_a) */
    const void *Wax;          /* (n_a, n_x) */
    const void *ba;           /* (n_a); NULL means zeros. Forward only */
    const void *a0;           /* (m, n_a): the state before the first step; NULL means zeros */
    const ptrdiff_t *lengths; /* (m): the number of steps of each example, in 1..T; NULL means that
                                 all have T. Past an example's length x, symbols and da are not
                                 read, and a and dx are exactly 0 */
    void *a;                  /* (T, m, n_a): written by forward; backward reads what forward
                                 wrote */

    /* backward only */
    const void *da; /* (T, m, n_a): dL/da<t>, without what comes back through later steps */
    void *dWaa;     /* (n_a, n_a) */
    void *dWax;     /* (n_a, n_x) */
    void *dba;      /* (n_a); NULL if not wanted */
    void *dx;       /* (T, m, n_x); NULL if not wanted, and with symbols */
    void *da0;      /* (m, n_a); NULL if not wanted */

    /* Scratch memory, at any address and with any content. Calls that run at the same time need one
     * each. */
    void *workspace;
    size_t workspace_bytes;

    /* backward only */
    const void *da_n; /* (m, n_a), or NULL: dL/da of the last step that each example reads, added
                         to da there. If it is given, da may be NULL, which means zeros */

    /* Packed arrays have no padding: x, symbols, a, da and dx have one row for each valid step, and
     * step t of the examples that are longer than t is in rows offsets[t], offsets[t] + 1, ... The
     * lengths must not increase from one example to the next, and the first must be T. */
    const ptrdiff_t *offsets; /* (T): the number of valid steps before t; NULL if not packed */

    /* For cells other than the vanilla cell, which leaves what follows at 0 and NULL. A field that
     * names its cell must be 0 or NULL for the others.
     *
     * Waa, Wax, ba and their gradients have n_a rows for each gate: r, z, n for a GRU, i, f, g, o
     * for an LSTM. */
    int cell;         /* enum crnn_cell: that of the function which is called */
    int equation;     /* leaky: enum crnn_equation */
    const void *baa;  /* GRU: (n_a), the bias inside r (Waa_n a' + baa); NULL means zeros. Forward
                         only */
    const void *c0;   /* LSTM: (m, n_a), the cell before the first step; NULL means zeros */
    void *c_n;        /* LSTM: (m, n_a), the cell after each example's last step; or NULL */
    void *kept;       /* not vanilla: what backward needs besides a, in an order of crnn's own.
                         Forward writes it unless it is NULL, backward reads it. 1 (leaky), 4 (GRU)
                         or 5 (LSTM) times n_a numbers for each valid step of each example */
    const void *dc_n; /* LSTM: (m, n_a), or NULL: dL/dc_n. If it is given, da may be NULL */
    void *dbaa;       /* GRU: (n_a); NULL if not wanted */
    void *dc0;        /* LSTM: (m, n_a); NULL if not wanted */
    const void *leak; /* leaky: (n_a), each in (0, 1] */
    double noise;     /* leaky: the factor of the normal numbers that are added to z */
    unsigned long long seed; /* of those numbers */

    /* backward only, for any cell: (T, m), or with offsets one for each row, or NULL. The Euclidean
     * norm of the gradient with respect to each a<t>, with what comes back through later steps; 0
     * past an example's length. For the equation "current" it is that of v<t>. */
    double *norms;
} crnn_rnn_call;

/* A record in which only struct_size is set: sizes are 0, pointers NULL, tanh, left to right. */
static inline crnn_rnn_call crnn_rnn_new(void) {
    crnn_rnn_call call;
    memset(&call, 0, sizeof call);
    call.struct_size = sizeof call;
    return call;
}

/* The functions. Several threads may call them at the same time, each with a record of its own. A
 * call may give parts of its work to crnn's worker threads; if another call is using those, it does
 * all the work itself. Results are the same bits at any number of threads (over BLAS, they are what
 * the BLAS computes). Denormals are flushed to zero during the work; when a call returns, the
 * calling thread's own setting is restored.
 *
 * rnn_workspace: sets *bytes to the size of the workspace that rnn_forward (backward 0) or
 * rnn_backward (backward 1), or the functions of another cell, need for a call with this dtype,
 * cell and these sizes; no other field of the record is read. The result does not change while the
 * process runs, unless crnn_select_kernels chooses other kernels.
 *
 * rnn_forward: fills a.
 *
 * rnn_backward: fills dWaa, dWax and those of dba, dx and da0 that are not NULL, with the gradients
 * of a loss L. Inputs are those of the forward call, the a that it wrote, and da: dL/da<t> as if no
 * step came after t.
 *
 * leaky_forward, leaky_backward, gru_forward, gru_backward, lstm_forward, lstm_backward: the same
 * for the other cells. Forward also fills c_n and kept, if they are not NULL. Backward reads kept,
 * and also fills those of dbaa and dc0 that are not NULL.
 *
 * status_message: a status in words, as a static ASCII string; never NULL. */
typedef struct crnn_c_api {
    size_t struct_size;
    int version; /* CRNN_C_API_VERSION */
    int (*rnn_workspace)(const crnn_rnn_call *call, int backward, size_t *bytes);
    int (*rnn_forward)(const crnn_rnn_call *call);
    int (*rnn_backward)(const crnn_rnn_call *call);
    const char *(*status_message)(int status);
    int (*leaky_forward)(const crnn_rnn_call *call);
    int (*leaky_backward)(const crnn_rnn_call *call);
    int (*gru_forward)(const crnn_rnn_call *call);
    int (*gru_backward)(const crnn_rnn_call *call);
    int (*lstm_forward)(const crnn_rnn_call *call);
    int (*lstm_backward)(const crnn_rnn_call *call);
} crnn_c_api;

/* The same functions for programs that link with libcrnn, where there is no Python: see
 * docs/embed.md. */
CRNN_API int crnn_rnn_workspace(const crnn_rnn_call *call, int backward, size_t *bytes);
CRNN_API int crnn_rnn_forward(const crnn_rnn_call *call);
CRNN_API int crnn_rnn_backward(const crnn_rnn_call *call);
CRNN_API int crnn_leaky_forward(const crnn_rnn_call *call);
CRNN_API int crnn_leaky_backward(const crnn_rnn_call *call);
CRNN_API int crnn_gru_forward(const crnn_rnn_call *call);
CRNN_API int crnn_gru_backward(const crnn_rnn_call *call);
CRNN_API int crnn_lstm_forward(const crnn_rnn_call *call);
CRNN_API int crnn_lstm_backward(const crnn_rnn_call *call);
CRNN_API const char *crnn_status_message(int status);

/* Settings of libcrnn, for all later calls. The threads that a call may take: 1, unless set
 * otherwise. The kernels, by name ("avx512", "avx2", "neon", "portable"), or with NULL the best for
 * this CPU, as at the beginning. Otherwise the status is CRNN_UNSUPPORTED_OPTION. */
CRNN_API int crnn_set_num_threads(int n);
CRNN_API int crnn_select_kernels(const char *name);
CRNN_API const char *crnn_kernels_name(void);

/* CRNN_VERSION of the library that is running. */
CRNN_API const char *crnn_version(void);

#ifdef Py_PYTHON_H
/* Returns the table of functions, which stays valid until the process ends, or NULL with an
 * exception set. Needs the GIL. */
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
