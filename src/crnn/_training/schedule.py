"""What a schedule of the learning rate is, and how the optimizers use it.

A schedule is immutable, as an optimizer is. What changes is in the optimizer's memory: the number
of the step, and what `crnn.schedules.OnPlateau` has seen.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crnn._engine import validate


class Clock(NamedTuple):
    """The time of a step, in steps since the optimizer started with a model."""

    step: int  # steps done
    since: int = 0  # the first step of this call of `fit`
    until: int | None = None  # the end of this call; None if it is not known

    def after(self, steps: int) -> Clock:
        """The same moment, counted from a later beginning."""
        until = None if self.until is None else self.until - steps
        return Clock(self.step - steps, max(self.since - steps, 0), until)


class Schedule:
    """The base class of the schedules in `crnn.schedules`.

    Examples
    --------
    >>> from crnn.schedules import Cosine, Schedule
    >>> isinstance(Cosine(0.1), Schedule)
    True
    """

    def _start(self) -> dict[str, Any]:
        """What the schedule adds to the optimizer's memory."""
        return {}

    def _at(self, clock: Clock, memory: dict[str, Any]) -> float:
        """The rate of the step that comes next."""
        raise NotImplementedError

    def _watch(self, loss: float, memory: dict[str, Any]) -> None:
        """Take note of an epoch's loss."""

    def _check(self, memory: dict[str, Any]) -> None:
        """Raise ValueError if the schedule never writes this into the optimizer's memory."""

    def _needs_an_end(self) -> bool:
        """Whether the number of steps of the call must be known."""
        return False

    def _set_numbers(self, **limits: dict[str, Any]) -> None:
        for name, limit in limits.items():
            object.__setattr__(self, name, validate.number(name, getattr(self, name), **limit))


def checked(name: str, lr: Any) -> Any:
    """A learning rate: a number above 0, a schedule or a callable of the step."""
    if isinstance(lr, Schedule) or (callable(lr) and not isinstance(lr, type)):
        return lr
    return validate.number(name, lr, above=True)


def start(lr: Any) -> dict[str, Any]:
    """What a learning rate adds to the optimizer's memory."""
    return lr._start() if isinstance(lr, Schedule) else {}


def rate(lr: Any, clock: Clock, memory: dict[str, Any]) -> float:
    """The rate of the step that comes next. Raises ValueError if a callable's is out of range."""
    if isinstance(lr, float):
        return lr
    if isinstance(lr, Schedule):
        return lr._at(clock, memory)
    try:
        return validate.number("lr", lr(clock.step))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} from the schedule at step {clock.step}") from None


def check(lr: Any, memory: dict[str, Any]) -> None:
    """Check what a learning rate has added to the optimizer's memory."""
    if isinstance(lr, Schedule):
        lr._check(memory)


def watch(lr: Any, loss: float, memory: dict[str, Any]) -> None:
    """Show an epoch's loss to a schedule."""
    if isinstance(lr, Schedule):
        lr._watch(loss, memory)


def needs_an_end(lr: Any) -> bool:
    """Whether the number of steps of a call must be known."""
    return isinstance(lr, Schedule) and lr._needs_an_end()
