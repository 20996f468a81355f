"""What training from examples and from streams have in common."""

from __future__ import annotations

from typing import Any

from crnn._network.model import Model
from crnn._training.accumulating import Accumulating
from crnn._training.cores import divided
from crnn._training.course import Course
from crnn._training.divergence import DivergenceError
from crnn._training.fingerprint import fingerprint
from crnn._training.history import History
from crnn._training.keeper import Keeper
from crnn._training.parallel import ParallelTrainer
from crnn._training.plan import Plan
from crnn._training.resuming import Resumed, resumed
from crnn._training.rule import Memory, Optimizer, begin, set_end, start
from crnn._training.train import TrainingData, train
from crnn._training.trainer import Trainer


class Trained(Model):
    """A model that is trained, and the state of its optimizer."""

    #: The optimizer of the last call, and its state.
    _memory: tuple[Optimizer, Memory] | None = None

    def _train(self, data: TrainingData, plan: Plan) -> History:
        if plan.patience is not None and data.held_out is None:
            raise ValueError("patience: expected None without validation data")
        ranks, request = plan.ranks, plan.checkpoint
        arguments: dict[str, Any] = {}
        if request is not None or ranks.size > 1:
            arguments = fingerprint(data, plan, self._network.loss)
        ranks.begin({"the model": self.config, **plan.same(), **_same_on_all_ranks(arguments)})
        memory, batches = self._state_of(plan.optimizer), ranks.most(data.num_batches)
        steps = None if batches is None else plan.epochs * batches
        course = Course(History(self._network.loss.metric), self._network.arena.flat.copy())
        found: Resumed | None = None
        if request is not None and request.source is not None:
            found = ranks.from_first(lambda: resumed(self._network, data, batches, plan, arguments))
        if found is None:
            ranks.share_memory(memory)
            begin(plan.optimizer, memory, steps)
        else:
            memory, course = found.memory, found.course
            set_end(plan.optimizer, memory, steps)
            found.restore(self._network, plan.rng, self.metadata)
        self._memory = plan.optimizer, memory
        make: type[Trainer] = Accumulating if plan.accumulate > 1 else Trainer
        if not ranks.alone:
            make = ParallelTrainer
            ranks.share_arena(self._network.arena)
            ranks.share_generator(plan.rng)
        try:
            with divided(ranks):
                trainer, keeper = make(self._network, memory, plan), None
                if request is not None:
                    trainer.steps = 0 if found is None else found.steps
                    course.state = trainer.of_this_rank(course.state)
                    keeper = Keeper(request, trainer, course, arguments, self.metadata)
                return train(trainer, data, plan, course, keeper)
        except DivergenceError:
            self._memory = None
            raise

    def _state_of(self, optimizer: Optimizer) -> Memory:
        """The state of the optimizer: that of the last call, if it is the same object."""
        if self._memory is not None and self._memory[0] is optimizer:
            return self._memory[1]
        return start(optimizer, self._network.arena.flat, self._network.layout)


def _same_on_all_ranks(arguments: dict[str, Any]) -> dict[str, Any]:
    """All but the seed, for which that of the first rank counts, and batches of each rank's own."""
    own = {"rng", "x"} if arguments.get("data") == "Batches" else {"rng"}
    return {name: value for name, value in arguments.items() if name not in own}
