"""Steps on the mean gradient of several batches, as that of one larger batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from crnn._network.data import Batch
from crnn._network.network import Means
from crnn._training.batches import Examples, Shards
from crnn._training.iterable import Batches
from crnn._training.trainer import Trainer
from crnn.reference import Array


@dataclass(frozen=True)
class Grouped:
    """Training data whose batches are groups of up to `k` batches of examples."""

    data: Examples | Batches
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

    def batches(self) -> Iterator[list[Any]]:
        """The groups of one epoch, of Batch or of Shards."""
        batches: Iterator[Any] = self.data.batches()
        while group := list(islice(batches, self.k)):
            yield group

    def validation(self) -> Any:
        """The held-out examples, as those of the data, or None."""
        return self.data.validation()

    def fault(self, of_validation: bool) -> str | None:
        """The place in the data that explains a loss that is not finite."""
        return self.data.fault(of_validation)


class Accumulating(Trainer):
    """A trainer for groups of batches. Only one batch is in the network at a time."""

    def update(
        self, batch: list[Batch], state: Any, norms: Array | None = None
    ) -> tuple[Means, float]:
        """Do one step, and return means over the group and the norm of its gradient."""
        done = super().update(batch, state, norms)
        self.last = batch[-1], state
        return done

    def gradient(self, batch: list[Batch], state: Any, norms: Array | None) -> Means:
        """Fill `gradients` with the mean over the rows of all batches of the group."""
        if len(batch) == 1:
            return super().gradient(batch[0], state, norms)
        gradients = self.gradients.flat
        total = np.zeros(gradients.shape)  # (size,), float64: gradient times rows
        loss, metric, rows = 0.0, 0.0, 0
        for one in batch:
            step = super().gradient(one, state, norms)
            total += gradients * np.float64(step.rows)
            loss += step.loss * step.rows
            metric += step.metric * step.rows
            rows += step.rows
        gradients[...] = total / rows
        return Means(loss / rows, metric / rows, rows)


def examples_of(batch: Batch | Shards | list[Batch] | list[Shards]) -> int:
    """The number of examples in a batch or in a group of batches."""
    group = batch if isinstance(batch, list) else [batch]
    return sum(one.m for one in group)
