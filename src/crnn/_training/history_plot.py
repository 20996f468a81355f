"""The plot of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crnn import _axes

if TYPE_CHECKING:
    from crnn._training.history import History


def draw(history: History) -> Any:
    """A figure with one curve, or training and validation, in each of its axes."""
    curves: list[tuple[str, list[Any], list[float]]] = [
        ("loss", history.loss, history.val_loss),
        (history.metric_name, history.metric, history.val_metric),
        ("norm of the gradient", history.gradient_norm, []),
        ("learning rate", history.learning_rate, []),
    ]
    if history.rate:
        curves.append(("rate of the gradient per step", history.rate, []))
    rows = (len(curves) + 1) // 2
    figure, grid = _axes.pyplot().subplots(rows, 2, figsize=(8, 2.6 * rows), layout="constrained")
    for axes, (name, values, held_out) in zip(grid.flat, curves, strict=False):
        epochs = range(1, len(values) + 1)
        lines = axes.plot(epochs, values, "-", color=_axes.BLUE, marker=".", label="training")
        if held_out:
            after = range(1, len(held_out) + 1)
            axes.plot(after, held_out, "--", color=_axes.VERMILION, marker=".", label="validation")
            axes.legend(frameon=False)
        for line, style in zip(lines, _axes.STYLES, strict=False):
            line.set_linestyle(style)  # one line for each cell
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
    for axes in list(grid.flat)[len(curves) :]:
        axes.remove()
    return figure
