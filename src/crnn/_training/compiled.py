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
from crnn._network import recurrences
from crnn._network.buffers import Buffers
from crnn._network.config import Config
from crnn._network.network import Network
from crnn._training.batches import Examples
from crnn._training.course import Course
from crnn._training.divergence import DivergenceError
from crnn._training.keeper import Keeper
from crnn._training.optim import SGD, Adam, AdamW, RMSprop
from crnn._training.rule import Memory, Rule
from crnn._training.schedule import Clock, Schedule, rate
from crnn._training.stepping import one_step
from crnn._training.trainer import Trainer
from crnn.reference import Array

#: Seconds between two looks at Ctrl-C and the progress bar.
MOST_SECONDS = 0.02

_KINDS: dict[type[Rule], str] = {SGD: "SGD", Adam: "Adam", AdamW: "Adam", RMSprop: "RMSprop"}
_NO_EXAMPLES = np.empty(0, np.intp)
_OF_A_LAYER = ("Waa", "Wax", "ba", "baa")
_NUMBERS = ("momentum", "beta1", "beta2", "eps", "decay", "weight_decay")


def compiled(trainer: Trainer, data: Any) -> CompiledEpochs | None:
    """The epochs of a training in compiled code, or None if something in it needs Python."""
    if type(trainer) is not Trainer or not isinstance(data, Examples) or not _plain_plan(trainer):
        return None
    sequences = data.sequences
    x, y, weights = sequences.x, sequences.y, sequences.weights
    config = trainer.network.config
    if not (
        _plain_model(config)
        and isinstance(x, np.ndarray)
        and isinstance(y, np.ndarray)
        and not isinstance(weights, list)
        and sequences.lengths is None
        and sequences.m > data.batch_size  # else there is one step, on x itself
        and sequences.start is None
        and all(a is None or a.flags.c_contiguous for a in (x, y, weights))
        and y.dtype == (np.intp if config.loss == "cross_entropy" else config.np_dtype)
        and (x.ndim == 3 or x.dtype == np.intp)
    ):
        return None
    return CompiledEpochs(trainer, data, (x, y, weights))


def _plain_plan(trainer: Trainer) -> bool:
    """Whether a step is gradient, clipping by norm and one of crnn's rules, and nothing else."""
    plan = trainer.plan
    lr = getattr(plan.optimizer, "lr", None)
    return (
        type(plan.optimizer) in _KINDS
        and isinstance(lr, (float, Schedule))
        and plan.clip_value is None
        and plan.memory is None
        and plan.penalty is None
    )


def _plain_model(config: Config) -> bool:
    """Whether the layers and the loss are those that the compiled steps know."""
    return (
        config.objective.name in losses.KINDS
        and config.equation == "rate"
        and not config.draws
        and config.masks is None
        and config.signs is None
        and not config.trained_states
    )


class CompiledEpochs:
    """Runs the steps of an epoch, some milliseconds of them in each call."""

    def __init__(
        self, trainer: Trainer, data: Examples, arrays: tuple[Array, Array, Array | None]
    ) -> None:
        self._trainer, self._data = trainer, data
        config, m = trainer.network.config, data.batch_size
        axis = 1 if config.every_step else 0  # of the examples in y and weights
        x, y = _for_examples(arrays[0], 1, m), _for_examples(arrays[1], axis, m)
        weights = None if arrays[2] is None else _for_examples(arrays[2], axis, m)
        rows = m * len(x) if config.every_step else m
        made = _arrays(trainer.network, trainer.gradients.views, x, rows, trainer.buffers)
        flat = (trainer.parameters, trainer.gradients.flat, trainer.last_good)
        self._steps = steps.Steps(
            *made, flat, _loss(config), arrays, (x, y, weights), config.every_step
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
        most = math.inf if plan.clip_norm is None else plan.clip_norm
        totals = np.array([sums.loss, sums.metric, sums.norm, 0.0])
        order, at = np.concatenate([*chosen, _NO_EXAMPLES]), 0  # order (M,)
        while at < len(chosen):
            count = min(max(int(MOST_SECONDS / self._seconds), 1), len(chosen) - at)
            if keeper is not None:
                count = keeper.most_steps(count)
            rates = _rates(plan.optimizer, trainer.memory, count)
            began, shown = time.perf_counter(), sums.shown
            done, failed = self._steps.run(optimizer, order, at, rates, most, totals)
            self._count(course, began, totals, chosen[at : at + done])
            at += done
            trainer.steps += done + bool(failed)
            if failed:
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

    def _end_call(self, chosen: Array, keeper: Keeper | None) -> None:
        """Note which batch was the last one, and write the file if it is due."""
        self._trainer.last = self._data.sequences.batch(chosen), None
        if keeper is not None:
            keeper.after_step(carry=False)

    def _count(
        self, course: Course, began: float, totals: Array, chosen: list[Array]
    ) -> None:
        """Add the steps of a call to the sums of the epoch."""
        sums, sequences = course.sums, self._data.sequences
        seconds = time.perf_counter() - began
        examples, done = sum(map(len, chosen)), len(chosen)
        sums.loss, sums.metric, sums.norm = (float(total) for total in totals[:3])
        sums.rows += examples * (len(sequences.x) if self._trainer.network.config.every_step else 1)
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


def _for_examples(a: Array, axis: int, m: int) -> Array:
    """An array of zeros like one of examples, but for m of them."""
    return np.zeros((*a.shape[:axis], m, *a.shape[axis + 1 :]), a.dtype)


def _loss(config: Config) -> tuple[int, Array]:
    """The kind of the loss, and its numbers: delta, or the levels of quantiles; else 0."""
    objective = config.objective
    numbers = next(iter(objective.options().values()), 0.0)
    return losses.KINDS[objective.name], np.array(numbers, np.float64, ndmin=1)


def _arrays(
    network: Network, gradients: dict[str, Array], x: Array, rows: int, buffers: Buffers
) -> tuple[list[Any], list[Array], list[Any], tuple[Array | None, ...]]:
    """The arrays of the calls of a step on batches like x, as `steps.Steps` takes them."""
    config, parameters, cells, below = network.config, network.parameters, [], x
    (T, m), n_a, kind, n = x.shape[:2], config.n_a, config.kind, config.num_directions
    for k, place in enumerate(config.recurrences()):
        if place.layer > 0 and k % n == 0:
            below = cells[-1][1] if n == 1 else buffers.array(f"below {k}", (T, m, place.n_in))
        inputs = recurrences.inputs_of(config, place, parameters, below, None, None, None)
        a = buffers.array(f"a {k}", (T, m, n_a))
        kept = buffers.array(f"kept {k}", (kind.kept * T * m * n_a,)) if kind.kept else None
        c_n = buffers.array(f"c_n {k}", (m, n_a)) if "c" in kind.states else None
        dx = buffers.array(f"dx {k}", (T, m, place.n_in)) if place.layer > 0 else None
        own = place.of(gradients)
        cells.append((inputs, a, kept, c_n, dx, [own.get(name) for name in _OF_A_LAYER]))
    between = [buffers.array(f"da {i}", (T, m, n_a)) for i in range(n)] if n > 1 else []
    reads = [] if n == 1 and not config.pools else _reads(config, T, m, buffers)
    head = (
        parameters["Wya"], parameters["by"], gradients["Wya"], gradients["by"],
        buffers.array("logits", (rows, config.n_y)),
        buffers.array("features", (rows, config.features)) if reads else None,
        buffers.array("dfeatures", (rows, config.features)),
    )  # fmt: skip
    return cells, between, reads, head


def _reads(config: Config, T: int, m: int, buffers: Buffers) -> list[Any]:
    """What the output layer reads of each direction, as `steps.Steps` takes it."""
    reads: list[Any] = []
    for i in range(config.num_directions):
        columns = dict.fromkeys(("all", "last", "mean", "max"), -1)
        for k, part in enumerate(config.parts or ("all",)):
            columns[part] = (k * config.num_directions + i) * config.n_a
        own: dict[str, Array | None] = {
            part: buffers.array(f"d{part} {i}", (m, config.n_a)) if column >= 0 else None
            for part, column in columns.items()
        }
        if config.every_step or config.pools:
            own["all"] = buffers.array(f"da of steps {i}", (T, m, config.n_a))
        sums = np.empty((m, config.n_a)) if "mean" in config.parts else None
        largest = at = None
        if "max" in config.parts:
            largest = buffers.array(f"largest {i}", (m, config.n_a))
            at = np.empty((m, config.n_a), np.intc)
        reads.append((tuple(columns.values()), sums, largest, at, *own.values()))
    return reads


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


def _rates(optimizer: Any, memory: Memory, count: int) -> Array:
    """The learning rates of the next steps, (count,)."""
    clock, lr = Clock(memory["step"], memory["since"], memory["until"]), optimizer.lr
    if isinstance(lr, float):
        return np.full(count, lr)
    return np.array([rate(lr, clock._replace(step=clock.step + i), memory) for i in range(count)])
