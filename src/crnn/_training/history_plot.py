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
        curves.append(("share of saturated states", history.saturated, []))
    rows = (len(curves) + 1) // 2
    figure, grid = _axes.pyplot().subplots(rows, 2, figsize=(8, 2.6 * rows), layout="constrained")
    for axes, (name, values, held_out) in zip(grid.flat, curves, strict=False):
        epochs = range(1, len(values) + 1)
        lines = axes.plot(epochs, values, "-", color=_axes.BLUE, marker=".", label="training")
        if held_out:
            after = range(1, len(held_out) + 1)
            axes.plot(after, held_out, "--", color=_axes.VERMILION, marker=".", label="validation")
            axes.legend(frameon=False)
        if len(lines) > 1:
            _tell_apart(axes, lines)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
    for axes in list(grid.flat)[len(curves) :]:
        axes.remove()
    return figure


def _tell_apart(axes: Any, lines: list[Any]) -> None:
    """One line for each cell, in its own colour and style, with its number."""
    for k, line in enumerate(lines):
        line.set_color(_axes.COLOURS[k % len(_axes.COLOURS)])
        line.set_linestyle(_axes.STYLES[k % len(_axes.STYLES)])
        line.set_label(f"cell {k}")
    axes.legend(fontsize="small", frameon=False)
