"""The training loop: the same for batches of examples and for windows of a stream."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from crnn._training.accumulating import Grouped
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
from crnn._training.stepping import one_step
from crnn._training.trainer import Trainer

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
    epochs = compiled(trainer, data)
    with _progress_bar(plan, data, course) as bar, trainer.interrupt as interrupt:
        if keeper is not None:
            keeper.begin()
        while course.epoch < plan.epochs and not course.ended and not history.interrupted:
            if bar is not None:
                bar.set_description(f"epoch {course.epoch + 1}/{plan.epochs}", refresh=False)
            if epochs is None:
                _steps(trainer, data, course, bar, keeper)
            else:
                epochs.epoch(course, bar, keeper)
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
    batches: Iterator[Any] = (
        data.batches() if keeper is None else course.remaining(data.batches, trainer.plan.rng)
    )
    for batch in batches:
        one_step(trainer, batch, course, data.carry, bar)
        if keeper is not None:
            keeper.after_step(data.carry)
        if trainer.stopped:
            break


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
