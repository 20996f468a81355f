"""Memory that is kept from call to call, since fresh memory costs page faults."""

from __future__ import annotations

import math
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

    A page fault every 4 KiB is more than the work, for a short sequence.
    """
    kept = _kept.buffer
    if kept is None or kept.nbytes < nbytes:
        kept = aligned(nbytes, np.dtype(np.uint8))
        if nbytes <= MOST_KEPT:
            _kept.buffer = kept
    return kept


class Buffers:
    """Arrays by name, for one pass after another: of whatever shape, holding whatever was left."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._flat: dict[str, Array] = {}
        self._shaped: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """An array that is good until the next of that name."""
        shaped = self._shaped.get(name)
        if shaped is None or shaped.shape != shape:
            size = math.prod(shape)
            flat = self._flat.get(name)
            if flat is None or len(flat) < size:
                flat = self._flat[name] = np.empty(size, self._dtype)
            shaped = self._shaped[name] = flat[:size].reshape(shape)
        return shaped

    def zeros(self, name: str, shape: tuple[int, ...]) -> Array:
        """The same, all zeros but for what was written before: always to the same places."""
        shaped = self._shaped.get(name)
        if shaped is None or shaped.shape != shape:
            shaped = self.array(name, shape)
            shaped.fill(0)
        return shaped
