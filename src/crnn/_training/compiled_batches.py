"""The batches of compiled steps: see `crnn._engine.steps`. Those of a step are a group."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar, cast

import numpy as np

from crnn._network.batch import Batch
from crnn._network.config import Config
from crnn._network.recurrences import State
from crnn._training.batches import Examples, LongSequence
from crnn._training.compiled_arrays import examples_of
from crnn._training.series import LongSeries
from crnn.reference import Array


class ExampleBatches:
    """Batches of examples, in an order that is drawn for each epoch."""

    carry: ClassVar[bool] = False

    def __init__(self, config: Config, data: Examples, k: int) -> None:
        self._every_step, self._examples, self._k = config.every_step, data, k
        sequences = self._sequences = data.sequences
        self.T, self.m, self.start = sequences.longest, data.batch_size, sequences.start
        #: (M,), or None; nobody else can change them
        self.lengths = None if sequences.lengths is None else sequences.lengths.copy()
        steps_of_y = self.T if config.every_step else None
        self.data: list[Any] = [
            None if values is None else examples_of(values, sequences.m, steps, self.m)
            for values, steps in (
                (sequences.x, self.T), (sequences.y, steps_of_y), (sequences.weights, steps_of_y)
            )
        ]  # fmt: skip

    def groups(self) -> Iterator[list[Array]]:
        """The groups of an epoch: of each batch the numbers of its examples."""
        rng = self._examples.rng
        order = iter(cast(list[Array], self._sequences.order(self.m, rng)))
        while group := list(islice(order, self._k)):
            yield group

    def placed(self, groups: list[list[Array]]) -> tuple[Array, Array]:
        """The order of the examples of these groups, and of each batch its place, (batches, 4)."""
        batches = [batch for group in groups for batch in group]
        places = np.zeros((len(batches), 4), np.intp)
        places[:, 1] = np.cumsum([len(batch) for batch in batches])
        places[1:, 0] = places[:-1, 1]
        places[:, 3] = self.T
        return np.concatenate(batches), places

    def rows(self, batch: Array) -> int:
        """The rows of a batch over which its loss is the mean."""
        if not self._every_step:
            return len(batch)
        return len(batch) * self.T if self.lengths is None else int(self.lengths[batch].sum())

    def shown(self, batch: Array) -> int:
        """What the progress bar counts."""
        return len(batch)

    def batch(self, batch: Array) -> Batch:
        """The batch as a pass in Python takes it."""
        return self._sequences.batch(batch)


class WindowBatches:
    """The windows of a stream, through which the state is carried."""

    carry: ClassVar[bool] = True
    lengths: ClassVar[None] = None
    start: ClassVar[State | None] = None

    def __init__(self, data: LongSequence | LongSeries, k: int) -> None:
        self._stream, self._k = data, k
        self.T, self.m = min(data.steps, data.length), data.m
        self.data: list[Any] = [None] * 3
        self._read(0, self.T)

    def groups(self) -> Iterator[range]:
        """The groups of an epoch: of each window its number."""
        windows = self._stream.num_batches
        for first in range(0, windows, self._k):
            yield range(first, min(first + self._k, windows))

    def placed(self, groups: list[range]) -> tuple[Array, Array]:
        """As for examples, which are the rows; `data` then has their steps in these windows."""
        windows = np.arange(groups[0][0], groups[-1][-1] + 1)
        begin, end = self._ends(windows[0])[0], self._ends(windows[-1])[1]
        self._read(begin, end)
        places = np.zeros((len(windows), 4), np.intp)
        places[:, 1] = self.m
        places[:, 2] = windows * self._stream.steps - begin
        places[:, 3] = np.minimum(self.T, end - begin - places[:, 2])
        return np.arange(self.m), places

    def rows(self, window: int) -> int:
        """The rows of a window."""
        begin, end = self._ends(window)
        return (end - begin) * self.m

    def shown(self, window: int) -> int:
        """What the progress bar counts."""
        return self.rows(window)

    def batch(self, window: int) -> Batch:
        """The window as a pass in Python takes it."""
        return self._stream.part(*self._ends(window))

    def _ends(self, window: int) -> tuple[int, int]:
        """The first step of a window, and the one after its last."""
        begin = int(window) * self._stream.steps
        return begin, min(begin + self._stream.steps, self._stream.length)

    def _read(self, begin: int, end: int) -> None:
        """Have these steps in `data`. The arrays for a batch remain the same."""
        part = self._stream.part(begin, end)
        for k, values in enumerate((part.x, part.y, part.weights)):
            if values is not None:
                found, before = examples_of(values, self.m, self.T, self.m), self.data[k]
                self.data[k] = found if before is None else (*found[:3], before[3], found[4])
