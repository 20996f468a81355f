"""The plot of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crnn._extras import extra

if TYPE_CHECKING:
    from crnn._training.history import History

BLUE, VERMILION = "#0072B2", "#D55E00"  # which colour-blind people can tell apart


def draw(history: History) -> Any:
    """A figure with one curve, or training and validation, in each of its axes."""
    with extra("matplotlib", "matplotlib", name="plot", user="a plot"):
        from matplotlib import pyplot
    curves: list[tuple[str, list[Any], list[float]]] = [
        ("loss", history.loss, history.val_loss),
        (history.metric_name, history.metric, history.val_metric),
        ("norm of the gradient", history.gradient_norm, []),
        ("learning rate", history.learning_rate, []),
    ]
    if history.rate:
        curves.append(("rate of the gradient per step", history.rate, []))
    rows = (len(curves) + 1) // 2
    figure, grid = pyplot.subplots(rows, 2, figsize=(8, 2.6 * rows), layout="constrained")
    for axes, (name, values, held_out) in zip(grid.flat, curves, strict=False):
        epochs = range(1, len(values) + 1)
        lines = axes.plot(epochs, values, "-", color=BLUE, marker=".", label="training")
        if held_out:
            axes.plot(range(1, len(held_out) + 1), held_out, "--", color=VERMILION, marker=".",
                      label="validation")  # fmt: skip
            axes.legend(frameon=False)
        for line, style in zip(lines, ("-", "--", "-.", ":"), strict=False):
            line.set_linestyle(style)  # one line for each cell
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
    for axes in list(grid.flat)[len(curves) :]:
        axes.remove()
    return figure
