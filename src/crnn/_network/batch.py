"""Some examples, padded, as a pass over them takes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crnn._network.recurrences import State
from crnn.reference import Array


class Batch(NamedTuple):
    """Some examples, padded to the longest of them."""

    x: Array  # (T, m, n_x) or (T, m)
    y: Array | None  # (m,), (m, n_y), (T, m) or (T, m, n_y)
    lengths: Array | None  # (m,); None if all are T
    weights: Array | None = None  # (m,) or (T, m): of the examples, or of their steps
    start: State | None = None  # where its examples begin; None for the model's own
    examples: Array | None = None  # their numbers in the call; None for all
    #: (m,): of which example of the batch before each one continues the state; -1 for none
    continues: Array | None = None

    @property
    def m(self) -> int:
        """The number of examples."""
        m: int = self.x.shape[1]
        return m


def kept_of(values: Any, kept: Array, axis: int) -> Any:
    """The kept examples of a list, or of an array along an axis; None for None."""
    if values is None:
        return None
    if isinstance(values, list):
        return [values[i] for i in kept]
    return values.take(kept, axis)


def picked_of(items: Array | list[Array], chosen: Array | None, T: int) -> Array:
    """The first T steps of the chosen examples, time first; zeros after the end of a short one."""
    if isinstance(items, np.ndarray):
        if chosen is None:
            return items[:T]
        picked: Array = items[:T].take(chosen, axis=1)
        return picked
    if chosen is None:
        chosen = np.arange(len(items))
    first = items[0]
    padded = np.zeros((T, len(chosen), *first.shape[1:]), first.dtype)  # (T, m) or (T, m, n)
    for i, k in enumerate(chosen):
        padded[: len(items[k]), i] = items[k]
    return padded
