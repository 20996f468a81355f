"""The arrays of a network's passes, kept from pass to pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crnn.reference import Array


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
