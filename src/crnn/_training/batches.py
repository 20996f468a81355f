"""The training data in batches, one epoch at a time: examples, or one long sequence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from crnn._engine import validate
from crnn._network.batch import Batch
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._training.ranks import ALONE, Ranks
from crnn._words import counted
from crnn.reference import Array

#: Steps of a window where no gradient is asked for, and of the shortest rows that a sequence is cut
#: into where only its loss is asked for.
STEPS = 64


def rows_of(steps: int, most: int) -> int:
    """The rows that a sequence of so many steps is cut into, at most so many, if none are given."""
    return min(most, max(1, steps // STEPS))


class Shards(NamedTuple):
    """The parts of one batch that belong to this rank."""

    parts: list[Batch | None]  # one for each of the rank's shards; None has no rows
    m: int  # examples of the whole batch


#: Held-out batches for each of the rank's shards.
Parts = Sequence[Iterable[Batch]]


@dataclass(frozen=True)
class Examples:
    """Training data that are examples, in shuffled batches."""

    sequences: Sequences
    batch_size: int
    rng: np.random.Generator
    held_out: Sequences | None
    ranks: Ranks = ALONE

    carry: ClassVar[bool] = False
    unit: ClassVar[str] = "example"

    @property
    def size(self) -> int:
        """The number of examples in an epoch."""
        return self.sequences.m

    @property
    def num_batches(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.sequences.m // self.batch_size)

    def batches(self) -> Iterator[Batch] | Iterator[Shards]:
        """The batches of one epoch, or this rank's shards of them."""
        if self.ranks.alone:
            return self.sequences.shuffled(self.batch_size, self.rng)
        order = self.sequences.order(self.batch_size, self.rng)
        return (shards_of(self.sequences, chosen, self.ranks) for chosen in order)

    def validation(self) -> Iterator[Batch] | Parts | None:
        """The held-out examples, or this rank's shards of them, or None."""
        return held_out_shards(self.held_out, self.ranks)

    def fault(self, of_validation: bool) -> str | None:
        """The place in the data that explains a loss that is not finite: see `Sequences.fault`."""
        sequences = self.held_out if of_validation else self.sequences
        return None if sequences is None else sequences.fault()


@dataclass(frozen=True)
class LongSequence:
    """Training data that are one long sequence, in windows that pass on the state."""

    symbols: Array  # (N,)
    batch_size: int
    steps: int
    held_out: Array | None
    ranks: Ranks = ALONE

    carry: ClassVar[bool] = True
    unit: ClassVar[str] = "symbol"

    @property
    def m(self) -> int:
        """The number of rows."""
        return self.batch_size

    @property
    def length(self) -> int:
        """The number of steps of a row."""
        return (len(self.symbols) - 1) // self.batch_size

    @cached_property
    def _rows(self) -> tuple[Array, Array]:
        return _side_by_side(self.symbols, self.batch_size)

    @property
    def size(self) -> int:
        """The number of symbols predicted in an epoch."""
        return self.length * self.batch_size

    @property
    def num_batches(self) -> int:
        """The number of windows in an epoch."""
        return -(-self.size // (self.batch_size * self.steps))

    def batches(self) -> Iterator[Batch] | Iterator[Shards]:
        """The batches of one epoch, or this rank's shards of them."""
        if self.ranks.alone:
            return windows(self.symbols, self.batch_size, self.steps)
        m = self.batch_size
        own = [windows(self.symbols, m, self.steps, rows) for rows in self.ranks.cut(m)]
        return (Shards(list(parts), m) for parts in zip(*own, strict=True))

    def part(self, begin: int, end: int) -> Batch:
        """The steps from `begin` to `end` of all rows."""
        return _part(*self._rows, begin, end)

    def carried_rows(self, done: int) -> list[int]:
        """For each shard, the rows of the state after so many windows."""
        return [rows.stop - rows.start for rows in self.ranks.cut_all(self.batch_size)]

    def validation(self) -> Iterator[Batch] | Parts | None:
        """The held-out sequence, or this rank's shards of its rows, or None."""
        if self.held_out is None:
            return None
        m = rows_of(len(self.held_out), self.batch_size)
        if self.ranks.alone:
            return windows(self.held_out, m, self.steps)
        return [windows(self.held_out, m, self.steps, rows) for rows in self.ranks.cut(m)]

    def fault(self, of_validation: bool) -> str | None:
        """None: symbols are always finite."""
        return None


def checked_batch_size(batch_size: Any, ranks: Ranks) -> int:
    """The argument: a count, and a row for each shard."""
    size = validate.count("batch_size", batch_size)
    require_rows("batch_size", size, ranks)
    return size


def require_rows(name: str, m: int, ranks: Ranks) -> None:
    """Raise ValueError if there is no row for each shard."""
    if m < ranks.shards:
        raise ValueError(
            f"{name}: expected at least one row for each of the {ranks.shards} "
            f"{'shards' if ranks.exact else 'ranks'}, got {m}"
        )


def parts_of(sequences: Sequences, chosen: Array | None, cut: list[slice]) -> list[Batch | None]:
    """The parts of a batch of chosen examples, None being all; None for a part without rows."""
    if chosen is None:
        chosen = np.arange(sequences.m)
    parts = (chosen[rows] for rows in cut)
    return [sequences.batch(part) if len(part) else None for part in parts]


def shards_of(sequences: Sequences, chosen: Array | None, ranks: Ranks) -> Shards:
    """The shards, of this rank, of a batch of chosen examples, None being all."""
    m = sequences.m if chosen is None else len(chosen)
    return Shards(parts_of(sequences, chosen, ranks.cut(m)), m)


def held_out_shards(held_out: Sequences | None, ranks: Ranks) -> Iterator[Batch] | Parts | None:
    """The held-out examples, or this rank's shards of them, or None."""
    if held_out is None:
        return None
    if ranks.alone:
        return held_out.batches()
    groups, own = held_out.groups(), range(len(ranks.own))
    return [_one_shard(held_out, groups, ranks, i) for i in own]


def _one_shard(
    sequences: Sequences, groups: list[Array | None], ranks: Ranks, i: int
) -> Iterator[Batch]:
    """The part of each group that belongs to the i-th shard of this rank."""
    for group in groups:
        m = sequences.m if group is None else len(group)
        (part,) = parts_of(sequences, group, [ranks.cut(m)[i]])
        if part is not None:
            yield part


def checked_symbols(config: Config, name: str, symbols: Any, more_than: int) -> Array:
    """A sequence (N,) for a model that predicts the next symbol; N > more_than.

    It keeps its dtype: a text of many megabytes is converted a window at a time.
    """
    if (
        config.steps != "all"
        or not config.classifies
        or config.direction != "forward"
        or config.n_x != config.n_y
    ):
        hint = "" if config.classifies else "; a series of numbers has floats, or shape (N, n_x)"
        raise ValueError(
            "a stream of symbols needs a model with steps='all', loss='cross_entropy', "
            f"direction='forward' and n_x == n_y, got steps={config.steps!r}, "
            f"loss={config.loss!r}, direction={config.direction!r}, n_x={config.n_x} and "
            f"n_y={config.n_y}{hint}"
        )
    a = validate.plain(name, symbols)
    a = validate.class_range(name, a, config.n_x, None, a.size)
    if len(a) <= more_than:
        raise ValueError(f"{name}: expected more than {counted(more_than, 'symbol')}, got {len(a)}")
    return a


def windows(
    symbols: Array,
    m: int,
    T: int,
    rows: slice = slice(None),
) -> Iterator[Batch]:
    """One long sequence (N,) as m parallel rows, T steps at a time; y is the next symbol.

    The sequence is cut into m equal parts, and row i reads part i, so that each window continues
    the one before. The last window may be shorter. Fewer than m symbols at the end are not read.
    With `rows`, only these of the m rows are in the windows; if there are none, nor are windows.
    """
    x, y = _side_by_side(symbols, m)
    x, y = x[:, rows], y[:, rows]
    if x.shape[1] == 0:
        return
    for t in range(0, len(x), T):
        yield _part(x, y, t, t + T)


def _side_by_side(symbols: Array, m: int) -> tuple[Array, Array]:
    """The sequence in m rows, and the next symbol of each step: (length, m) both."""
    length = (len(symbols) - 1) // m
    rows: list[Array] = [s[: length * m].reshape(m, length).T for s in (symbols, symbols[1:])]
    return rows[0], rows[1]


def _part(x: Array, y: Array, begin: int, end: int) -> Batch:
    """Some steps of rows of symbols."""
    here, following = (np.ascontiguousarray(s[begin:end], np.intp) for s in (x, y))
    return Batch(here, following, None)
