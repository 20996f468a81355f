"""Memory that is kept from call to call, since fresh memory costs page faults."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from crnn.reference import Array

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
#: Bytes that a thread keeps at most; a larger workspace is given back after its call.
MOST_KEPT = 1 << 26


class _Kept(threading.local):
    buffer: Array | None = None


_kept = _Kept()


def aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """An array (size,) that begins at a multiple of 64 bytes; its numbers are anything."""
    try:
        raw = np.empty(size + ALIGNMENT // dtype.itemsize, dtype)
    except ValueError:  # more than NumPy can count
        raise MemoryError(f"there is no room for {size} numbers of {dtype}") from None
    skip = -raw.ctypes.data % ALIGNMENT // dtype.itemsize
    return raw[skip : skip + size]


def scratch(nbytes: int) -> Array:
    """At least so many bytes from a 64-byte boundary, whatever they are; until this thread's next.

    A page fault every 4 KiB is more than the work, for a short sequence.
    """
    kept = _kept.buffer
    if kept is None or kept.nbytes < nbytes:
        kept = aligned(nbytes, np.dtype(np.uint8))
        if nbytes <= MOST_KEPT:
            _kept.buffer = kept
    return kept
