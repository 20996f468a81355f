"""What the output layer reads of an example that has one answer: the last state, mean and maximum.

The parts are side by side, and in each part the directions, forward first. The mean and the maximum
are those of the valid steps, unit by unit. The gradient of a maximum goes to the first step t that
has it.
"""

from __future__ import annotations

import numpy as np

from crnn._engine import pooling
from crnn._network.config import Config
from crnn._network.segments import Window
from crnn.reference import Array

#: The kernels number steps with C's int.
MOST_STEPS = int(np.iinfo(np.intc).max)


class Pool:
    """The mean and the maximum over the steps of one direction, which may come in windows."""

    def __init__(self, config: Config, whole: Window, m: int) -> None:
        shape = (m, config.n_a)
        self._reverse, lengths = whole.reverse, whole.lengths
        self._counts: Array = np.full(m, whole.T) if lengths is None else lengths  # (m,)
        self._sums = np.zeros(shape) if "mean" in config.parts else None
        self._largest: Array | None = None
        self._at: Array | None = None  # (m, n_a): the steps of the largest states
        self._dmean: Array | None = None
        self._dlargest: Array | None = None
        if "max" in config.parts:
            if whole.T > MOST_STEPS:
                raise ValueError(
                    f"x: expected at most {MOST_STEPS} steps with a maximum, got {whole.T}"
                )
            self._largest = np.empty(shape, config.np_dtype)
            self._at = np.full(shape, -1, np.intc)

    def add(self, window: Window, a: Array) -> None:
        """Add the outputs (steps, m, n_a) of the window that is read next."""
        scattered = window.reverse and window.lengths is not None
        self._add(a, window.own_lengths, window.t0, falling=window.reverse and not scattered)

    def add_all(self, a: Array, lengths: Array | None) -> None:
        """Add all outputs (T, m, n_a), whose order is that of time."""
        self._add(a, lengths, 0, falling=self._reverse)

    def _add(self, a: Array, lengths: Array | None, first: int, falling: bool) -> None:
        # Read from right to left, the last of equal maxima is the one with the smallest t.
        pooling.pool(a, lengths, first, falling, self._reverse, self._sums, self._largest, self._at)

    def part(self, name: str, last: Array) -> Array:
        """The numbers (m, n_a) of a part; `last` are those after the last step read."""
        if name == "last":
            return last
        if name == "max":
            assert self._largest is not None
            return self._largest
        assert self._sums is not None
        mean: Array = (self._sums / self._counts[:, None]).astype(last.dtype)
        return mean

    def take_gradients(self, parts: dict[str, Array]) -> None:
        """Keep the gradients (m, n_a) of the parts, by name, for `spread`."""
        self._dlargest = parts.get("max")
        if "mean" in parts:
            dmean = parts["mean"]
            self._dmean = dmean / self._counts[:, None].astype(dmean.dtype)

    def spread(self, lengths: Array | None, first: int, da: Array) -> Array:
        """Set da (steps, m, n_a) to dL/da of steps from `first` on, but for the last state's."""
        pooling.unpool(da, lengths, first, self._dmean, self._dlargest, self._at)
        return da

    def spread_window(self, window: Window, da: Array) -> Array:
        """`spread` for the steps of a window."""
        return self.spread(window.own_lengths, window.t0, da)


def parts_of(config: Config, pools: list[Pool], last: list[Array]) -> list[Array]:
    """The features of each part and direction, (m, n_a) each, in the order of the output layer."""
    return [
        pool.part(name, a_n) for name in config.parts for pool, a_n in zip(pools, last, strict=True)
    ]


def take_gradients(config: Config, pools: list[Pool], parts: list[Array]) -> list[Array | None]:
    """Give each pool its parts of the gradient, and return that of each last state.

    `parts` are in the order of `parts_of`.
    """
    n = config.num_directions
    last: list[Array | None] = []
    for i, pool in enumerate(pools):
        own = dict(zip(config.parts, parts[i::n], strict=True))
        last.append(own.pop("last", None))
        pool.take_gradients(own)
    return last
