"""Long sequences of numbers or symbols, in rows that are read side by side and may begin again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from crnn._network.batch import Batch
from crnn._network.config import Config
from crnn._training.batches import Parts, Shards
from crnn._training.ranks import ALONE, Ranks
from crnn.reference import Array


@dataclass(frozen=True)
class Series:
    """The rows of a stream: L steps of m sequences that are read side by side."""

    config: Config
    symbols: Array  # (L, m, n_x) of numbers, or (L, m)
    y: Array  # (L, m, n) or classes (L, m)
    weights: Array | None  # (L, m), with a mean of 1; None if every step counts
    seen: Array | None  # bool (L, m) or (L, m, n_x): where x is not missing; None for everywhere
    resets: Array | None  # bool (L, m): where a row begins again; None for nowhere

    @property
    def m(self) -> int:
        """The number of rows."""
        return int(self.symbols.shape[1])

    @property
    def size(self) -> int:
        """The number of steps of all rows."""
        return len(self.symbols) * self.m

    def rows(self, which: slice) -> Series:
        """Some of the rows."""
        names = ("symbols", "y", "weights", "seen", "resets")
        parts = {name: getattr(self, name) for name in names}
        cut = {name: part[:, which] for name, part in parts.items() if part is not None}
        return replace(self, **cut)

    def windows(self, T: int) -> Iterator[Batch]:
        """The rows, T steps at a time; each window continues the one before.

        In a window the parts of a row between two resets are examples of their own.
        """
        if self.m == 0:
            return
        before = np.arange(self.m)  # of each row, its example in the window before
        for t in range(0, len(self.symbols), T):
            batch = self.part(t, t + T)
            if self.resets is not None:
                batch, before = _cut(batch, self.resets[t : t + T], before)
            yield batch

    def part(self, begin: int, end: int) -> Batch:
        """The steps from `begin` to `end` of all rows, without resets."""
        steps = slice(begin, end)
        x, y = self._own(self.symbols[steps]), self._own(self.y[steps])
        if self.seen is not None:
            x[~self.seen[steps]] = 0
        weights = None if self.weights is None else np.ascontiguousarray(self.weights[steps])
        return Batch(x, y, None, weights)

    def _own(self, values: Array) -> Array:
        """A contiguous copy of a window's x or y in the dtype that a pass needs."""
        dtype = np.intp if values.dtype.kind in "iub" and values.ndim == 2 else self.config.np_dtype
        return np.array(values, dtype, order="C")

    def fault(self, of: str) -> str | None:
        """The first number that is not missing and not finite, as a message, or None."""
        for name, values, counted in (
            ("symbols", self.symbols, self.seen),
            ("y", self.y, self.weights),
        ):
            if values.dtype.kind != "f":
                continue
            wrong = ~np.isfinite(values)
            if counted is not None:
                counted = counted > 0
                wrong &= counted.reshape(counted.shape + (1,) * (wrong.ndim - counted.ndim))
            if wrong.any():
                t, i = (int(k) for k in np.argwhere(wrong)[0][:2])
                place = f"at step {t} of row {i}"
                return f"{of}{name}: expected finite numbers, got {values[t, i]} {place}"
        return None


@dataclass(frozen=True)
class LongSeries:
    """Training data that are a Series, in windows that pass on the state."""

    series: Series
    steps: int
    held_out: Series | None
    ranks: Ranks = ALONE

    carry: ClassVar[bool] = True
    unit: ClassVar[str] = "step"

    @property
    def m(self) -> int:
        """The number of rows."""
        return self.series.m

    @property
    def length(self) -> int:
        """The number of steps of a row."""
        return len(self.series.symbols)

    def part(self, begin: int, end: int) -> Batch:
        """The steps from `begin` to `end` of all rows, without resets."""
        return self.series.part(begin, end)

    @property
    def size(self) -> int:
        """The number of steps in an epoch, over all rows."""
        return self.series.size

    @property
    def num_batches(self) -> int:
        """The number of windows in an epoch."""
        return -(-len(self.series.symbols) // self.steps)

    def batches(self) -> Iterator[Batch] | Iterator[Shards]:
        """The batches of one epoch, or this rank's shards of them."""
        if self.ranks.alone:
            return self.series.windows(self.steps)
        m = self.series.m
        own = [self.series.rows(rows).windows(self.steps) for rows in self.ranks.cut(m)]
        return (Shards(list(parts), m) for parts in zip(*own, strict=True))

    def carried_rows(self, done: int) -> list[int]:
        """For each shard, the rows of the state after so many windows: those of its parts."""
        cut, resets = self.ranks.cut_all(self.series.m), self.series.resets
        if resets is None:
            return [rows.stop - rows.start for rows in cut]
        last = resets[(done - 1) * self.steps : done * self.steps]  # (T, m)
        return [rows.stop - rows.start + int(last[1:, rows].sum()) for rows in cut]

    def validation(self) -> Iterator[Batch] | Parts | None:
        """The held-out series, or this rank's shards of its rows, or None."""
        held_out = self.held_out
        if held_out is None:
            return None
        if self.ranks.alone:
            return held_out.windows(self.steps)
        cut = self.ranks.cut(held_out.m)
        return [held_out.rows(rows).windows(self.steps) for rows in cut]

    def fault(self, of_validation: bool) -> str | None:
        """The place in the data that explains a loss that is not finite."""
        if not of_validation:
            return self.series.fault("")
        return None if self.held_out is None else self.held_out.fault("validation ")


def _cut(batch: Batch, resets: Array, before: Array) -> tuple[Batch, Array]:
    """A window cut where rows begin again.

    Each part is an example of its own, which continues the row's last part in the window before,
    or, after a reset, begins at the initial state. Returns the batch, and of each row the number of
    its last part.
    """
    T, m = resets.shape
    begins = resets.copy()  # (T, m): where parts begin
    begins[0] = True
    row, start = np.nonzero(begins.T)  # of each part, row by row
    last = np.append(row[1:] != row[:-1], True)
    end = np.append(start[1:], T)
    end[last] = T
    lengths = end - start
    fresh = resets[start, row]
    continues = np.where(fresh, -1, before[row])
    if len(row) == m:  # no row begins again within the window
        return batch._replace(continues=continues), np.arange(m)
    longest = int(lengths.max())
    t = np.minimum(start + np.arange(longest)[:, None], T - 1)  # (longest, parts)
    x, y, weights = (
        None if values is None else values[t, row] for values in (batch.x, batch.y, batch.weights)
    )
    assert x is not None
    whole = None if (lengths == longest).all() else lengths
    return Batch(x, y, whole, weights, continues=continues), np.flatnonzero(last)
