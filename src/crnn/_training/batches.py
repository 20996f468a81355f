"""The training data in batches, one epoch at a time: examples, or one long sequence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.data import Batch, Sequences
from crnn.reference import Array


@dataclass(frozen=True)
class Examples:
    """Training data that are examples, in shuffled batches."""

    sequences: Sequences
    batch_size: int
    rng: np.random.Generator
    held_out: Sequences | None

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

    def batches(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        return self.sequences.shuffled(self.batch_size, self.rng)

    def validation(self) -> Iterator[Batch] | None:
        """The held-out examples, or None."""
        return None if self.held_out is None else self.held_out.batches()

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

    carry: ClassVar[bool] = True
    unit: ClassVar[str] = "symbol"

    @property
    def size(self) -> int:
        """The number of symbols predicted in an epoch."""
        return (len(self.symbols) - 1) // self.batch_size * self.batch_size

    @property
    def num_batches(self) -> int:
        """The number of windows in an epoch."""
        return -(-self.size // (self.batch_size * self.steps))

    def batches(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        return windows(self.symbols, self.batch_size, self.steps)

    def validation(self) -> Iterator[Batch] | None:
        """The held-out sequence, or None."""
        if self.held_out is None:
            return None
        return windows(self.held_out, min(self.batch_size, len(self.held_out) - 1), self.steps)

    def fault(self, of_validation: bool) -> str | None:
        """None: symbols are always finite."""
        return None


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
        raise ValueError(
            "a stream of symbols needs a model with steps='all', loss='cross_entropy', "
            f"direction='forward' and n_x == n_y, got {config}"
        )
    a = validate.plain(name, symbols)
    a = validate.class_range(name, a, config.n_x, None, a.size)
    if len(a) <= more_than:
        raise ValueError(f"{name}: expected more than {more_than} symbols, got {len(a)}")
    return a


def windows(symbols: Array, m: int, T: int) -> Iterator[Batch]:
    """One long sequence (N,) as m parallel rows, T steps at a time; y is the next symbol.

    The sequence is cut into m equal parts, and row i reads part i, so that each window continues
    the one before. The last window may be shorter. Fewer than m symbols at the end are not read.
    """
    length = (len(symbols) - 1) // m
    x = symbols[: length * m].reshape(m, length).T  # (length, m)
    y = symbols[1 : length * m + 1].reshape(m, length).T
    for t in range(0, length, T):
        here, following = (np.ascontiguousarray(s[t : t + T], np.intp) for s in (x, y))
        yield Batch(here, following, None)
