"""Examples: arrays or lists of sequences, made into padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network import grouping
from crnn._network.batch import Batch, kept_of, picked_of
from crnn._network.checking import Inputs
from crnn._network.class_weight import ClassWeight, weighted
from crnn._network.config import Config
from crnn._network.costs import bytes_per_step
from crnn._network.penalties import Penalty
from crnn._network.recurrences import State
from crnn._network.state import checked_state
from crnn.reference import Array


class Sequences:
    """All examples of a call, checked: x as one array or as a list, and y if it is given.

    Examples of weight 0 are left out, and the mean of the weights is 1: see `losses`.
    """

    def __init__(
        self,
        config: Config,
        x: Any,
        y: Any = None,
        lengths: Any = None,
        sample_weight: Any = None,
        a0: Any = None,
        *,
        of: str = "",
        class_weight: ClassWeight = None,
    ) -> None:
        inputs = Inputs(config, of, x, lengths)
        self._config = config
        self._of = of  # begins an argument's name: "validation "
        self.listed, self.m = inputs.listed, inputs.m
        self.x: Array | list[Array] = inputs.x
        self.lengths: Array | None = inputs.lengths
        self._numbers: Any = range(self.m)  # of the examples, in the caller's order
        self.y: Array | list[Array] | None = None if y is None else inputs.targets(y)
        self.weights: Array | list[Array] | None = None  # shaped as class numbers are
        self._start = None if a0 is None else checked_state(config, f"{of}a0", a0, self.m)
        if sample_weight is not None or class_weight is not None:
            self._weigh(inputs, sample_weight, class_weight)

    @property
    def leaves_out(self) -> bool:
        """Whether examples were left out because their weight is 0."""
        return not isinstance(self._numbers, range)

    @property
    def start(self) -> State | None:
        """Where the examples begin, if it is given."""
        return self._start

    @property
    def longest(self) -> int:
        """The steps of the longest example."""
        return len(self.x) if self.lengths is None else int(self.lengths.max())

    def batch(self, chosen: Array | None = None) -> Batch:
        """The chosen examples (all by default), padded to the longest of them.

        If x is an array and all examples are chosen, the batch has x itself, not a copy.
        """
        lengths = self.lengths
        if lengths is not None and chosen is not None:
            lengths = lengths[chosen]
        T = len(self.x) if lengths is None else int(lengths.max())
        if lengths is not None and (lengths == T).all():
            lengths = None
        y, weights = (self._targets(values, chosen, T) for values in (self.y, self.weights))
        start = self._start
        if start is not None and chosen is not None:
            start = [tuple(s[chosen] for s in item) for item in start]
        return Batch(picked_of(self.x, chosen, T), y, lengths, weights, start, chosen)

    def shuffled(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch in batches of `size` (the last may be smaller) and of similar lengths."""
        for chosen in self.order(size, rng):
            yield self.batch(chosen)

    def order(self, size: int, rng: np.random.Generator) -> list[Array] | list[None]:
        """Which examples are in each batch of `shuffled`; [None] means all in one batch."""
        return grouping.shuffled(self.m, self.lengths, size, rng)

    def batches(self, backward: bool = False, penalty: Penalty | None = None) -> Iterator[Batch]:
        """All examples, in the groups of `groups`."""
        for chosen in self.groups(backward, penalty):
            yield self.batch(chosen)

    def groups(self, backward: bool = False, penalty: Penalty | None = None) -> list[Array | None]:
        """Which examples to run together: see `grouping.groups`."""
        per_step = bytes_per_step(self._config, backward, penalty)
        return grouping.groups(self.m, self.longest, self.lengths, per_step, self._bytes_of_x())

    def _bytes_of_x(self) -> int:
        """Twice the bytes of a step of x: a loop still holds one batch while it makes the next."""
        x, axes = (self.x, 2) if isinstance(self.x, np.ndarray) else (self.x[0], 1)
        return 2 * x.itemsize * int(math.prod(x.shape[axes:]))

    def fault(self) -> str | None:
        """An error message that says where x, y or a0 is not finite, or None.

        It costs a pass over all data, so it is called only after a loss was not finite. Steps past
        an example's length and targets of weight 0 are not checked.
        """
        x_read = y_read = None  # bool (T, m) or (m,); None if everything is read
        if not self.listed and self.lengths is not None:
            x_read = validate.steps_counted(len(self.x), self.lengths)
        if isinstance(self.weights, np.ndarray):
            y_read = self.weights > 0
        elif self._config.every_step and not self.listed:
            y_read = x_read
        return (
            self._fault_in("x", self.x, x_read, 1)
            or self._fault_in("y", self.y, y_read, 1 if self._config.every_step else 0)
            or self._fault_in_start()
        )

    def _fault_in(
        self, name: str, values: Array | list[Array] | None, read: Array | None, axis: int
    ) -> str | None:
        """The first number that is read and not finite; `axis` is that of the examples."""
        if isinstance(values, list):
            for i, (item, w) in enumerate(zip(values, self._list_of_weights(name), strict=True)):
                place = _not_finite(item, None if w is None else w > 0)
                if place is not None:
                    return _fault(f"{self._of}{name}[{self._numbers[i]}]", item, place, place)
        elif values is not None:
            place = _not_finite(values, read)
            if place is not None:
                shown = list(place)
                shown[axis] = int(self._numbers[shown[axis]])
                return _fault(self._of + name, values, place, tuple(shown))
        return None

    def _fault_in_start(self) -> str | None:
        """The first number of the examples' own initial states that is not finite."""
        items = self._start or []
        for k, item in enumerate(items):
            for i, values in enumerate(item):
                place = _not_finite(values, None)
                if place is not None:
                    name = f"{self._of}a0[{k}]" + (f"[{i}]" if len(item) > 1 else "")
                    shown = int(self._numbers[place[0]]), *place[1:]
                    return _fault(name, values, place, shown)
        return None

    def _list_of_weights(self, name: str) -> list[Array] | list[None]:
        return self.weights if name == "y" and isinstance(self.weights, list) else [None] * self.m

    def _targets(
        self, values: Array | list[Array] | None, chosen: Array | None, T: int
    ) -> Array | None:
        """The targets, or weights of the same shape, of the chosen examples."""
        if values is None or self._config.every_step:
            return None if values is None else picked_of(values, chosen, T)
        assert isinstance(values, np.ndarray)
        picked: Array = values if chosen is None else values[chosen]
        return picked

    def _weigh(self, inputs: Inputs, sample_weight: Any, class_weight: ClassWeight) -> None:
        """Set the weights; the weight of a whole example is used at each of its steps."""
        names = {"sample_weight": sample_weight, "class_weight": class_weight}
        name = self._of + " times ".join(key for key, value in names.items() if value is not None)
        w = inputs.weights(np.ones(self.m) if sample_weight is None else sample_weight)
        w = weighted(class_weight, self._config, self.y, w, self.lengths)
        if isinstance(w, list):
            sums = np.array([item.sum() for item in w])
        else:
            sums = w.sum(axis=0) if w.ndim == 2 else w
        total = sums.sum()
        if not 0 < total < np.inf:
            raise ValueError(
                f"{name}: expected weights whose sum is finite and above zero, got {total:g}"
            )
        kept = np.flatnonzero(sums)
        if len(kept) < self.m:
            self._numbers = kept
            axis = 1 if self._config.every_step else 0
            self.x, self.y = kept_of(self.x, kept, 1), kept_of(self.y, kept, axis)
            w = kept_of(w, kept, axis)
            self.lengths = None if self.lengths is None else self.lengths[kept]
            if self._start is not None:
                self._start = [tuple(s[kept] for s in item) for item in self._start]
            self.m = len(kept)
        if not self._config.every_step:
            rows = self.m
        else:
            rows = self.m * len(self.x) if self.lengths is None else int(self.lengths.sum())
        mean, dtype = total / rows, self._config.np_dtype
        if isinstance(w, list):
            self.weights = [(item / mean).astype(dtype) for item in w]
        else:
            self.weights = (w / mean).astype(dtype)


def _not_finite(values: Array, read: Array | None) -> tuple[int, ...] | None:
    """The place of the first number that is NaN or infinite, among the rows that are read."""
    wrong = ~np.isfinite(values)
    if read is not None:
        wrong &= read.reshape(read.shape + (1,) * (wrong.ndim - read.ndim))
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None


def _fault(name: str, values: Array, place: tuple[int, ...], shown: tuple[int, ...]) -> str:
    return f"{name}: expected finite numbers, got {values[place]} ({values.dtype}) at {shown}"
