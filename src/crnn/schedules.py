"""Learning rates that change during training: the `lr` of an optimizer.

A schedule may also be any callable that takes the number of the step, from 0, and returns a rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crnn._engine import validate
from crnn._training.schedule import (
    Clock,
    Schedule,
    check,
    checked,
    needs_an_end,
    rate,
    start,
    watch,
)

__all__ = ["Constant", "Cosine", "Linear", "OnPlateau", "Schedule", "Step", "Warmup"]


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    lr : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        If it is out of range.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import Constant
    >>> crnn.SGD(Constant(0.1)).lr
    Constant(lr=0.1)
    """

    lr: float

    def __post_init__(self) -> None:
        self._set_numbers(lr={"above": True})

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        return self.lr


class _Falling(Schedule):
    """From `lr` to `final` in `steps` steps, or over the whole of a call; then `final`."""

    lr: float
    steps: int | None
    final: float

    def __post_init__(self) -> None:
        self._set_numbers(lr={"above": True}, final={})
        if self.steps is not None:
            object.__setattr__(self, "steps", validate.count("steps", self.steps))

    def _needs_an_end(self) -> bool:
        return self.steps is None

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        if self.steps is not None:
            share = clock.step / self.steps
        else:
            assert clock.until is not None
            share = (clock.step - clock.since) / max(clock.until - clock.since, 1)
        return self.final + (self.lr - self.final) * self._left(min(share, 1.0))

    def _left(self, share: float) -> float:
        """What is left of the difference after a share of the time: from 1 to 0."""
        raise NotImplementedError


@dataclass(frozen=True)
class Cosine(_Falling):
    """Half a cosine: ``final + (lr - final) (1 + cos(pi step / steps)) / 2``.

    Parameters
    ----------
    lr : float
        The rate of the first step, above 0.
    steps : int, optional
        The rate is `final` from this step on. By default, each call of `fit` or `fit_stream` falls
        from `lr` at its first step to almost `final` at its last.
    final : float, optional
        At least 0.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017,
    equation 5, without restarts.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import Cosine
    >>> crnn.Adam(Cosine(1e-2)).lr
    Cosine(lr=0.01, steps=None, final=0.0)
    """

    lr: float
    steps: int | None = None
    final: float = 0.0

    def _left(self, share: float) -> float:
        return (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Linear(_Falling):
    """A straight line: ``lr + (final - lr) step / steps``.

    Parameters
    ----------
    lr, steps, final : float, int, float
        As for `Cosine`.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import Linear
    >>> crnn.Adam(Linear(1e-2, steps=1000, final=1e-4)).lr
    Linear(lr=0.01, steps=1000, final=0.0001)
    """

    lr: float
    steps: int | None = None
    final: float = 0.0

    def _left(self, share: float) -> float:
        return 1 - share


@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by `factor` after every so many steps.

    Parameters
    ----------
    lr : float
        The rate of the first steps, above 0.
    every : int
        Steps.
    factor : float, optional
        In (0, 1).

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import Step
    >>> crnn.SGD(Step(0.5, every=1000)).lr
    Step(lr=0.5, every=1000, factor=0.1)
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._set_numbers(lr={"above": True}, factor={"above": True, "below": 1})
        object.__setattr__(self, "every", validate.count("every", self.every))

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        return float(self.lr * self.factor ** (clock.step // self.every))


@dataclass(frozen=True)
class Warmup(Schedule):
    """A linear rise to another schedule's first rate, and then that schedule from its beginning.

    Step k, from 0, has the share ``(k + 1) / (steps + 1)`` of that rate.

    Parameters
    ----------
    steps : int
        The steps of the rise.
    then : float, Schedule or callable

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import Cosine, Warmup
    >>> crnn.Adam(Warmup(100, Cosine(1e-2))).lr
    Warmup(steps=100, then=Cosine(lr=0.01, steps=None, final=0.0))
    """

    steps: int
    then: float | Schedule | Callable[[int], float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", validate.count("steps", self.steps))
        object.__setattr__(self, "then", checked("then", self.then))

    def _start(self) -> dict[str, Any]:
        return start(self.then)

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        later = clock.after(self.steps)
        if later.step >= 0:
            return rate(self.then, later, memory)
        first = rate(self.then, later._replace(step=0), memory)
        return first * (clock.step + 1) / (self.steps + 1)

    def _watch(self, loss: float, memory: dict[str, Any]) -> None:
        watch(self.then, loss, memory)

    def _check(self, memory: dict[str, Any]) -> None:
        check(self.then, memory)

    def _needs_an_end(self) -> bool:
        return needs_an_end(self.then)


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """The rate is multiplied by `factor` when the loss has not fallen for some epochs.

    The loss is that of the validation data, or without them that of training. It has fallen if it
    is below the lowest one before by more than `threshold` times that one's size.

    Parameters
    ----------
    lr : float
        The rate of the first epochs, above 0.
    factor : float, optional
        In (0, 1).
    patience : int, optional
        So many epochs may pass without a lower loss; the next one changes the rate.
    threshold : float, optional
        At least 0.
    final : float, optional
        The least rate, from 0 to lr.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    Examples
    --------
    >>> import crnn
    >>> from crnn.schedules import OnPlateau
    >>> crnn.SGD(OnPlateau(0.5, factor=0.5, patience=3)).lr
    OnPlateau(lr=0.5, factor=0.5, patience=3, threshold=0.0001, final=0.0)
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    final: float = 0.0

    def __post_init__(self) -> None:
        self._set_numbers(
            lr={"above": True}, factor={"above": True, "below": 1}, threshold={}, final={}
        )
        object.__setattr__(self, "patience", validate.count("patience", self.patience, least=0))
        if self.final > self.lr:
            raise ValueError(f"final: expected a number <= lr = {self.lr:g}, got {self.final:g}")

    def _start(self) -> dict[str, Any]:
        return {"plateau factor": 1.0, "plateau lowest": None, "plateau epochs": 0}

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        return max(self.lr * float(memory["plateau factor"]), self.final)

    def _check(self, memory: dict[str, Any]) -> None:
        lowest = memory["plateau lowest"]
        if validate.number("plateau factor", memory["plateau factor"]) > 1:
            raise ValueError("plateau factor: expected at most 1")
        validate.count("plateau epochs", memory["plateau epochs"], 0, self.patience)
        if lowest is not None:
            validate.number("plateau lowest", lowest, least=-math.inf)

    def _watch(self, loss: float, memory: dict[str, Any]) -> None:
        lowest = memory["plateau lowest"]
        if lowest is None or loss < lowest - self.threshold * abs(lowest):
            memory["plateau lowest"], memory["plateau epochs"] = loss, 0
            return
        memory["plateau epochs"] += 1
        if memory["plateau epochs"] > self.patience:
            memory["plateau factor"] *= self.factor
            memory["plateau epochs"] = 0
