"""The training loop: the same for batches of examples and for windows of a stream."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from crnn._network.data import Batch
from crnn._network.flow import Saturation, by_lag, rates, reach_of
from crnn._network.network import Means, Step
from crnn._training.accumulating import Grouped, examples_of
from crnn._training.batches import Examples, LongSequence
from crnn._training.divergence import VALIDATION_LOSS, DivergenceError
from crnn._training.history import History
from crnn._training.interrupt import Interrupt
from crnn._training.plan import Plan
from crnn._training.rule import end_epoch, rate_in_use
from crnn._training.series import LongSeries
from crnn._training.trainer import Trainer
from crnn.reference import Array

TrainingData = Examples | Grouped | LongSequence | LongSeries


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
    with _progress_bar(plan, data) as bar, Interrupt() as interrupt:
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
            if not interrupt.requested:
                losses = history.loss if held_out is None else history.val_loss
                end_epoch(plan.optimizer, trainer.memory, losses[-1])
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


class _Epoch:
    """Running sums of one epoch."""

    def __init__(self) -> None:
        self.steps = self.rows = 0
        self.loss = self.metric = self.norm = self.seconds = 0.0

    def add(self, step: Means, norm: float, seconds: float) -> None:
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


def _one_epoch(
    trainer: Trainer, data: TrainingData, history: History, bar: Any, interrupt: Interrupt
) -> None:
    """Train on every batch once, or on those before Ctrl-C."""
    sums = _Epoch()
    state: Any = None
    batches: Iterator[Any] = data.batches()
    for batch in batches:
        began = time.perf_counter()
        norms = None
        if trainer.plan.inspect and sums.steps == 0:
            cells = len(trainer.network.config.recurrences())
            norms = np.empty((cells, *batch.x.shape[:2]))  # (cells, T, m)
        step, norm = trainer.update(batch, state, norms)
        if norms is not None:
            assert isinstance(step, Step)
            _inspect(trainer, batch, step, norms, history)
        sums.add(step, norm, time.perf_counter() - began)
        state = trainer.state_after(step) if data.carry else None
        if bar is not None:
            bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
            bar.update(step.rows if data.carry else examples_of(batch))
        if interrupt.requested:
            break
    sums.close(history)
    history.learning_rate.append(rate_in_use(trainer.plan.optimizer, trainer.memory))


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
