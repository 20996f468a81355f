"""Scratch memory for one call, kept from call to call."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from crnn._arena import aligned
from crnn.reference import Array

#: Bytes that a thread keeps at most; a larger workspace is given back after its call.
MOST_KEPT = 1 << 26


class _Kept(threading.local):
    buffer: Array | None = None


_kept = _Kept()


def scratch(nbytes: int) -> Array:
    """At least so many bytes from a 64-byte boundary, whatever they are; until this thread's next.

    Fresh memory costs a page fault every 4 KiB, which for a short sequence is more than the work.
    """
    kept = _kept.buffer
    if kept is None or kept.nbytes < nbytes:
        kept = aligned(nbytes, np.dtype(np.uint8))
        if nbytes <= MOST_KEPT:
            _kept.buffer = kept
    return kept


def workspace(size: int, dtype: np.dtype[Any]) -> Array:
    """Numbers (size,) of such memory."""
    nbytes = size * dtype.itemsize
    return scratch(nbytes)[:nbytes].view(dtype)
