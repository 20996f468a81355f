"""The record and the table of include/crnn.h, declared for ctypes.

ctypes calls the functions as C would: with the GIL released.
"""

import ctypes

from crnn import _c_api

(OK, NULL, VERSION, DTYPE, OPTION, SIZE, LENGTH, SYMBOL, ALIGNMENT, WORKSPACE, CELL,
 LEAK, OUT_OF_MEMORY, UNREADABLE, NOT_A_MODEL, UNSUPPORTED) = STATUSES = range(16)  # fmt: skip
INPUTS = ("x", "symbols", "Waa", "Wax", "ba", "a0", "lengths")
POINTERS = (*INPUTS, "a", "da", "dWaa", "dWax", "dba", "dx", "da0", "workspace")


class Call(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        *[(name, ctypes.c_int) for name in ("dtype", "activation", "reverse", "threads")],
        *[(name, ctypes.c_ssize_t) for name in ("T", "m", "n_x", "n_a")],
        *[(name, ctypes.c_void_p) for name in POINTERS],
        ("workspace_bytes", ctypes.c_size_t),
        ("da_n", ctypes.c_void_p),
        ("offsets", ctypes.c_void_p),
        ("cell", ctypes.c_int),
        ("equation", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("baa", "c0", "c_n", "kept", "dc_n", "dbaa", "dc0")),
        ("leak", ctypes.c_void_p),
        ("noise", ctypes.c_double),
        ("seed", ctypes.c_ulonglong),
        ("norms", ctypes.c_void_p),
    ]


FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Call))


class NewerCall(Call):
    """The record of a version to come."""

    _fields_ = [("more", ctypes.c_ssize_t)]


class Table(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("version", ctypes.c_int),
        (
            "rnn_workspace",
            ctypes.CFUNCTYPE(
                ctypes.c_int,
                ctypes.POINTER(Call),
                ctypes.c_int,
                ctypes.POINTER(ctypes.c_size_t),
            ),
        ),
        ("rnn_forward", FUNCTION),
        ("rnn_backward", FUNCTION),
        ("status_message", ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)),
        *(
            (f"{cell}_{direction}", FUNCTION)
            for cell in ("leaky", "gru", "lstm")
            for direction in ("forward", "backward")
        ),
    ]


def wrong_values(record):
    """Pairs of a field and a value that a record may not have there, one after the other."""
    for field, kind in record._fields_:
        before = getattr(record, field)
        if kind is ctypes.c_void_p:
            wrong = [None, (before or 64) + 1]
        elif field == "struct_size":
            wrong = [7]
        elif field == "workspace_bytes":
            wrong = [0]
        elif issubclass(kind, ctypes._Pointer):
            before, wrong = ctypes.cast(before, kind), [None]  # a copy of the record's own
        else:
            wrong = [-1]
        for value in wrong:
            setattr(record, field, value)
            yield field
            setattr(record, field, before)


def _table():
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return Table.from_address(pointer(_c_api.v1, b"crnn._c_api.v1"))


API = _table()
