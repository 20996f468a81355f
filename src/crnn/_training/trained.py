"""What training from examples and from streams have in common."""

from __future__ import annotations

from crnn._network.model import Model
from crnn._training.batches import TrainingData
from crnn._training.divergence import DivergenceError
from crnn._training.history import History
from crnn._training.plan import Plan
from crnn._training.rule import Memory, Optimizer, start
from crnn._training.train import train
from crnn._training.trainer import Trainer


class Trained(Model):
    """A model that is trained, and the state of its optimizer."""

    #: The optimizer of the last call, and its state.
    _memory: tuple[Optimizer, Memory] | None = None

    def _train(self, data: TrainingData, plan: Plan) -> History:
        if plan.patience is not None and data.held_out is None:
            raise ValueError("patience: expected None without validation data")
        if self._memory is None or self._memory[0] is not plan.optimizer:
            network = self._network
            memory = start(plan.optimizer, network.arena.flat, network.layout)
            self._memory = plan.optimizer, memory
        try:
            return train(Trainer(self._network, self._memory[1], plan), data, plan)
        except DivergenceError:
            self._memory = None
            raise
