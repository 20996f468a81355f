"""The training loop: the same for batches of examples and for windows of a stream."""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._engine import kernels, validate
from crnn._network.data import Batch
from crnn._network.flow import Saturation, by_lag, rates, reach_of
from crnn._network.layers import State
from crnn._network.memory import MemoryLimit
from crnn._network.network import Network, Step, seed_for_noise
from crnn._network.penalties import Penalty
from crnn._training.batches import TrainingData
from crnn._training.history import History
from crnn._training.optim import Memory, Optimizer, clip_by_norm, clip_by_value
from crnn.reference import Array

VALIDATION_LOSS = "validation loss"


class DivergenceError(ArithmeticError):
    """A loss, a gradient or an update in training is not finite.

    The model has the parameters of the last step whose loss and gradient were finite. If NaN or
    infinity in the data is the cause, the message names the argument and the place.

    Attributes
    ----------
    step : int
        The step at which it happened, from 1.
    loss : float
        The loss of that step.
    fault : str or None
        What is not finite in the data, as in "x: expected finite numbers, got nan ...".

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 2, 2, rng=0)
    >>> try:
    ...     model.fit(np.full((3, 4, 1), np.nan), [0, 1, 0, 1], progress=False)
    ... except crnn.DivergenceError as error:
    ...     print(error.step, error.loss)
    1 nan
    """

    def __init__(self, step: int, loss: float, what: str, fault: str | None = None) -> None:
        self.step, self.loss, self.what, self.fault = step, loss, what, fault
        kept = "the parameters are those of the last good step"
        if fault is None:
            message = (
                f"training diverged at step {step}: the {what} is not finite (loss {loss:g}); "
                f"{kept}. A smaller learning rate or clip_norm helps."
            )
        else:
            message = (
                f"{fault}; because of it the {what} of step {step} is not finite (loss {loss:g}), "
                f"and {kept}"
            )
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.step, self.loss, self.what, self.fault)


@dataclass(frozen=True)
class Plan:
    """The arguments that `crnn.RNN.fit` and `fit_stream` share, checked."""

    epochs: int
    optimizer: Optimizer
    clip_norm: float | None
    clip_value: float | None
    patience: int | None
    progress: bool
    callback: Callable[[History], object] | None
    rng: np.random.Generator
    memory: MemoryLimit = None
    penalty: Penalty | None = None
    inspect: bool = False

    def __post_init__(self) -> None:
        validate.count("epochs", self.epochs)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                try:
                    most = validate.number(name, getattr(self, name), above=True)
                except ValueError as error:
                    raise ValueError(f"{error}; None means no clipping") from None
                object.__setattr__(self, name, most)
        if self.patience is not None:
            validate.count("patience", self.patience)
        validate.flag("progress", self.progress)
        validate.flag("inspect", self.inspect)
        if self.inspect and self.memory is not None:
            raise ValueError("inspect: expected False with memory, which keeps no states, got True")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback: expected a callable, got {self.callback!r}")


class _Epoch:
    """Running sums of one epoch."""

    def __init__(self) -> None:
        self.steps = self.rows = 0
        self.loss = self.metric = self.norm = self.seconds = 0.0

    def add(self, step: Step, norm: float, seconds: float) -> None:
        self.steps += 1
        self.rows += step.rows
        self.loss += step.loss * step.rows
        self.metric += step.metric * step.rows
        self.norm += norm
        self.seconds += seconds

    def close(self, history: History) -> None:
        history.loss.append(self.loss / self.rows)
        history.metric.append(self.metric / self.rows)
        history.gradient_norm.append(self.norm / self.steps)
        history.steps_per_second.append(self.steps / self.seconds)


class _Interrupt:
    """Within this context Ctrl-C sets a flag instead of raising in the middle of a step.

    A second Ctrl-C raises at once, because a step, a validation or a callback may take long. The
    handler is set only in the main thread and only in place of Python's own: a program that handles
    the signal itself continues to do so.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> _Interrupt:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) == self._request
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _request(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


def _without_warnings() -> np.errstate:
    """No warnings of NumPy about numbers that are not finite: training checks for them itself.

    This applies to the network's own arithmetic only. Callbacks and optimizers, which a user may
    have written, run in the error state of the caller of `fit`.
    """
    return np.errstate(all="ignore")


class Trainer:
    """Updates the parameters of a network. A step that is not finite or not finished is undone."""

    def __init__(self, network: Network, memory: Memory, plan: Plan) -> None:
        self.network, self.memory, self.plan = network, memory, plan
        network.project()  # the caller may have assigned other parameters
        self.parameters = network.arena.flat  # (size,)
        self.gradients = network.new_arena()
        self.buffers = network.new_buffers()
        self.last_good = self.parameters.copy()
        self.last: tuple[Batch, State | None]
        self.steps = 0

    def update(
        self, batch: Batch, state: State | None, norms: Array | None = None
    ) -> tuple[Step, float]:
        """Do one step, and return it with the gradient's norm before clipping.

        Fills `norms` of the gradients of the states, if they are given. Raises DivergenceError.
        """
        self.steps += 1
        gradients = self.gradients.flat
        with _without_warnings():
            step = self.network.gradients(
                batch, state, self.gradients.views, self.buffers, self._noise(),
                norms=norms, memory=self.plan.memory, penalty=self.plan.penalty,
            )  # fmt: skip
        norm = self._clip(gradients)
        self._require(math.isfinite(step.loss), step.loss, "loss")
        self._require(math.isfinite(norm), step.loss, "gradient")
        self.last_good[...] = self.parameters
        try:
            self.plan.optimizer.step(self.parameters, gradients, self.memory)
            self._require(kernels.all_finite(self.parameters), step.loss, "update")
            self.network.project()
        except BaseException:  # a second Ctrl-C: undo a step that is half done or not yet checked
            self.parameters[...] = self.last_good
            raise
        self.last = batch, state
        return step, norm

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
        """A seed for the noise of one step, or None if the cell has none."""
        return seed_for_noise(self.plan.rng if self.network.config.noise else None)

    def confirm(self, held_out: Iterable[Batch] | None, carry: bool) -> tuple[float, float]:
        """Loss and metric on held-out batches, or by default on the last training batch.

        A step is known to be good if the next step's loss is finite. For the last step this loss
        is checked instead.
        """
        batches, state = held_out, None
        if batches is None:
            batch, state = self.last
            batches = [batch]
        with _without_warnings():
            loss, metric = self.network.evaluate(
                batches, carry, state, self.buffers, self.plan.memory
            )
        self._require(math.isfinite(loss), loss, "loss" if held_out is None else VALIDATION_LOSS)
        return loss, metric

    def _require(self, finite: bool, loss: float, what: str) -> None:
        if not finite:
            self.parameters[...] = self.last_good
            raise DivergenceError(self.steps, loss, what)


def train(trainer: Trainer, data: TrainingData, plan: Plan) -> History:
    """Train on the data according to the plan."""
    try:
        return _train(trainer, data, plan)
    except DivergenceError as error:
        fault = data.fault(error.what == VALIDATION_LOSS)
        if fault is None:
            raise
        raise DivergenceError(error.step, error.loss, error.what, fault) from None


def _train(trainer: Trainer, data: TrainingData, plan: Plan) -> History:
    history = History(trainer.network.loss.metric)
    best = trainer.parameters.copy()
    with _progress_bar(plan, data) as bar, _Interrupt() as interrupt:
        for epoch in range(plan.epochs):
            if bar is not None:
                bar.set_description(f"epoch {epoch + 1}/{plan.epochs}", refresh=False)
            _one_epoch(trainer, data, history, bar, interrupt)
            held_out = None if interrupt.requested else data.validation()
            if held_out is not None:
                loss, metric = trainer.confirm(held_out, data.carry)
                if history.best_epoch is None or loss < history.val_loss[history.best_epoch]:
                    history.best_epoch = epoch
                    best[...] = trainer.parameters
                history.val_loss.append(loss)
                history.val_metric.append(metric)
            enough = plan.callback is not None and _is_true(plan.callback(history))
            if interrupt.requested:
                history.interrupted = True
                break
            if plan.patience is not None and epoch - (history.best_epoch or 0) >= plan.patience:
                enough = True
            if enough:
                history.stopped_early = True
                break
        if data.held_out is None or history.interrupted:
            trainer.confirm(None, data.carry)
    if plan.patience is not None and not history.interrupted:
        trainer.parameters[...] = best
    return history


def _is_true(answer: object) -> bool:
    """Whether the answer is True itself or NumPy's; other true values do not count."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def _one_epoch(
    trainer: Trainer, data: TrainingData, history: History, bar: Any, interrupt: _Interrupt
) -> None:
    """Train on every batch once, or on those before Ctrl-C."""
    sums = _Epoch()
    state: State | None = None
    for batch in data.batches():
        began = time.perf_counter()
        norms = None
        if trainer.plan.inspect and sums.steps == 0:
            cells = len(trainer.network.config.recurrences())
            norms = np.empty((cells, *batch.x.shape[:2]))  # (cells, T, m)
        step, norm = trainer.update(batch, state, norms)
        if norms is not None:
            _inspect(trainer, batch, step, norms, history)
        sums.add(step, norm, time.perf_counter() - began)
        state = step.trace.final_states() if data.carry else None
        if bar is not None:
            bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
            bar.update(step.rows if data.carry else batch.x.shape[1])
        if interrupt.requested:
            break
    sums.close(history)
    history.learning_rate.append(float(getattr(trainer.plan.optimizer, "lr", math.nan)))


def _inspect(trainer: Trainer, batch: Batch, step: Step, norms: Array, history: History) -> None:
    """Write down how far the gradient of a batch reaches, and what is saturated."""
    config, (T, m) = trainer.network.config, batch.x.shape[:2]
    ends = np.full(m, T) if batch.lengths is None else batch.lengths
    rate = rates(by_lag(norms, ends, [place.reverse for place in config.recurrences()]))
    seen = Saturation(config)
    seen.add(step.trace)
    history.rate.append(rate.tolist())
    history.reach.append(reach_of(rate, 1 / math.e).tolist())
    history.saturated.append(seen.saturated().tolist())


def _progress_bar(plan: Plan, data: TrainingData) -> Any:
    """The context of a tqdm bar on stderr with loss and throughput, or of None without progress."""
    if not plan.progress or sys.stderr is None:  # None: a program without a console
        return contextlib.nullcontext()
    from tqdm import tqdm  # imported here to keep `import crnn` fast

    return tqdm(
        total=plan.epochs * data.size,
        unit=data.unit,
        unit_scale=True,
        mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds; a log keeps every line
    )
