"""What training from examples and from streams have in common."""

from __future__ import annotations

from crnn._network.model import Model
from crnn._training.accumulating import Accumulating
from crnn._training.divergence import DivergenceError
from crnn._training.history import History
from crnn._training.plan import Plan
from crnn._training.rule import Memory, Optimizer, begin, start
from crnn._training.train import TrainingData, train
from crnn._training.trainer import Trainer


class Trained(Model):
    """A model that is trained, and the state of its optimizer."""

    #: The optimizer of the last call, and its state.
    _memory: tuple[Optimizer, Memory] | None = None

    def _train(self, data: TrainingData, plan: Plan) -> History:
        if plan.patience is not None and data.held_out is None:
            raise ValueError("patience: expected None without validation data")
        memory, batches = self._state_of(plan.optimizer), data.num_batches
        begin(plan.optimizer, memory, None if batches is None else plan.epochs * batches)
        self._memory = plan.optimizer, memory
        try:
            make = Accumulating if plan.accumulate > 1 else Trainer
            return train(make(self._network, memory, plan), data, plan)
        except DivergenceError:
            self._memory = None
            raise

    def _state_of(self, optimizer: Optimizer) -> Memory:
        """The state of the optimizer: that of the last call, if it is the same object."""
        if self._memory is not None and self._memory[0] is optimizer:
            return self._memory[1]
        return start(optimizer, self._network.arena.flat, self._network.layout)
