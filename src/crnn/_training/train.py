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
from crnn._network.network import Step
from crnn._training.accumulating import Grouped, examples_of
from crnn._training.batches import Examples, LongSequence
from crnn._training.compiled import compiled
from crnn._training.course import Course
from crnn._training.divergence import VALIDATION_LOSS, DivergenceError
from crnn._training.history import History
from crnn._training.iterable import Batches
from crnn._training.keeper import Keeper
from crnn._training.plan import Plan
from crnn._training.rule import end_epoch, rate_in_use
from crnn._training.series import LongSeries
from crnn._training.trainer import Trainer
from crnn.reference import Array

TrainingData = Examples | Batches | Grouped | LongSequence | LongSeries


def train(
    trainer: Trainer, data: TrainingData, plan: Plan, course: Course, keeper: Keeper | None = None
) -> History:
    """Train on the data according to the plan, from where the course stands."""
    try:
        return _train(trainer, data, plan, course, keeper)
    except DivergenceError as error:
        faults = plan.ranks.agree(None, data.fault(error.what == VALIDATION_LOSS))
        fault = next((found for found in faults if found is not None), None)
        if fault is None:
            raise
        raise DivergenceError(error.step, error.loss, error.what, fault) from None


def _train(
    trainer: Trainer, data: TrainingData, plan: Plan, course: Course, keeper: Keeper | None
) -> History:
    history, ranks = course.history, plan.ranks
    epochs = compiled(trainer, data) if keeper is None else None
    with _progress_bar(plan, data, course) as bar, trainer.interrupt as interrupt:
        if keeper is not None:
            keeper.begin()
        while course.epoch < plan.epochs and not course.ended and not history.interrupted:
            if bar is not None:
                bar.set_description(f"epoch {course.epoch + 1}/{plan.epochs}", refresh=False)
            if epochs is None:
                _steps(trainer, data, course, bar, keeper)
            else:
                epochs.epoch(course, bar)
            whole = not trainer.stopped
            if keeper is not None and not whole:
                keeper.now(data.carry)
            course.sums.close(history, rate_in_use(plan.optimizer, trainer.memory))
            if whole:
                _end_epoch(trainer, data, plan, course)
            else:
                ranks.from_first(lambda: plan.enough(history))
            history.interrupted = ranks.any(interrupt.requested)
            finished = course.epoch == plan.epochs or course.ended
            if keeper is not None and whole and (history.interrupted or not finished):
                keeper.after_epoch(data.carry, data.held_out is not None)
        if data.held_out is None or history.interrupted:
            trainer.confirm_last(data.carry)
        if not history.interrupted:
            _finish(trainer, plan, course)
            if keeper is not None:
                keeper.write()
    return history


def _end_epoch(trainer: Trainer, data: TrainingData, plan: Plan, course: Course) -> None:
    """Validate after an epoch, and decide whether it was the last one."""
    history, held_out = course.history, data.validation()
    if held_out is not None:
        loss, metric = trainer.confirm(held_out, data.carry)
        if history.best_epoch is None or loss < history.val_loss[history.best_epoch]:
            history.best_epoch = course.epoch
            course.best[...] = trainer.parameters
        history.val_loss.append(loss)
        history.val_metric.append(metric)
    losses = history.loss if held_out is None else history.val_loss
    end_epoch(plan.optimizer, trainer.memory, losses[-1])
    if plan.ranks.from_first(lambda: plan.enough(history)):
        course.ended = "callback"
    if plan.patience is not None and course.epoch - (history.best_epoch or 0) >= plan.patience:
        course.ended = "patience"
    course.next_epoch()


def _finish(trainer: Trainer, plan: Plan, course: Course) -> None:
    """With patience, give the model the parameters of the best epoch."""
    course.history.stopped_early = bool(course.ended)
    if plan.patience is not None and not course.done:
        course.last = trainer.parameters.copy()
        trainer.parameters[...] = course.best
    course.done = True


def _steps(
    trainer: Trainer, data: TrainingData, course: Course, bar: Any, keeper: Keeper | None
) -> None:
    """Train on every batch of an epoch that is not done yet, or on those before Ctrl-C."""
    sums = course.sums
    batches: Iterator[Any] = (
        data.batches() if keeper is None else course.remaining(data.batches, trainer.plan.rng)
    )
    for batch in batches:
        began = time.perf_counter()
        norms = None
        if trainer.plan.inspect and sums.steps == 0:
            cells = len(trainer.network.config.recurrences())
            assert isinstance(batch, Batch)
            norms = np.empty((cells, *batch.x.shape[:2]))  # (cells, T, m)
        step, norm = trainer.update(batch, course.state, norms)
        if norms is not None:
            assert isinstance(step, Step)
            _inspect(trainer, batch, step, norms, course.history)
        shown = step.rows if data.carry else examples_of(batch)
        sums.add(step, norm, time.perf_counter() - began, shown)
        course.state = trainer.state_after(step) if data.carry else None
        if bar is not None:
            bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
            bar.update(shown)
        if keeper is not None:
            keeper.after_step(data.carry)
        if trainer.stopped:
            break


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


def _progress_bar(plan: Plan, data: TrainingData, course: Course) -> Any:
    """The context of a tqdm bar on stderr with loss and throughput, or of None without progress."""
    if not (plan.progress and plan.ranks.first) or sys.stderr is None:  # no console
        return contextlib.nullcontext()
    from tqdm import tqdm  # imported here to keep `import crnn` fast

    return tqdm(
        total=None if data.size is None else plan.epochs * data.size,
        initial=course.epoch * (data.size or 0) + course.sums.shown,
        unit=data.unit,
        unit_scale=True,
        mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds; a log keeps every line
    )
