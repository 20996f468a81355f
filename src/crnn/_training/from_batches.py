"""Training a batch at a time, in a loop of the caller's: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any

from crnn._engine import validate
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.penalties import Penalty, checked
from crnn._training.divergence import DivergenceError
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.plan import Plan
from crnn._training.rule import begin
from crnn._training.trained import Trained
from crnn._training.trainer import Trainer


class FromBatches(Trained):
    """A model that learns a batch at a time."""

    #: The trainer of the last call, whose arrays the next one uses.
    _trainer: Trainer | None = None

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        *,
        lengths: Any = None,
        sample_weight: Any = None,
        optimizer: Optimizer | str = SGD(0.1),  # noqa: B008 - frozen
        clip_norm: float | None = None,
        clip_value: float | None = None,
        rng: Any = None,
        memory: Any = None,
        penalty: Penalty | None = None,
        a0: Any = None,
    ) -> tuple[float, float]:
        """Take one step of training on all examples of the call.

        Calls with the same optimizer object, of this method, `fit` and `fit_stream`, continue with
        its momentum or moments and its schedule.

        Parameters
        ----------
        x, y, lengths, sample_weight, a0
            As for `gradients`. The weights are scaled to a mean of 1 over the batch.
        optimizer, clip_norm, clip_value, memory, penalty
            As for `fit`. A schedule needs its number of steps, and `OnPlateau`, which watches
            epochs, does not change.
        rng : int or numpy.random.Generator, optional
            Draws the noise of a leaky cell. Give a Generator: a number draws the same at each call.

        Returns
        -------
        loss, metric : float
            Of the batch, before the step.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; nothing is changed.
        DivergenceError
            If the loss, the gradient or the update is not finite; the parameters are those before
            the call, and the optimizer starts anew.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> rng, adam = np.random.default_rng(0), crnn.Adam(1e-2)
        >>> model = crnn.RNN(1, 16, 2, rng=0)
        >>> for _ in range(60):
        ...     x = rng.standard_normal((12, 32, 1))
        ...     y = (x.sum(axis=0)[:, 0] > 0).astype(int)      # the sign of the sum
        ...     loss, accuracy = model.train_on_batch(x, y, optimizer=adam)
        >>> accuracy > 0.8
        True
        """
        penalty = checked(penalty)
        plan = Plan(
            1, chosen(optimizer), clip_norm, clip_value, None, False, None,
            validate.generator(rng), checked_memory(memory, self.config, penalty), penalty,
        )  # fmt: skip
        sequences = Sequences(self.config, x, validate.given("y", y), lengths, sample_weight, a0)
        state = self._state_of(plan.optimizer)
        begin(plan.optimizer, state, None)
        self._memory = plan.optimizer, state
        if self._trainer is None:
            self._trainer = Trainer(self._network, state, plan)
        self._trainer.restart(state, plan)
        try:
            step, _ = self._trainer.update(sequences.batch(), None)
        except DivergenceError as error:
            self._memory = None
            fault = sequences.fault()
            if fault is None:
                raise
            raise DivergenceError(error.step, error.loss, error.what, fault) from None
        return step.loss, step.metric
