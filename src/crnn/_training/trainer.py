"""One step of training: the gradient, clipping, the optimizer; undone if it is not finite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crnn._engine import kernels
from crnn._network.network import Network, Options
from crnn._network.noise import seed_for_noise
from crnn._network.results import Means, Step
from crnn._training.divergence import VALIDATION_LOSS, DivergenceError
from crnn._training.interrupt import Interrupt
from crnn._training.optim import clip_by_norm, clip_by_value
from crnn._training.plan import Plan
from crnn._training.rule import Memory
from crnn._training.undo import Undo
from crnn.reference import Array


class Trainer:
    """Updates the parameters of a network. A step that is not finite or not finished is undone.

    After a step that is not finished, as when Ctrl-C raises in it, the optimizer's memory is that
    of before too. After one that is not finite, its callers give it up.
    """

    def __init__(self, network: Network, memory: Memory, plan: Plan) -> None:
        self.network = network
        self.parameters = network.arena.flat  # (size,)
        self.gradients = network.new_arena()
        self.buffers = network.new_buffers()
        self.last_good = np.empty_like(self.parameters)  # (size,)
        self._undo = Undo()
        self.restart(memory, plan)
        self.last: tuple[Any, Any] | None = None  # batch and state
        self.steps = 0
        self.interrupt = Interrupt(hold=plan.checkpoint is not None)

    @property
    def stopped(self) -> bool:
        """Whether training ends after this step because of Ctrl-C."""
        return self.interrupt.requested

    @property
    def held(self) -> bool:
        """Whether a signal waits until the file is written."""
        return self.interrupt.held is not None

    @property
    def options(self) -> Options:
        """How its passes are run."""
        return Options(self.buffers, self.plan.memory, self.plan.penalty)

    def restart(self, memory: Memory, plan: Plan) -> None:
        """Begin with the parameters as they are; the caller may have assigned others."""
        self.memory, self.plan = memory, plan
        self.network.project()
        self.last_good[...] = self.parameters

    def update(self, batch: Any, state: Any, norms: Array | None = None) -> tuple[Means, float]:
        """Do one step, and return it with the gradient's norm before clipping.

        The batch and the state are those that `gradient` takes. Fills `norms` of the gradients of
        the states, if they are given. Raises DivergenceError.
        """
        self.steps += 1
        gradients = self.gradients.flat
        with without_warnings():
            step = self.gradient(batch, state, norms)
        norm = self._clip(gradients)
        self._require(math.isfinite(step.loss), step.loss, "loss")
        self._require(math.isfinite(norm), step.loss, "gradient")
        self.last_good[...] = self.parameters
        self._undo.take(self.memory)
        done = batch, state
        try:
            self.plan.optimizer.step(self.parameters, gradients, self.memory)
            self._require(kernels.all_finite(self.parameters), step.loss, "update")
            self.network.project()
            self.last = done  # from here on the step is finished
        except BaseException:  # such as Ctrl-C: undo a step that is half done or not yet checked
            if self.last is not done:
                self.parameters[...] = self.last_good
                self._undo.restore()
            raise
        return step, norm

    def has_finished(self, batch: Any) -> bool:
        """Whether the last step that is finished is that of this batch."""
        return self.last is not None and self.last[0] is batch

    def gradient(self, batch: Any, state: Any, norms: Array | None) -> Means:
        """Fill `gradients` with that of a Batch from a State, or from zeros without one."""
        return self.network.gradients(
            batch, self.gradients.views, self.options, state, self._noise(), norms
        )

    def state_after(self, step: Means) -> Any:
        """The state from which the next window continues; valid for the last step only."""
        assert isinstance(step, Step)
        return step.trace.final_states()

    def of_all_ranks(self, state: Any) -> Any:
        """The state of `state_after` with those of the other ranks, as a file holds it."""
        return state

    def of_this_rank(self, state: Any) -> Any:
        """The opposite of `of_all_ranks`."""
        return state

    def _clip(self, gradients: Array) -> float:
        """Clip by value, then by norm; return the norm before both."""
        if self.plan.clip_value is None:
            return clip_by_norm(gradients, self.plan.clip_norm)
        norm = clip_by_norm(gradients, None)
        if math.isfinite(norm):
            clip_by_value(gradients, self.plan.clip_value)
            clip_by_norm(gradients, self.plan.clip_norm)
        return norm

    def _noise(self) -> int | None:
        """A seed for the noise and the dropout of one step, or None if there is neither."""
        return seed_for_noise(self.plan.rng if self.network.config.draws else None)

    def confirm(self, held_out: Any, carry: bool) -> tuple[float, float]:
        """Loss and metric on held-out batches, or by default on the last training batch.

        A step is known to be good if the next step's loss is finite. For the last step this loss
        is checked instead.
        """
        with without_warnings():
            loss, metric = self.evaluate(held_out, carry)
        self._require(math.isfinite(loss), loss, "loss" if held_out is None else VALIDATION_LOSS)
        return loss, metric

    def evaluate(self, held_out: Any, carry: bool) -> tuple[float, float]:
        """Mean loss and metric on an Iterable of Batch, or on the last training batch."""
        batches, state = held_out, None
        if batches is None:
            assert self.last is not None
            batch, state = self.last
            batches = [batch]
        return self.network.sums(batches, self.options, carry, state).means

    def confirm_last(self, carry: bool) -> None:
        """Check the last step, if one was done since the trainer was made."""
        if self.last is not None:
            self.confirm(None, carry)

    def _require(self, finite: bool, loss: float, what: str) -> None:
        if not finite:
            self.parameters[...] = self.last_good
            raise DivergenceError(self.steps, loss, what)


def without_warnings() -> np.errstate:
    """No warnings of NumPy about numbers that are not finite: training checks for them itself.

    This applies to the network's own arithmetic only. Callbacks and optimizers, which a user may
    have written, run in the error state of the caller of `fit`.
    """
    return np.errstate(all="ignore")
