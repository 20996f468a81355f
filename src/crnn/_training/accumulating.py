"""Steps on the mean gradient of several batches, as that of one larger batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from crnn._network.batch import Batch
from crnn._network.results import Means
from crnn._training.batches import Examples, LongSequence, Shards
from crnn._training.iterable import Batches
from crnn._training.series import LongSeries
from crnn._training.trainer import Trainer
from crnn.reference import Array


class Windows(list[Any]):
    """A group of batches, each of which continues from the state after the one before."""


@dataclass(frozen=True)
class Grouped:
    """Training data whose batches are groups of up to `k` batches of examples, or of windows."""

    data: Examples | Batches | LongSequence | LongSeries
    k: int

    @property
    def carry(self) -> bool:
        """Whether the state is passed on from batch to batch."""
        return self.data.carry

    @property
    def unit(self) -> str:
        """What `size` counts."""
        return self.data.unit

    @property
    def size(self) -> int | None:
        """The number of examples in an epoch, if it is known."""
        return self.data.size

    @property
    def held_out(self) -> Any:
        """The validation data, or None."""
        return self.data.held_out

    @property
    def num_batches(self) -> int | None:
        """The number of groups in an epoch, if it is known; the last may be smaller."""
        batches = self.data.num_batches
        return None if batches is None else -(-batches // self.k)

    def batches_of(self, groups: int) -> int:
        """The number of batches in the first groups of an epoch."""
        batches, most = groups * self.k, self.data.num_batches
        return batches if most is None else min(batches, most)

    def batches(self) -> Iterator[list[Any]]:
        """The groups of one epoch, of Batch or of Shards."""
        batches: Iterator[Any] = self.data.batches()
        while group := (Windows if self.carry else list)(islice(batches, self.k)):
            yield group

    def validation(self) -> Any:
        """The held-out examples, as those of the data, or None."""
        return self.data.validation()

    def fault(self, of_validation: bool) -> str | None:
        """The place in the data that explains a loss that is not finite."""
        return self.data.fault(of_validation)


class Accumulating(Trainer):
    """A trainer for groups of batches. Only one batch is in the network at a time."""

    #: The states before and after the last batch of a group.
    _before: Any = None
    _after: Any = None

    def update(
        self, batch: list[Batch], state: Any, norms: Array | None = None
    ) -> tuple[Means, float]:
        """Do one step, and return means over the group and the norm of its gradient."""
        done = super().update(batch, state, norms)
        self.last = batch[-1], self._before
        return done

    def gradient(self, batch: list[Batch], state: Any, norms: Array | None) -> Means:
        """Fill `gradients` with the mean over the rows of all batches of the group."""
        gradients, carries = self.gradients.flat, isinstance(batch, Windows)
        total = np.zeros(gradients.shape)  # (size,), float64: gradient times rows
        loss, metric, rows = 0.0, 0.0, 0
        for one in batch:
            self._before = state
            step = super().gradient(one, state, norms)
            if carries:
                state = self._after = super().state_after(step)
            total += gradients * np.float64(step.rows)
            loss += step.loss * step.rows
            metric += step.metric * step.rows
            rows += step.rows
        if len(batch) == 1:
            return step
        gradients[...] = total / rows
        return Means(loss / rows, metric / rows, rows)

    def state_after(self, step: Means) -> Any:
        """The state after the last window of the group."""
        return self._after


def examples_of(batch: Batch | Shards | list[Batch] | list[Shards]) -> int:
    """The number of examples in a batch or in a group of batches."""
    group = batch if isinstance(batch, list) else [batch]
    return sum(one.m for one in group)
