"""Training on a task: fresh examples, a curriculum of lengths, and an honest test at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import crnn
from crnn._engine import validate
from crnn._training.optim import Optimizer
from crnn.tasks.task import Task

CHECKED = 400  # examples that tell during training whether a task is solved
#: Training goes on until this share of the error that counts as solved, since the score on CHECKED
#: examples is uncertain.
MARGIN = 0.8
IN_A_ROW = 2  # checks that must say so: one alone may follow a lucky step


@dataclass(frozen=True)
class Point:
    """A point of a learning curve, `Result.curve`.

    Attributes
    ----------
    T : int
        The steps of the task at this time; a curriculum begins with fewer.
    updates : int
        Steps of the optimizer so far.
    seconds : float
        Of training so far.
    score : float
        On 400 other examples, or on the held-out ones of a finite data set.

    Examples
    --------
    >>> from crnn.tasks import Point
    >>> Point(T=20, updates=100, seconds=0.5, score=0.75).updates
    100
    """

    T: int  # of the task at this time: a curriculum begins with shorter ones
    updates: int
    seconds: float
    score: float


@dataclass
class Result:
    """What came of training a model on a task.

    Attributes
    ----------
    task : Task
    score : float
        On held-out examples, after training.
    solved : bool
        Whether this score solves the task.
    updates : int
        Steps of the optimizer, of all lengths of the curriculum.
    seconds : float
        Of training, with drawing examples and checking whether the task is solved.
    curve : list of Point
        The score on other examples during training.
    interrupted, diverged : bool
        Whether Ctrl-C ended training, or a loss, gradient or update that was not finite.

    Examples
    --------
    >>> import crnn.tasks
    >>> task = crnn.tasks.DelayedXOR(4)
    >>> model = task.model(8, rng=0)
    >>> adam = crnn.Adam(1e-2)
    >>> result = crnn.tasks.train(model, task, optimizer=adam, progress=False, rng=0)
    >>> print(result)
    xor, T = 4: solved: accuracy 1, from 0.99 on it counts as solved, without memory it is 0.5
    """

    task: Task
    score: float = float("nan")
    solved: bool = False
    updates: int = 0
    seconds: float = 0.0
    curve: list[Point] = field(default_factory=list)
    interrupted: bool = False
    diverged: bool = False

    def __str__(self) -> str:
        task = self.task
        word = "below" if task.measure == "loss" else "from"
        end = "" if task.measure == "loss" else " on"
        return (
            f"{task.name}, T = {task.T}: {'solved' if self.solved else 'not solved'}: "
            f"{task.measure} {self.score:.3g}, {word} {task.solved_at:.3g}{end} it counts as "
            f"solved, without memory it is {task.baseline:.3g}"
        )

    def plot(self, path: Any = None) -> Any:
        """Draw the learning curve, with the scores without memory and from which it is solved.

        Parameters
        ----------
        path : path, optional
            A file to write; its ending says in which format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed.

        Examples
        --------
        >>> import crnn.tasks
        >>> task = crnn.tasks.DelayedXOR(4)
        >>> result = crnn.tasks.train(task.model(8, rng=0), task, updates=20, progress=False, rng=0)
        >>> result.plot()                                           # doctest: +SKIP
        """
        from crnn.tasks.plot import plot

        return plot(self, path)


def train(
    model: crnn.RNN,
    task: Task,
    *,
    optimizer: Optimizer | str = "adam",
    batch_size: int = 32,
    clip_norm: float | None = 1.0,
    clip_value: float | None = None,
    curriculum: Sequence[int] = (),
    updates: int = 10_000,
    seconds: float | None = None,
    every: int = 50,
    progress: bool = True,
    rng: Any = None,
) -> Result:
    """Train a model on fresh examples of a task until it is solved, then test it.

    A model that solves a length of the curriculum goes on to the next one with the same optimizer
    and its moments. On a task with a finite data set training goes on to its end, since stopping
    by held-out examples would make their score too good.

    Parameters
    ----------
    model : RNN
        With the inputs, outputs and loss of the task, as `Task.model` makes it.
    task : Task
    optimizer, batch_size, clip_norm, clip_value
        As for `crnn.RNN.fit`.
    curriculum : sequence of int, optional
        Lengths T to learn before the task's own.
    updates : int, optional
        The most steps of the optimizer, of all lengths together.
    seconds : float, optional
        End training after this time, which is looked at every `every` updates. The same seed then
        gives the same bits only if `updates`, or the solution, came first.
    every : int, optional
        After so many updates it is checked on 400 other examples whether the task is solved. Two
        checks in a row must say so.
    progress : bool, optional
        Show a bar on stderr.
    rng : int or numpy.random.Generator, optional
        Draws the examples, their order, and the noise of a leaky cell.

    Returns
    -------
    Result

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.

    Examples
    --------
    >>> import crnn.tasks
    >>> task = crnn.tasks.TemporalOrder(20)
    >>> model = task.model(30, cell="gru", rng=0)
    >>> adam = crnn.Adam(1e-2)
    >>> result = crnn.tasks.train(model, task, optimizer=adam, progress=False, rng=0)
    >>> result.solved
    True
    """
    limits = _Limits(validate.count("updates", updates), _seconds(seconds))
    every = validate.count("every", every)
    batch_size = validate.count("batch_size", batch_size)
    _check_fit(model, task)
    stages = [*_curriculum(task, curriculum), task]
    generator, result = validate.generator(rng), Result(task)
    rule = {
        "optimizer": optimizer, "batch_size": batch_size, "clip_norm": clip_norm,
        "clip_value": clip_value, "epochs": 1, "progress": False, "rng": generator,
    }  # fmt: skip
    with _bar(validate.flag("progress", progress), limits.updates) as bar:
        try:
            for stage in stages:
                if not _learn(model, stage, rule, every, limits, bar, result):
                    break
        except KeyboardInterrupt as stop:  # `fit` handles its own; examples were being drawn
            if type(stop) is not KeyboardInterrupt:
                raise
            result.interrupted = True
    result.score = task.score(model)
    result.solved = task.solved(result.score)
    return result


def _check_fit(model: Any, task: Any) -> None:
    """Check that the model has the inputs, outputs and loss of the task."""
    if not isinstance(task, Task):
        raise TypeError(f"task: expected a task such as Adding(100), got {validate.shown(task)}")
    if not isinstance(model, crnn.RNN):
        raise TypeError(f"model: expected a crnn.RNN, got {validate.shown(model)}")
    for name in ("n_x", "n_y", "steps", "loss"):
        expected, got = getattr(task, name), getattr(model.config, name)
        if got != expected:
            raise ValueError(
                f"model: expected {name}={expected!r} for the task {task.name}, got {got!r}"
            )


def _curriculum(task: Task, lengths: Any) -> list[Task]:
    """The task at each of these lengths."""
    if isinstance(lengths, str) or not isinstance(lengths, (Sequence, np.ndarray)):
        raise TypeError(f"curriculum: expected lengths, got {validate.shown(lengths)}")
    try:
        return [task.at(T) for T in lengths]
    except (ValueError, TypeError) as error:
        raise type(error)(f"curriculum: {str(error).removeprefix('T: ')}") from None


class _Limits:
    """When training ends at the latest."""

    def __init__(self, updates: int, seconds: float) -> None:
        self.updates, self.seconds, self.began = updates, seconds, time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self.began


def _seconds(value: float | None) -> float:
    return np.inf if value is None else validate.number("seconds", value, above=True)


def _learn(
    model: crnn.RNN,
    stage: Task,
    rule: dict[str, Any],
    every: int,
    limits: _Limits,
    bar: Any,
    result: Result,
) -> bool:
    """Train on one length until it is solved; False if training ended before."""
    check = stage.held_out() if stage.finite else stage.draw(CHECKED, rule["rng"])
    passed = 0  # checks in a row
    while result.updates < limits.updates and limits.elapsed() < limits.seconds:
        n = min(every, limits.updates - result.updates)
        try:
            history = model.fit(*stage.draw(n * rule["batch_size"], rule["rng"]), **rule)
        except crnn.DivergenceError as error:
            result.diverged = True
            result.updates += error.step - 1
            result.seconds = limits.elapsed()
            return False
        score = stage.score(model, check)
        result.updates, result.seconds = result.updates + n, limits.elapsed()
        result.curve.append(Point(stage.T, result.updates, result.seconds, score))
        if bar is not None:
            bar.set_description(f"{stage.name}, T = {stage.T}", refresh=False)
            bar.set_postfix({stage.measure: f"{score:.4g}"}, refresh=False)
            bar.update(n)
        if history.interrupted:
            result.interrupted = True
            return False
        passed = passed + 1 if _clearly_solved(stage, score) else 0
        if passed == IN_A_ROW and not stage.finite:
            return True
    return False


def _clearly_solved(task: Task, score: float) -> bool:
    perfect = 0 if task.measure == "loss" else 1
    return task.solved(score) and abs(score - perfect) <= MARGIN * abs(task.solved_at - perfect)


@contextlib.contextmanager
def _bar(progress: bool, updates: int) -> Iterator[Any]:
    """A tqdm bar on stderr, or None."""
    if not progress or sys.stderr is None:
        yield None
        return
    from tqdm import tqdm

    least = 0.1 if sys.stderr.isatty() else 10  # seconds; a log keeps every line
    with tqdm(total=updates, unit="update", mininterval=least) as bar:
        yield bar
