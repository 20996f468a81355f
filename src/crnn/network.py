"""A network: a configuration, its parameters in one arena, and its loss, over whole batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crnn import layers
from crnn._arena import Arena, Views
from crnn.config import Config
from crnn.data import Batch
from crnn.layers import State
from crnn.losses import LOSSES
from crnn.reference import Array


@dataclass
class Step:
    """One forward and backward pass: means over its counted rows."""

    loss: float
    metric: float
    rows: int
    state: State  # after the last step, per cell


class Network:
    """What `crnn.RNN` and the training loop share."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.arena = self.new_arena()
        self.loss = LOSSES[config.loss]

    @property
    def parameters(self) -> Views:
        """The arena's views, by name."""
        return self.arena.views

    def new_arena(self) -> Arena:
        """Make room for one number per parameter, all zero."""
        return Arena(self.config.shapes(), self.config.np_dtype)

    def forward(self, batch: Batch, state: State | None = None) -> layers.Trace:
        """Run the batch from `state`, or from zeros."""
        return layers.forward(self.config, self.parameters, batch.x, batch.lengths, state)

    def gradients(self, batch: Batch, state: State | None, gradients: dict[str, Array]) -> Step:
        """Run the batch forward and backward; fill `gradients`."""
        trace = self.forward(batch, state)
        loss, metric = self._descend(trace, batch)
        layers.backward(self.config, self.parameters, trace, trace.logits, gradients)
        return Step(loss, metric, len(trace.logits), trace.final_states())

    def evaluate(
        self, batches: Iterable[Batch], carry: bool = False, state: State | None = None
    ) -> tuple[float, float]:
        """Mean loss and metric over all rows of all batches, the first from `state`."""
        rows, loss, metric = 0, 0.0, 0.0
        for batch in batches:
            trace = self.forward(batch, state)
            mean_loss, mean_metric = self._descend(trace, batch)
            loss += mean_loss * len(trace.logits)
            metric += mean_metric * len(trace.logits)
            rows += len(trace.logits)
            state = trace.final_states() if carry else None
        return loss / rows, metric / rows

    def _descend(self, trace: layers.Trace, batch: Batch) -> tuple[float, float]:
        """Mean loss and metric of a batch; the trace's logits become the loss's gradient."""
        weights = None if batch.weights is None else trace.rows_of(batch.weights)
        return self.loss.descend(trace.logits, trace.rows_of(batch.y), weights)
