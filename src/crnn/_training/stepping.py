"""One step of training in Python: the update, the sums of the epoch and the progress bar."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from crnn._network.batch import Batch
from crnn._network.flow import Saturation, by_lag, rates, reach_of
from crnn._network.results import Step
from crnn._training.accumulating import examples_of
from crnn._training.course import Course
from crnn._training.history import History
from crnn._training.trainer import Trainer
from crnn.reference import Array


def one_step(trainer: Trainer, batch: Any, course: Course, carry: bool, bar: Any) -> None:
    """Train on a batch, and count it; inspect the first one of an epoch, if that is asked for."""
    sums, began = course.sums, time.perf_counter()
    norms = None
    if trainer.plan.inspect and sums.steps == 0:
        cells = len(trainer.network.config.recurrences())
        assert isinstance(batch, Batch)
        norms = np.empty((cells, *batch.x.shape[:2]))  # (cells, T, m)
    step, norm = trainer.update(batch, course.state, norms)
    if norms is not None:
        assert isinstance(step, Step)
        _inspect(trainer, batch, step, norms, course.history)
    shown = step.rows if carry else examples_of(batch)
    sums.add(step, norm, time.perf_counter() - began, shown)
    course.state = trainer.state_after(step) if carry else None
    if bar is not None:
        bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
        bar.update(shown)


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
