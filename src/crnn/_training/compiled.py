"""Epochs without Python between the steps, where nothing asks for it: see `crnn._engine.steps`.

The parameters, the History and the state of the optimizer have the same bits as those of the loop
in `train`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from crnn._engine import losses, steps
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.pooling import MOST_STEPS
from crnn._training.batches import Examples
from crnn._training.compiled_arrays import arrays_of, examples_of
from crnn._training.course import Course
from crnn._training.divergence import DivergenceError
from crnn._training.keeper import Keeper
from crnn._training.optim import SGD, Adam, AdamW, RMSprop
from crnn._training.plan import Plan
from crnn._training.rule import Memory, Rule
from crnn._training.schedule import Clock, Schedule, rate
from crnn._training.stepping import one_step
from crnn._training.trainer import Trainer
from crnn.reference import Array

#: Seconds between two looks at Ctrl-C and the progress bar.
MOST_SECONDS = 0.02

_KINDS: dict[type[Rule], str] = {SGD: "SGD", Adam: "Adam", AdamW: "Adam", RMSprop: "RMSprop"}
_NO_EXAMPLES = np.empty(0, np.intp)
_NUMBERS = ("momentum", "beta1", "beta2", "eps", "decay", "weight_decay")


def compiled(trainer: Trainer, data: Any) -> CompiledEpochs | None:
    """The epochs of a training in compiled code, or None if something in it needs Python."""
    if (
        type(trainer) is Trainer
        and isinstance(data, Examples)
        and data.sequences.m > data.batch_size  # else there is one step, on x itself
        and _plain_plan(trainer)
        and _plain_model(trainer.network.config)
        and _plain_data(trainer.network.config, data.sequences)
    ):
        return CompiledEpochs(trainer, data)
    return None


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


def _plain_model(config: Config) -> bool:
    """Whether the layers and the loss are those that the compiled steps know."""
    return (
        config.objective.name in losses.KINDS
        and config.equation == "rate"
        and not config.trained_states
    )


def _plain_data(config: Config, sequences: Sequences) -> bool:
    """Whether the compiled steps can read the examples where they are."""
    targets = np.dtype(np.intp) if config.loss == "cross_entropy" else config.np_dtype
    return (
        sequences.start is None
        and not (config.pools and sequences.longest > MOST_STEPS)
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

    def __init__(self, trainer: Trainer, data: Examples) -> None:
        self._trainer, self._data = trainer, data
        config, sequences, m = trainer.network.config, data.sequences, data.batch_size
        T, lengths = sequences.longest, sequences.lengths
        own_lengths = None if lengths is None else lengths.copy()  # (M,): nobody can change them
        steps_of_y = T if config.every_step else None
        x = examples_of(sequences.x, sequences.m, T, m)
        y, weights = (
            None if values is None else examples_of(values, sequences.m, steps_of_y, m)
            for values in (sequences.y, sequences.weights)
        )
        made = arrays_of(trainer, x[3], lengths is not None)
        flat = (trainer.parameters, trainer.gradients.flat, trainer.last_good)
        self._steps = steps.Steps(
            *made,
            flat,
            _loss(config),
            [x, y, weights],
            own_lengths,
            config.every_step,
            config.noise,
            config.dropout,
            trainer.network.flat_constraints(),
        )
        self._seconds = MOST_SECONDS  # of a step, as far as is known

    def epoch(self, course: Course, bar: Any, keeper: Keeper | None) -> None:
        """Train on every batch of an epoch that is not done yet, or on those before Ctrl-C."""
        trainer, plan, sums = self._trainer, self._trainer.plan, course.sums
        sequences = self._data.sequences
        chosen = list(course.remaining(self._order, plan.rng))
        if plan.inspect and sums.steps == 0:
            one_step(trainer, sequences.batch(chosen[0]), course, False, bar)
            self._end_call(chosen[0], keeper)
            del chosen[0]
            if trainer.stopped:
                return
        optimizer = _optimizer(plan.optimizer, trainer.memory)
        clips = _clips(plan, trainer.parameters.dtype)
        totals = np.array([sums.loss, sums.metric, sums.norm, 0.0])
        order = np.concatenate([*chosen, _NO_EXAMPLES])  # (M,)
        begins = np.cumsum([0, *map(len, chosen)], dtype=np.intp)  # (batches + 1,)
        at = 0
        while at < len(chosen):
            count = min(max(int(MOST_SECONDS / self._seconds), 1), len(chosen) - at)
            if keeper is not None:
                count = keeper.most_steps(count)
            rates = _rates(plan.optimizer, trainer.memory, count)
            seeds, before = self._seeds(count)
            began, shown = time.perf_counter(), sums.shown
            done, failed = self._steps.run(
                optimizer, order, begins[at:], rates, seeds, *clips, totals
            )
            self._count(course, began, totals, chosen[at : at + done])
            at += done
            trainer.steps += done + bool(failed)
            if failed:
                self._draw_again(before, done + 1)
                self._fail(failed, float(totals[3]))
            if bar is not None:
                bar.set_postfix(loss=f"{sums.loss / sums.rows:.4f}", refresh=False)
                bar.update(sums.shown - shown)
            self._end_call(chosen[at - 1], keeper)
            if trainer.stopped:
                break

    def _order(self) -> Iterator[Array]:
        """The examples of each batch of an epoch, of which there is more than one."""
        order = self._data.sequences.order(self._data.batch_size, self._data.rng)
        return iter(cast(list[Array], order))

    def _seeds(self, count: int) -> tuple[Array, Any]:
        """The seeds of the next steps, (count,), and the state of the generator before."""
        rng = self._data.rng
        if not self._trainer.network.config.draws:
            return np.zeros(count, np.uint64), None
        before = rng.bit_generator.state
        return rng.integers(1 << 63, size=count).astype(np.uint64), before

    def _draw_again(self, before: Any, count: int) -> None:
        """Set the generator to where it is after fewer steps than there were seeds for."""
        if before is not None:
            self._data.rng.bit_generator.state = before
            self._seeds(count)

    def _end_call(self, chosen: Array, keeper: Keeper | None) -> None:
        """Note which batch was the last one, and write the file if it is due."""
        self._trainer.last = self._data.sequences.batch(chosen), None
        if keeper is not None:
            keeper.after_step(carry=False)

    def _count(self, course: Course, began: float, totals: Array, chosen: list[Array]) -> None:
        """Add the steps of a call to the sums of the epoch."""
        sums, sequences = course.sums, self._data.sequences
        seconds = time.perf_counter() - began
        examples, done, rows = sum(map(len, chosen)), len(chosen), 0
        sums.loss, sums.metric, sums.norm = (float(total) for total in totals[:3])
        if not self._trainer.network.config.every_step:
            rows = examples
        elif sequences.lengths is None:
            rows = examples * sequences.longest
        else:
            rows = sum(int(sequences.lengths[i].sum()) for i in chosen)
        sums.rows += rows
        sums.steps += done
        sums.shown += examples
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
