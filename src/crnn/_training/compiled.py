"""Epochs without Python between the steps, where nothing asks for it: see `crnn._engine.steps`.

The parameters, the History and the state of the optimizer have the same bits as those of the loop
in `train`.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from crnn._engine import losses, steps
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.pooling import MOST_STEPS
from crnn._network.recurrences import State
from crnn._training.accumulating import Accumulating, Grouped
from crnn._training.batches import Examples, LongSequence
from crnn._training.compiled_arrays import arrays_of
from crnn._training.compiled_batches import ExampleBatches, WindowBatches
from crnn._training.compiled_states import BatchStates
from crnn._training.course import Course
from crnn._training.divergence import DivergenceError
from crnn._training.keeper import Keeper
from crnn._training.optim import SGD, Adam, AdamW, RMSprop
from crnn._training.plan import Plan
from crnn._training.rule import Memory, Rule
from crnn._training.schedule import Clock, Schedule, rate
from crnn._training.series import LongSeries
from crnn._training.stepping import one_step
from crnn._training.trainer import Trainer
from crnn.reference import Array

#: Seconds between two looks at Ctrl-C and the progress bar.
MOST_SECONDS = 0.02

_KINDS: dict[type[Rule], str] = {SGD: "SGD", Adam: "Adam", AdamW: "Adam", RMSprop: "RMSprop"}
_NUMBERS = ("momentum", "beta1", "beta2", "eps", "decay", "weight_decay")


def compiled(trainer: Trainer, data: Any) -> CompiledEpochs | None:
    """The epochs of a training in compiled code, or None if something in it needs Python."""
    config = trainer.network.config
    data, k = (data.data, data.k) if isinstance(data, Grouped) else (data, 1)
    if type(trainer) not in (Trainer, Accumulating) or not _plain_plan(trainer):
        return None
    if config.objective.name not in losses.KINDS:
        return None
    if isinstance(data, Examples):
        one_batch = data.sequences.m <= data.batch_size  # one step, on x itself
        if one_batch or not _plain_data(config, data.sequences):
            return None
        return CompiledEpochs(trainer, ExampleBatches(config, data, k))
    plain = isinstance(data, LongSequence) or (
        isinstance(data, LongSeries) and data.series.resets is None
    )
    return CompiledEpochs(trainer, WindowBatches(data, k)) if plain else None


def _plain_plan(trainer: Trainer) -> bool:
    """Whether a step is gradient, clipping and one of crnn's rules, and nothing else."""
    plan = trainer.plan
    lr = getattr(plan.optimizer, "lr", None)
    return (
        type(plan.optimizer) in _KINDS
        and isinstance(lr, (float, Schedule))
        and plan.memory is None
        and plan.penalty is None
    )


def _plain_data(config: Config, sequences: Sequences) -> bool:
    """Whether the compiled steps can read the examples where they are."""
    targets = np.dtype(np.intp) if config.loss == "cross_entropy" else config.np_dtype
    return (
        not (config.pools and sequences.longest > MOST_STEPS)
        and _readable(sequences.x, (config.np_dtype, np.dtype(np.intp)))
        and _readable(sequences.y, (targets,))
        and (sequences.weights is None or _readable(sequences.weights, (config.np_dtype,)))
    )


def _readable(values: Array | list[Array] | None, dtypes: tuple[np.dtype[Any], ...]) -> bool:
    """Whether the arrays are contiguous, and all of one of the dtypes."""
    items: list[Any] = values if isinstance(values, list) else [values]
    return all(
        isinstance(a, np.ndarray)
        and a.flags.c_contiguous
        and a.dtype in dtypes
        and a.dtype == items[0].dtype
        for a in items
    )


class CompiledEpochs:
    """Runs the steps of an epoch, some milliseconds of them in each call."""

    def __init__(self, trainer: Trainer, batches: ExampleBatches | WindowBatches) -> None:
        self._trainer, self._batches = trainer, batches
        config, parameters = trainer.network.config, trainer.parameters
        x: Array = batches.data[0][3]
        cells, between, reads, head = arrays_of(trainer, x, batches.lengths is not None)
        self._states = BatchStates(trainer, batches, cells)
        self._steps = steps.Steps(
            cells,
            self._states.starts,
            between,
            reads,
            head,
            (parameters, trainer.gradients.flat, trainer.last_good),
            _loss(config),
            batches.data,
            batches.lengths,
            config.every_step,
            config.noise,
            config.dropout,
            trainer.network.flat_constraints(),
            np.empty(len(parameters)) if trainer.plan.accumulate > 1 else None,
        )
        self._seconds = MOST_SECONDS  # of a step, as far as is known

    def epoch(self, course: Course, bar: Any, keeper: Keeper | None) -> None:
        """Train on every batch of an epoch that is not done yet, or on those before Ctrl-C."""
        trainer, plan, sums, batches = self._trainer, self._trainer.plan, course.sums, self._batches
        groups = list(course.remaining(batches.groups, plan.rng))
        if plan.inspect and sums.steps == 0:
            (first,) = groups[0]
            one_step(trainer, batches.batch(first), course, False, bar)
            self._end_call(first, None, keeper)
            del groups[0]
            if trainer.stopped:
                return
        optimizer = _optimizer(plan.optimizer, trainer.memory)
        clips = _clips(plan, trainer.parameters.dtype)
        totals = np.array([sums.loss, sums.metric, sums.norm, 0.0])
        at = 0
        while at < len(groups):
            count = min(max(int(MOST_SECONDS / self._seconds), 1), len(groups) - at)
            if keeper is not None:
                count = keeper.most_steps(count)
            some = groups[at : at + count]
            rates = _rates(plan.optimizer, trainer.memory, count)
            began, shown = time.perf_counter(), sums.shown
            order, places = batches.placed(some)
            seeds, drawn_before = self._seeds(len(places))
            self._steps.set_data(batches.data)
            ends = np.cumsum([0, *map(len, some)], dtype=np.intp)  # (count + 1,)
            done, failed = self._steps.run(
                optimizer, order, places, ends, rates, seeds, self._states.begin(course.state),
                batches.carry, *clips, totals,
            )  # fmt: skip
            self._count(course, began, totals, some[:done])
            at += done
            trainer.steps += done + bool(failed)
            if failed:
                self._draw_again(drawn_before, int(ends[done + 1]))
                self._fail(failed, float(totals[3]))
            if bar is not None:
                bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
                bar.update(sums.shown - shown)
            before, course.state = self._states.of_last(course.state, places)
            self._end_call(some[-1][-1], before, keeper)
            if trainer.stopped:
                break

    def _seeds(self, count: int) -> tuple[Array, Any]:
        """The seeds of the next batches, (count,), and the state of the generator before."""
        rng = self._trainer.plan.rng
        if not self._trainer.network.config.draws:
            return np.zeros(count, np.uint64), None
        before = rng.bit_generator.state
        return rng.integers(1 << 63, size=count).astype(np.uint64), before

    def _draw_again(self, before: Any, count: int) -> None:
        """Set the generator to where it is after fewer batches than there were seeds for."""
        if before is not None:
            self._trainer.plan.rng.bit_generator.state = before
            self._seeds(count)

    def _end_call(self, batch: Any, before: State | None, keeper: Keeper | None) -> None:
        """Note which batch was the last one, and write the file if it is due."""
        self._trainer.last = self._batches.batch(batch), before
        if keeper is not None:
            keeper.after_step(self._batches.carry)

    def _count(self, course: Course, began: float, totals: Array, groups: list[Any]) -> None:
        """Add the steps of a call to the sums of the epoch."""
        sums, done = course.sums, len(groups)
        seconds = time.perf_counter() - began
        sums.loss, sums.metric, sums.norm = (float(total) for total in totals[:3])
        for group in groups:
            sums.rows += sum(map(self._batches.rows, group))
            sums.shown += sum(map(self._batches.shown, group))
        sums.steps += done
        sums.seconds += seconds
        if done:
            self._seconds = max(seconds / done, 1e-6)

    def _fail(self, failed: str, loss: float) -> None:
        """Raise the error of a step that is undone."""
        if failed == "y":
            n_y = self._trainer.network.config.n_y
            raise ValueError(
                f"y: expected classes in 0..{n_y - 1}; they have changed since checked"
            )
        if failed == "x":
            raise RuntimeError("x: expected symbols in 0..n_x - 1; they have changed since checked")
        raise DivergenceError(self._trainer.steps, loss, failed)


def _loss(config: Config) -> tuple[int, Array]:
    """The kind of the loss, and its numbers: delta, or the levels of quantiles; else 0."""
    objective = config.objective
    numbers = next(iter(objective.options().values()), 0.0)
    return losses.KINDS[objective.name], np.array(numbers, np.float64, ndmin=1)


def _optimizer(optimizer: Any, memory: Memory) -> tuple[Any, ...]:
    """The optimizer as the compiled steps take it."""
    kind = _KINDS[type(optimizer)]
    first, second = {
        "SGD": (memory.get("v"), None),
        "Adam": (memory.get("m"), memory.get("v")),
        "RMSprop": (memory.get("u"), memory.get("v")),
    }[kind]
    numbers = tuple(float(getattr(optimizer, name, 0.0)) for name in _NUMBERS)
    return kind, memory, first, second, numbers


def _clips(plan: Plan, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The largest norm of a gradient and the largest number in it; inf without clipping."""
    limit = math.inf
    if plan.clip_value is not None:
        limit = float(dtype.type(min(plan.clip_value, float(np.finfo(dtype).max))))
    return math.inf if plan.clip_norm is None else plan.clip_norm, limit


def _rates(optimizer: Any, memory: Memory, count: int) -> Array:
    """The learning rates of the next steps, (count,)."""
    clock, lr = Clock(memory["step"], memory["since"], memory["until"]), optimizer.lr
    if isinstance(lr, float):
        return np.full(count, lr)
    return np.array([rate(lr, clock._replace(step=clock.step + i), memory) for i in range(count)])
