"""Arrays that a network reuses from pass to pass, because new memory costs page faults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crnn.reference import Array


class Buffers:
    """Uninitialised arrays by name. An array is reused by the next request for its name."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._flat: dict[str, Array] = {}
        self._shaped: dict[str, Array] = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """An uninitialised array, valid until the next request for this name."""
        shaped = self._shaped.get(name)
        if shaped is None or shaped.shape != shape:
            size = math.prod(shape)
            if name not in self._flat or len(self._flat[name]) < size:
                shaped = None
                self._shaped.pop(name, None)  # first, because two arrays would raise the peak
                self._flat.pop(name, None)
                self._flat[name] = np.empty(size, self._dtype)
            shaped = self._shaped[name] = self._flat[name][:size].reshape(shape)
        return shaped
