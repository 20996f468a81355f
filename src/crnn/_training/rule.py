"""What an optimizer is, and what those of crnn share: the step, its rate, and weight decay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import numpy as np

from crnn._engine import kernels, validate
from crnn._network.arena import Layout
from crnn._training import schedule
from crnn._training.schedule import Clock, Schedule
from crnn.reference import Array

#: The state of an optimizer: None, bool, int, float, str and arrays, so that it can be saved.
Memory = dict[str, Any]


class Optimizer(Protocol):
    """The methods that `crnn.RNN.fit` needs of an optimizer."""

    def start(self, parameters: Array) -> Memory:
        """The state before the first step, for parameters (size,)."""

    def step(self, parameters: Array, gradients: Array, memory: Memory) -> None:
        """Change the parameters in place; the gradients may be overwritten."""


class Rule:
    """An optimizer of crnn.

    Its memory has the number of steps done ("step"), the rate of the last one ("lr"), the first
    step and the end of the current call of `fit` ("since", "until"), where the weights are, the
    state of the schedule and the moments of the rule.
    """

    lr: float | Schedule | Callable[[int], float]
    weight_decay: float = 0.0
    #: The names of moments that are means of squares.
    _squares: ClassVar[tuple[str, ...]] = ()

    def start(self, parameters: Array) -> Memory:
        """The state before the first step, in which all parameters are weights that decay.

        The function `start` leaves the biases of a network out.
        """
        spans = np.array([[0, parameters.size]], np.intp) if self.weight_decay else None
        clock = {"step": 0, "since": 0, "until": None, "lr": None}
        return {**clock, "weights": spans, **schedule.start(self.lr), **self._moments(parameters)}

    def step(self, parameters: Array, gradients: Array, memory: Memory) -> None:
        """One update, in place."""
        clock = Clock(memory["step"], memory["since"], memory["until"])
        lr = memory["lr"] = schedule.rate(self.lr, clock, memory)
        memory["step"] += 1
        if self.weight_decay:
            kernels.scale(parameters, memory["weights"], 1 - lr * self.weight_decay)
        self._update(parameters, gradients, memory, lr)

    def _check(self, shares: tuple[str, ...] = (), positive: tuple[str, ...] = ()) -> None:
        """Check the numbers of a rule; `shares` are those in [0, 1)."""
        limits: dict[str, dict[str, Any]] = {name: {"below": 1} for name in shares}
        limits |= {name: {"above": True} for name in positive}
        object.__setattr__(self, "lr", schedule.checked("lr", self.lr))
        for name, limit in {**limits, "weight_decay": {}}.items():
            object.__setattr__(self, name, validate.number(name, getattr(self, name), **limit))

    def _moments(self, parameters: Array) -> Memory:
        """Velocity and means before the first step."""
        raise NotImplementedError

    def _update(self, parameters: Array, gradients: Array, memory: Memory, lr: float) -> None:
        """Change the parameters by one step at the rate lr, without weight decay."""
        raise NotImplementedError


def start(optimizer: Optimizer, parameters: Array, layout: Layout) -> Memory:
    """The state before the first step of a network; only its weights decay, not its biases.

    Raises TypeError if the optimizer, which a user may have written, gives no dict.
    """
    memory = optimizer.start(parameters)
    if not isinstance(memory, dict):
        raise TypeError(
            f"optimizer: expected a dict from its method start, got {validate.shown(memory)}"
        )
    if isinstance(optimizer, Rule) and optimizer.weight_decay:
        memory["weights"] = layout.weights()
    return memory


def begin(optimizer: Optimizer, memory: Memory, steps: int | None) -> None:
    """Begin a call of `fit` of so many steps; None if their number is not known before.

    Raises ValueError if the schedule must know it.
    """
    if not isinstance(optimizer, Rule):
        return
    if steps is None and schedule.needs_an_end(optimizer.lr):
        raise ValueError(
            "lr: expected a schedule with its number of steps, because that of the call is not "
            f"known, got {optimizer.lr}"
        )
    memory["since"] = memory["step"]
    set_end(optimizer, memory, steps)


def set_end(optimizer: Optimizer, memory: Memory, steps: int | None) -> None:
    """Set the number of steps of a call of `fit`, from its beginning; None if it is not known."""
    if isinstance(optimizer, Rule):
        memory["until"] = None if steps is None else memory["since"] + steps


def end_epoch(optimizer: Optimizer, memory: Memory, loss: float) -> None:
    """Show the loss of an epoch to the schedule of the learning rate."""
    if isinstance(optimizer, Rule):
        schedule.watch(optimizer.lr, loss, memory)


def rate_in_use(optimizer: Optimizer, memory: Memory) -> float:
    """The learning rate of the last step; NaN if the optimizer has none."""
    found = memory["lr"] if isinstance(optimizer, Rule) else getattr(optimizer, "lr", None)
    return float(found) if isinstance(found, (int, float)) else math.nan
