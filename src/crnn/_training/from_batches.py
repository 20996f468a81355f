"""Training a batch at a time, in a loop of the caller's: methods of `crnn.RNN`."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from crnn._engine import validate
from crnn._network.answers import check_finals
from crnn._network.class_weight import checked as checked_class_weight
from crnn._network.data import Sequences
from crnn._network.memory import checked_memory
from crnn._network.penalties import Penalty, checked
from crnn._network.recurrences import State
from crnn._network.state import shown_state
from crnn._training.batches import shards_of
from crnn._training.cores import divided
from crnn._training.divergence import DivergenceError
from crnn._training.optim import SGD, Optimizer, chosen
from crnn._training.parallel import ParallelTrainer
from crnn._training.plan import Plan
from crnn._training.ranks import over_ranks
from crnn._training.rule import begin
from crnn._training.trained import Trained
from crnn._training.trainer import Trainer


class FromBatches(Trained):
    """A model that learns a batch at a time."""

    #: The trainer of the last call, whose arrays the next one uses.
    _trainer: Trainer | None = None

    @overload
    def train_on_batch(
        self, x: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None,
        optimizer: Optimizer | str = SGD(0.1), clip_norm: float | None = None,  # noqa: B008
        clip_value: float | None = None, rng: Any = None, memory: Any = None,
        penalty: Penalty | None = None, a0: Any = None, return_state: Literal[False] = False,
        class_weight: Any = None, comm: Any = None, shards: int | None = None,
    ) -> tuple[float, float]: ...  # fmt: skip
    @overload
    def train_on_batch(
        self, x: Any, y: Any, *, lengths: Any = None, sample_weight: Any = None,
        optimizer: Optimizer | str = SGD(0.1), clip_norm: float | None = None,  # noqa: B008
        clip_value: float | None = None, rng: Any = None, memory: Any = None,
        penalty: Penalty | None = None, a0: Any = None, return_state: Literal[True],
        class_weight: Any = None, comm: Any = None, shards: int | None = None,
    ) -> tuple[float, float, list[Any]]: ...  # fmt: skip
    @over_ranks
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
        return_state: bool = False,
        class_weight: Any = None,
        comm: Any = None,
        shards: int | None = None,
    ) -> Any:
        """Take one step of training on all examples of the call.

        Calls with the same optimizer object, of this method, `fit` and `fit_stream`, continue with
        its momentum or moments and its schedule.

        Parameters
        ----------
        x, y, lengths, sample_weight, a0, return_state
            As for `gradients`. The weights are scaled to a mean of 1 over the batch. To train
            through a long sequence, begin each call from the state that the last one returned.
        optimizer, clip_norm, clip_value, memory, penalty
            As for `fit`. A schedule needs its number of steps, and `OnPlateau`, which watches
            epochs, does not change.
        class_weight : dict of int to float, optional
            As for `fit`.
        rng : int or numpy.random.Generator, optional
            Draws dropout and the noise of a leaky cell. Give a Generator: a number draws the same
            at each call.
        comm, shards
            As for `fit`: every rank has the same arrays, and works on its own rows of them. The
            first of several calls with the same optimizer and `comm` sends the parameters and the
            optimizer's state of the first rank to the others.

        Returns
        -------
        loss, metric : float
            Of the batch, before the step.
        state : list of array (m, n_a), or of pairs of them
            With return_state=True, the state after each example's last step, before the step of
            training.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; nothing is changed.
        DivergenceError
            If the loss, the gradient or the update is not finite; the parameters are those before
            the call, and the optimizer starts anew.
        KeyboardInterrupt
            At Ctrl-C. Parameters, optimizer and `rng` are as before the call, or as after it.

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
            validate.generator(rng), checked_memory(memory), penalty,
            ranks=comm,
        )  # fmt: skip
        validate.given("y", y)
        sequences = Sequences(
            self.config, x, y, lengths, sample_weight, a0,
            class_weight=checked_class_weight(class_weight, self.config, totals_known=False),
        )  # fmt: skip
        check_finals(sequences, return_state, plan.memory)
        batch = sequences.batch() if comm.alone else shards_of(sequences, None, comm)
        memory_before, trainer = self._memory, None
        drawn_before = plan.rng.bit_generator.state if self.config.draws else None
        try:
            trainer = self._ready(sequences, plan, return_state)
            with divided(comm):
                step, _ = trainer.update(batch, None)
        except DivergenceError as error:
            self._memory = None
            fault = sequences.fault()
            if fault is None:
                raise
            raise DivergenceError(error.step, error.loss, error.what, fault) from None
        except BaseException:  # such as Ctrl-C: all is as before the call, unless the step is done
            if trainer is None or not trainer.has_finished(batch):
                self._memory = memory_before
                if drawn_before is not None:
                    plan.rng.bit_generator.state = drawn_before
            raise
        if not return_state:
            return step.loss, step.metric
        return step.loss, step.metric, shown_state(_whole(trainer, trainer.state_after(step)))

    def _ready(self, sequences: Sequences, plan: Plan, return_state: bool) -> Trainer:
        """The trainer of the last call, or another one, ready for a step that all ranks do."""
        ranks, trainer, state = plan.ranks, self._trainer, self._state_of(plan.optimizer)
        if trainer is not None and not trainer.plan.ranks.like(ranks):
            trainer = None
        joined = trainer is not None and trainer.memory is state
        of_this_step = {
            "the size of x": (sequences.m, sequences.longest),
            "the number of steps before": trainer.steps if trainer and joined else 0,
            "return_state": bool(return_state),
        }
        ranks.begin({"the model": self.config, **plan.same(), **of_this_step})
        if not joined:
            ranks.share_memory(state)
        begin(plan.optimizer, state, None)
        self._memory = plan.optimizer, state
        if not joined:
            ranks.share_arena(self._network.arena)
        if trainer is None:
            trainer = (Trainer if ranks.alone else ParallelTrainer)(self._network, state, plan)
        if self.config.noise or self.config.dropout:
            ranks.share_generator(plan.rng)
        trainer.restart(state, plan)
        self._trainer = trainer
        return trainer


def _whole(trainer: Trainer, state: Any) -> State:
    """The states of all examples, of the trainer's own, which may be parts on several ranks."""
    if trainer.plan.ranks.alone:
        return state  # type: ignore[no-any-return]
    parts = [part for part in trainer.of_all_ranks(state) if part is not None]
    return [
        tuple(np.concatenate(arrays) for arrays in zip(*items, strict=True))
        for items in zip(*parts, strict=True)
    ]
