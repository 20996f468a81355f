"""What an optimizer is, and what those of crnn share: the number of the step and weight decay."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from crnn._engine import kernels, validate
from crnn._network.arena import Layout
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
    """An optimizer of crnn. Its memory has the number of steps done and the moments of the rule."""

    lr: float
    weight_decay: float = 0.0

    def start(self, parameters: Array) -> Memory:
        """The state before the first step. All numbers decay: see `start` below for a network's."""
        spans = np.array([[0, parameters.size]], np.intp) if self.weight_decay else None
        return {"step": 0, "weights": spans, **self._moments(parameters)}

    def step(self, parameters: Array, gradients: Array, memory: Memory) -> None:
        """One update, in place."""
        memory["step"] += 1
        if self.weight_decay:
            kernels.scale(parameters, memory["weights"], 1 - self.lr * self.weight_decay)
        self._update(parameters, gradients, memory, self.lr)

    def _check(self, shares: tuple[str, ...] = (), positive: tuple[str, ...] = ()) -> None:
        """Check the numbers of a rule; `shares` are those in [0, 1)."""
        limits: dict[str, dict[str, Any]] = {name: {"below": 1} for name in shares}
        limits |= {name: {"above": True} for name in ("lr", *positive)}
        for name, limit in {**limits, "weight_decay": {}}.items():
            object.__setattr__(self, name, validate.number(name, getattr(self, name), **limit))

    def _moments(self, parameters: Array) -> Memory:
        """Velocity and means before the first step."""
        raise NotImplementedError

    def _update(self, parameters: Array, gradients: Array, memory: Memory, lr: float) -> None:
        """Change the parameters by one step at the rate lr, without weight decay."""
        raise NotImplementedError


def start(optimizer: Optimizer, parameters: Array, layout: Layout) -> Memory:
    """The state before the first step of a network; only its weights decay, not its biases."""
    memory = optimizer.start(parameters)
    if isinstance(optimizer, Rule) and optimizer.weight_decay:
        memory["weights"] = layout.weights()
    return memory
