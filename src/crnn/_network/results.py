"""What passes over batches give: means of a batch, and sums over several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from crnn._network.layers import Trace


@dataclass
class Means:
    """The loss and the metric of a batch: means over its counted rows."""

    loss: float
    metric: float
    rows: int


@dataclass
class Step(Means):
    """The result of a forward and backward pass.

    Its trace is valid until the next pass that uses the same buffers.
    """

    trace: Trace


class Totals(NamedTuple):
    """Sums of loss and metric over the counted rows of some batches."""

    loss: float
    metric: float
    rows: int

    @property
    def means(self) -> tuple[float, float]:
        """The mean loss and the mean metric."""
        return self.loss / self.rows, self.metric / self.rows
