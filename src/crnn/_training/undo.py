"""The memory of an optimizer as it was before a step, for a step that is not finished."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from crnn._training.rule import Memory
from crnn.reference import Array


class Undo:
    """A copy of a memory, to which that can go back."""

    def __init__(self) -> None:
        self._memory: Memory = {}
        self._saved: dict[str, tuple[Any, Any]] = {}  # of each name its value, and a copy
        self._arrays: dict[str, Array] = {}  # that hold copies, and are used again

    def take(self, memory: Memory) -> None:
        """Copy the memory."""
        self._memory = memory
        self._saved = {name: (value, self._copy(name, value)) for name, value in memory.items()}

    def restore(self) -> None:
        """Give the memory its values of the last `take`, in the arrays that it had then."""
        for name in self._memory.keys() - self._saved.keys():
            del self._memory[name]
        for name, (value, copied) in self._saved.items():
            if _is_writable(value):
                value[...] = copied
                copied = value
            self._memory[name] = copied

    def _copy(self, name: str, value: Any) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if not _is_writable(value):
            return copy.deepcopy(value)
        copied = self._arrays.get(name)
        if copied is None or (copied.shape, copied.dtype) != (value.shape, value.dtype):
            copied = self._arrays[name] = np.empty_like(value)
        copied[...] = value
        return copied


def _is_writable(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.flags.writeable
