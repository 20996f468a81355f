"""Workspaces for the kernels, kept from call to call: new memory costs page faults.

A page fault every 4 KiB takes longer than the work of a short sequence.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from crnn.reference import Array

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
#: A workspace of at most this many bytes belongs to its thread, which keeps it.
SMALL = 1 << 20
#: Larger ones are shared by all threads; at most this many bytes of them are kept between calls.
MOST_KEPT = 1 << 26


def aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """An uninitialised array (size,) that begins at a multiple of 64 bytes."""
    try:
        raw = np.empty(size + ALIGNMENT // dtype.itemsize, dtype)
    except ValueError:  # larger than any array of NumPy
        raise MemoryError(f"there is no room for {size} numbers of {dtype}") from None
    skip = -raw.ctypes.data % ALIGNMENT // dtype.itemsize
    return raw[skip : skip + size]


_NONE = np.empty(0, np.uint8)


class _ThreadsOwn(threading.local):
    workspace: Array = _NONE


class _Shared:
    """Large workspaces that no call is using, the most recently used one last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free: list[Array] = []
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Array:
        with self._lock:
            for k in reversed(range(len(self._free))):
                if self._free[k].nbytes >= nbytes:
                    return self._free.pop(k)
            if self._free:  # all are too small, and keeping one more would raise the peak
                self._free.pop()
        return aligned(nbytes, np.dtype(np.uint8))

    def give_back(self, workspace: Array) -> None:
        with self._lock:
            self._free.append(workspace)
            while sum(free.nbytes for free in self._free) > self._most:
                del self._free[0]

    def replace_lock(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()


_own = _ThreadsOwn()
_shared = _Shared(MOST_KEPT)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.replace_lock)


def take(nbytes: int) -> Array:
    """An uninitialised workspace of at least `nbytes`, aligned to 64 bytes.

    The caller may use it until `give_back`. A small one is reused when this thread takes another.
    """
    if nbytes > SMALL:
        return _shared.take(nbytes)
    if _own.workspace.nbytes < nbytes:
        _own.workspace = _NONE  # first, because two would raise the peak
        _own.workspace = aligned(nbytes, np.dtype(np.uint8))
    return _own.workspace


def give_back(workspace: Array) -> None:
    """Let other calls use a workspace that `take` gave."""
    if workspace.nbytes > SMALL:
        _shared.give_back(workspace)
