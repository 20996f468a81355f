"""The learning curve of a training on a task. It needs matplotlib: ``crnn[plot]``."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from crnn import _axes
from crnn._extras import extra

if TYPE_CHECKING:
    from crnn.tasks.training import Point, Result


def plot(result: Result, path: Any = None) -> Any:
    """Draw the score against the updates, with the score of no memory and that of a solution.

    Parameters
    ----------
    result : Result
        Of `crnn.tasks.train`.
    path : path, optional
        A file to write; its ending says in which format.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    """
    with extra("matplotlib", "matplotlib", name="plot", user="a plot"):
        from matplotlib.figure import Figure
    task = result.task
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for k, (T, part) in enumerate(_stages(result.curve)):
        updates, scores = zip(*((p.updates, p.score) for p in part), strict=True)
        line = _axes.STYLES[k % len(_axes.STYLES)]
        colour = _axes.COLOURS[k % len(_axes.COLOURS)]
        label = f"during training, T = {T}"
        axes.plot(updates, scores, line, marker=".", color=colour, label=label)
    axes.plot(result.updates, result.score, "ko", label="held out, after training")
    axes.axhline(task.baseline, color="0.5", linestyle=(0, (1, 2)), label="without memory")
    axes.axhline(task.solved_at, color="0.5", linestyle=(0, (6, 2)), label="solved")
    if task.measure == "loss":
        axes.set_yscale("log")
    axes.set_xlabel("updates")
    loss = "mean squared error" if task.loss == "mse" else "cross entropy (nats per step)"
    axes.set_ylabel(loss if task.measure == "loss" else "accuracy")
    axes.set_title(f"{task.name}, T = {task.T}: {'solved' if result.solved else 'not solved'}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _stages(curve: list[Point]) -> list[tuple[int, list[Point]]]:
    """The parts of a learning curve, cut where the length T changes; each with its T."""
    cuts = [i for i, (p, q) in enumerate(pairwise(curve), start=1) if p.T != q.T]
    parts = [curve[i:j] for i, j in zip([0, *cuts], [*cuts, len(curve)], strict=True)]
    return [(part[0].T, part) for part in parts if part]
