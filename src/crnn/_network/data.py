"""Examples: arrays or lists of sequences, checked and made into padded batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from crnn._engine import validate
from crnn._network import layers
from crnn._network.class_weight import ClassWeight, weighted
from crnn._network.config import Config
from crnn._network.penalties import Penalty
from crnn._network.state import checked_state
from crnn.reference import Array

#: Batches that are drawn together and then sorted by length: enough to find similar lengths,
#: few enough that an epoch's order stays random.
BUCKET = 50

#: Bytes that the arrays of a pass may take if it has more than one example.
MOST_BYTES = 7 << 23  # less than 64 MiB together with the workspace of the kernels

#: This many padded steps cost about as much as another call.
FEW_STEPS = 2048


class Batch(NamedTuple):
    """Some examples, padded to the longest of them."""

    x: Array  # (T, m, n_x) or (T, m)
    y: Array | None  # (m,), (m, n_y), (T, m) or (T, m, n_y)
    lengths: Array | None  # (m,); None if all are T
    weights: Array | None = None  # (m,) or (T, m): of the examples, or of their steps
    start: layers.State | None = None  # where its examples begin; None for the model's own
    examples: Array | None = None  # their numbers in the call; None for all
    #: (m,): of which example of the batch before each one continues the state; -1 for none
    continues: Array | None = None

    @property
    def m(self) -> int:
        """The number of examples."""
        m: int = self.x.shape[1]
        return m


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
        self._config = config
        self._of = of  # begins an argument's name: "validation "
        self.listed = isinstance(x, (list, tuple))
        self.x: Array | list[Array]
        self.y: Array | list[Array] | None = None
        self.weights: Array | list[Array] | None = None  # shaped as class numbers are
        self.lengths: Array | None
        if self.listed:
            if lengths is not None:
                raise ValueError(
                    f"{of}lengths: expected None with a list x, whose arrays have their own"
                )
            self.x = self._list_of_x(x)
            self.lengths = np.array([len(item) for item in self.x], np.intp)
            self.m = len(self.x)
        else:
            self.x, self.lengths = self._array_of_x(x, lengths)
            self.m = self.x.shape[1]
        self._numbers: Any = range(self.m)  # of the examples, in the caller's order
        if y is not None:
            self.y = self._list_of_y(y) if self._lists_y else self._array_of_y(y)
        self._start = None if a0 is None else checked_state(config, f"{of}a0", a0, self.m)
        if sample_weight is not None or class_weight is not None:
            self._weigh(sample_weight, class_weight)

    @property
    def _lists_y(self) -> bool:
        return self.listed and self._config.every_step

    @property
    def leaves_out(self) -> bool:
        """Whether examples were left out because their weight is 0."""
        return not isinstance(self._numbers, range)

    @property
    def start(self) -> layers.State | None:
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
        return Batch(_pick(self.x, chosen, T), y, lengths, weights, start, chosen)

    def shuffled(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One epoch in batches of `size` (the last may be smaller) and of similar lengths."""
        for chosen in self.order(size, rng):
            yield self.batch(chosen)

    def order(self, size: int, rng: np.random.Generator) -> list[Array] | list[None]:
        """Which examples are in each batch of `shuffled`; [None] means all in one batch."""
        if self.m <= size:  # the order within the only batch does not matter: no copy
            return [None]
        order = rng.permutation(self.m)
        chunks = [order[i : i + size] for i in range(0, self.m, size)]
        if self.lengths is not None:
            span = size * BUCKET
            spans = [
                part[np.argsort(self.lengths[part], kind="stable")]
                for part in (order[i : i + span] for i in range(0, self.m, span))
            ]
            chunks = [part[i : i + size] for part in spans for i in range(0, len(part), size)]
            chunks = [chunks[i] for i in rng.permutation(len(chunks))]
        return chunks

    def batches(self, backward: bool = False, penalty: Penalty | None = None) -> Iterator[Batch]:
        """All examples, in the groups of `groups`."""
        for chosen in self.groups(backward, penalty):
            yield self.batch(chosen)

    def groups(self, backward: bool = False, penalty: Penalty | None = None) -> list[Array | None]:
        """Which examples to run together, for a pass in bounded memory; [None] means all at once.

        Examples of similar lengths form a group, so that little of it is padding. A group's arrays
        take at most MOST_BYTES unless it is a single example. The largest group comes first, so
        that buffers need not grow.
        """
        steps = self.longest
        per_step = layers.bytes_per_step(self._config, backward, penalty)
        copied = per_step + self._bytes_of_x()
        if self.lengths is None:
            if self.m == 1 or self.m * steps * per_step <= MOST_BYTES:
                return [None]
            size = max(MOST_BYTES // (copied * steps), 1)
            return [np.arange(i, min(i + size, self.m)) for i in range(0, self.m, size)]
        order = np.argsort(self.lengths, kind="stable")
        starts = _cut(self.lengths[order], MOST_BYTES // copied)
        if len(starts) == 1:
            return [None]
        groups = [np.sort(group) for group in np.split(order, starts[1:])]  # in the caller's order
        padded = [len(group) * int(self.lengths[group].max()) for group in groups]
        return [groups[i] for i in np.argsort(padded, kind="stable")[::-1]]

    def _bytes_of_x(self) -> int:
        """Twice the bytes of a step of x: a loop still holds one batch while it makes the next."""
        x, axes = (self.x, 2) if isinstance(self.x, np.ndarray) else (self.x[0], 1)
        return 2 * x.itemsize * int(math.prod(x.shape[axes:]))

    def fault(self) -> str | None:
        """An error message that says where x or y is not finite, or None.

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
        return self._fault_in("x", self.x, x_read, 1) or self._fault_in(
            "y", self.y, y_read, 1 if self._config.every_step else 0
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

    def _list_of_weights(self, name: str) -> list[Array] | list[None]:
        return self.weights if name == "y" and isinstance(self.weights, list) else [None] * self.m

    def _array_of_x(self, x: Any, lengths: Any) -> tuple[Array, Array | None]:
        a = validate.plain(self._of + "x", x)
        n_x = self._config.n_x
        if a.ndim == 2 and a.dtype.kind in "iu":
            T, m = validate.time_and_examples(self._of + "x", a, "shape (T, m)")
            lengths = self._own_lengths(lengths, T, m)
            return validate.class_numbers(self._of + "x", a, n_x, lengths, T, m), lengths
        if a.ndim != 3 or a.dtype.kind not in "fiub" or a.shape[2] != n_x:
            raise ValueError(
                f"{self._of}x: expected numbers of shape (T, m, n_x) with n_x = {n_x}, integers "
                f"of shape (T, m), or a list of sequences, got {validate.described(a)}"
                + validate.other_order("x", a.shape, n_x)
                + ("; list(x) is a list of sequences" if a.dtype == object and a.ndim == 1 else "")
            )
        T, m = validate.time_and_examples(self._of + "x", a, "shape (T, m, n_x)")
        return self._floats(a), self._own_lengths(lengths, T, m)

    def _own_lengths(self, lengths: Any, T: int, m: int) -> Array | None:
        """The lengths as a copy: the caller may change theirs while training reads them."""
        checked = validate.lengths_of(lengths, T, m, self._of + "lengths")
        return None if checked is None else checked.copy()

    def _list_of_x(self, x: Any) -> list[Array]:
        if not x:
            raise ValueError(f"{self._of}x: expected at least one sequence, got an empty list")
        n_x = self._config.n_x
        items = [validate.plain(f"{self._of}x[{i}]", item) for i, item in enumerate(x)]
        integers = items[0].dtype.kind in "iu" and items[0].ndim == 1
        for i, a in enumerate(items):
            if integers:
                items[i] = validate.class_numbers(f"{self._of}x[{i}]", a, n_x, None, a.size)
            elif a.ndim != 2 or a.dtype.kind not in "fiub" or a.shape[1] != n_x:
                raise ValueError(
                    f"{self._of}x[{i}]: expected numbers of shape (T_i, n_x) with n_x = {n_x}, or "
                    f"integers of shape (T_i,) in every sequence, got {validate.described(a)}"
                    + validate.other_order(f"x[{i}]", a.shape, n_x)
                )
            else:
                items[i] = self._floats(a)
            if len(a) == 0:
                raise ValueError(
                    f"{self._of}x[{i}]: expected at least one step, got {validate.described(a)}"
                )
        return items

    def _array_of_y(self, y: Any) -> Array:
        shape: tuple[int, ...] = (self.m,)
        if self._config.every_step:
            shape = (len(self.x), self.m)
        lengths = self.lengths if self._config.every_step else None
        try:
            return self._target(self._of + "y", y, lengths, shape)
        except ValueError as error:
            raise ValueError(f"{error}{self._if_examples_first(y)}") from None

    def _if_examples_first(self, y: Any) -> str:
        """The end of an error message of y if its shape suggests that x has its examples first."""
        try:
            shape = np.shape(y)
        except ValueError:  # a ragged list
            return ""
        T, m = len(self.x), self.m
        every_step = self._config.every_step
        if m == T or shape[: 1 + every_step] != ((m, T) if every_step else (T,)):
            return ""
        both = "x.swapaxes(0, 1) and y.swapaxes(0, 1) are" if every_step else "x.swapaxes(0, 1) is"
        return f"; if x is (m, T, n_x), examples first, {both} time first, as expected"

    def _list_of_y(self, y: Any) -> list[Array]:
        if not isinstance(y, (list, tuple)) or len(y) != self.m:
            raise ValueError(
                f"{self._of}y: expected a list of {self.m} arrays, as x is, got {type(y).__name__}"
            )
        return [
            self._target(f"{self._of}y[{i}]", item, None, (len(x),))
            for i, (item, x) in enumerate(zip(y, self.x, strict=True))
        ]

    def _targets(
        self, values: Array | list[Array] | None, chosen: Array | None, T: int
    ) -> Array | None:
        """The targets, or weights of the same shape, of the chosen examples."""
        if values is None or self._config.every_step:
            return None if values is None else _pick(values, chosen, T)
        assert isinstance(values, np.ndarray)
        picked: Array = values if chosen is None else values[chosen]
        return picked

    def _weigh(self, sample_weight: Any, class_weight: ClassWeight) -> None:
        """Set the weights; the weight of a whole example is used at each of its steps."""
        names = {"sample_weight": sample_weight, "class_weight": class_weight}
        name = self._of + " times ".join(key for key, value in names.items() if value is not None)
        if sample_weight is None:
            sample_weight = np.ones(self.m)
        w = self._checked_weights(self._of + "sample_weight", sample_weight)
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
            self.x, self.y = _kept(self.x, kept, 1), _kept(self.y, kept, axis)
            w = _kept(w, kept, axis)
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

    def _checked_weights(self, name: str, value: Any) -> Array | list[Array]:
        """Weights in the shape of class numbers; a weight per example is repeated for its steps."""
        m, lengths = self.m, self.lengths
        if not self._config.every_step:
            return validate.weights(name, value, None, m)
        if self.listed:
            if isinstance(value, (list, tuple)) and any(np.ndim(item) for item in value):
                if len(value) != m:
                    raise ValueError(f"{name}: expected {m} arrays, as x has, got {len(value)}")
                return [
                    validate.weights(f"{name}[{i}]", item, None, len(x))
                    for i, (item, x) in enumerate(zip(value, self.x, strict=True))
                ]
            w = validate.weights(name, value, None, m)
            return [np.full(len(x), w_i) for w_i, x in zip(w, self.x, strict=True)]
        a, T = validate.plain(name, value), len(self.x)
        if a.ndim == 1:
            a = np.broadcast_to(validate.weights(name, a, None, m), (T, m))
        return validate.weights(name, a, lengths, T, m)

    def _target(self, name: str, y: Any, lengths: Array | None, shape: tuple[int, ...]) -> Array:
        config = self._config
        return config.objective.checked(name, y, config.n_y, config.np_dtype, lengths, shape)

    def _floats(self, a: Array) -> Array:
        return validate.in_order(a, self._config.np_dtype)


def _cut(lengths: Array, most: int) -> list[int]:
    """Where groups begin among increasing lengths (m,).

    A group has at most `most` steps, including padding. Its padding is at most as many steps as
    the group has valid ones, or costs less than another call would.
    """
    starts, counted = [0], 0
    for k, length in enumerate(lengths.tolist()):
        padded = (k + 1 - starts[-1]) * length
        padding = padded - counted - length
        if k > starts[-1] and (padded > most or padding > max(counted + length, FEW_STEPS)):
            starts.append(k)
            counted = 0
        counted += length
    return starts


def _not_finite(values: Array, read: Array | None) -> tuple[int, ...] | None:
    """The place of the first number that is NaN or infinite, among the rows that are read."""
    wrong = ~np.isfinite(values)
    if read is not None:
        wrong &= read.reshape(read.shape + (1,) * (wrong.ndim - read.ndim))
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None


def _fault(name: str, values: Array, place: tuple[int, ...], shown: tuple[int, ...]) -> str:
    return f"{name}: expected finite numbers, got {values[place]} ({values.dtype}) at {shown}"


def _kept(values: Any, kept: Array, axis: int) -> Any:
    """The kept examples of a list, or of an array along an axis; None for None."""
    if values is None:
        return None
    if isinstance(values, list):
        return [values[i] for i in kept]
    return values.take(kept, axis)


def _pick(items: Array | list[Array], chosen: Array | None, T: int) -> Array:
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
