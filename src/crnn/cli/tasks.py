"""``crnn tasks``: the list of tasks. ``crnn tasks run``: train a model on one of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import crnn
from crnn import tasks
from crnn.benchmark import plot
from crnn.cli.errors import UsageError, check_writable
from crnn.schedules import Linear
from crnn.tasks import Recipe, Result, Task

Rule = crnn.SGD | crnn.Adam | crnn.RMSprop
USUAL_T = 100  # of a task without a length of its own
_OPTIMIZERS: dict[str, Callable[[float], Rule]] = {
    "adam": crnn.Adam,
    "rmsprop": crnn.RMSprop,
    "sgd": crnn.SGD,
}


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code: 0, also for a task that is not solved."""
    if options.action is None:
        print("\n\n".join(map(_described, tasks.TASKS)))
        return 0
    task = _task(options)
    _check_curriculum(task, options)
    _check_files(options)
    recipe = _recipe(task, options)
    model = recipe.model(task, options.hidden, rng=options.seed)
    size = sum(p.size for p in model.parameters.values())
    print(
        f"{task.name}: {task.about}, T = {task.T}\n{_named(recipe)}, {options.hidden} units, "
        f"{size} parameters; {recipe.optimizer}, batches of {recipe.batch_size}",
        flush=True,
    )
    result = recipe.train(
        model,
        task,
        seconds=options.seconds,
        progress=not options.quiet,
        rng=options.seed,
    )
    print(_report(result))
    if options.plot is not None:
        result.plot(options.plot)
        print(f"wrote {options.plot}")
    if options.out is not None:
        model.save(options.out)
        print(f"wrote {options.out}")
    return 130 if result.interrupted else 0


def _described(name: str) -> str:
    """A few lines about a task."""
    kind = tasks.TASKS[name]
    word = "loss below" if kind.measure == "loss" else "accuracy of at least"
    lines = [f"{name}: {kind.about}", f"    {kind.source}"]
    try:
        task = kind(64 if kind.finite else USUAL_T)
        lines.append(
            f"    solved at T = {task.T}: {word} {task.solved_at:.3g}; "
            f"without memory {task.baseline:.3g}"
        )
    except ModuleNotFoundError as error:
        lines.append(f"    {error}")
    return "\n".join(lines + _published(kind))


def _published(kind: type[Task] | Task) -> list[str]:
    return [
        f"    published: {p.model} {p.score:.3g} at T = {p.T} ({p.source})" for p in kind.published
    ]


def _task(options: argparse.Namespace) -> Task:
    kind = tasks.TASKS[options.task]
    given: dict[str, Any] = {}
    if options.permuted:
        if kind is not tasks.Digits:
            raise UsageError("--permuted: expected only with the task digits")
        given["permuted"] = True
    try:
        task = kind(options.steps or (64 if kind.finite else USUAL_T), **given)
        task.draw(1)  # a data set may need a library that is not installed
    except ValueError as error:
        raise UsageError(f"--steps: {_unnamed(error)}") from None
    except ModuleNotFoundError as error:
        raise UsageError(str(error)) from None
    return task


def _check_curriculum(task: Task, options: argparse.Namespace) -> None:
    if options.curriculum and task.finite:
        raise UsageError(f"--curriculum: expected only with a task of any length, not {task.name}")
    try:
        for T in options.curriculum or ():
            task.at(T)
    except ValueError as error:
        raise UsageError(f"--curriculum: {_unnamed(error)}") from None


def _unnamed(error: ValueError) -> str:
    """The message without the name of the argument, since that of the option precedes it."""
    return str(error).removeprefix("T: ")


def _check_files(options: argparse.Namespace) -> None:
    """Check before training that its results can be written."""
    for name in ("plot", "out"):
        path = getattr(options, name)
        if path is not None:
            check_writable(f"--{name}", path)
    if options.plot is not None:
        plot.check(Path(options.plot))
        if options.out is not None and Path(options.out).resolve() == Path(options.plot).resolve():
            raise UsageError(f"--out: expected another file than --plot, got {options.out}")


def _recipe(task: Task, options: argparse.Namespace) -> Recipe:
    """The recipe of the task and the cell, changed as the options say."""
    if options.cell != "vanilla" and options.activation == "relu":
        raise UsageError(f"--activation: expected tanh with --cell {options.cell}")
    recipe = tasks.recipe(task, options.cell)
    init = {
        "kind": options.init,
        "gain": options.gain,
        "input_std": options.input_std,
        "output_gain": options.output_gain,
    }
    start = recipe.init if options.init is None else crnn.Init()
    changed: dict[str, Any] = {"init": replace(start, **_given(init))}
    changed |= _given(
        {
            "activation": options.activation,
            "batch_size": options.batch,
            "clip_value": options.clip_value,
        }
    )
    if options.clip is not None:
        changed["clip_norm"] = options.clip or None
    if options.updates is not None:
        changed["updates"] = options.updates
    if options.curriculum is not None:
        changed["curriculum"] = tuple(options.curriculum)
    return replace(recipe, optimizer=_optimizer(recipe, options), **changed)


def _optimizer(recipe: Recipe, options: argparse.Namespace) -> Rule:
    """The recipe's optimizer, or the one that is asked for; if its rate falls, then to the end."""
    rule = recipe.optimizer
    falls, lr = isinstance(rule.lr, Linear), options.lr
    if options.optimizer is not None:
        lr = lr or (0.1 if options.optimizer == "sgd" else 1e-3)
        rule = _OPTIMIZERS[options.optimizer](lr)
    if isinstance(rule.lr, Linear):
        lr = lr or rule.lr.lr
    if falls:
        return replace(rule, lr=Linear(lr, options.updates or recipe.updates))
    return rule if lr is None else replace(rule, lr=lr)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _named(recipe: Recipe) -> str:
    if recipe.cell != "vanilla":
        return f"{recipe.cell.upper()}, {recipe.init}"
    return f"vanilla {recipe.activation}, {recipe.init}"


def _report(result: Result) -> str:
    """What came of the training, beside the published figures."""
    lines = [str(result)]
    if result.diverged:
        lines.append("training diverged: the model is that of the last good step")
    if result.interrupted:
        lines.append("interrupted")
    lines.append(f"{result.updates} updates in {result.seconds:.1f} s")
    return "\n".join(lines + [line.strip() for line in _published(result.task)])
