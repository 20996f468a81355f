"""``crnn inspect``: how far back the gradient of a model of text reaches."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crnn._words import counted
from crnn.benchmark import plot
from crnn.cli.errors import UsageError, check_writable
from crnn.cli.sample import load
from crnn.cli.texts import check_unknown, symbols_of
from crnn.model import RNN
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.inspect import GradientFlow


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    model, vocabulary = load(options.model)
    _check_plot(options)
    check_unknown(vocabulary, options.unknown)
    try:
        symbols, _ = symbols_of(options.text, vocabulary, options.unknown)
    except UsageError as error:
        raise UsageError(f"--text: {error}") from None
    T, unit = options.steps, vocabulary.unit
    if len(symbols) <= T:
        raise UsageError(f"--text: expected more than {T} {unit}s, got {len(symbols)}")
    windows = _windows(symbols, T + 1, options.windows)  # (T + 1, m)
    flow = _of_the_last(model, windows)
    what = f"{counted(windows.shape[1], 'window')} of {counted(T, unit)}"
    print(f"{what}, {flow.loss / np.log(2):.3f} bits for the {unit} after each\n{flow}")
    if options.plot is not None:
        axes = flow.plot()
        title = f"{what}, loss of the {unit} after each;\n{axes.get_title()}"
        axes.set_title(title, fontsize="small")
        axes.figure.savefig(options.plot, dpi=150)
        print(f"wrote {options.plot}")
    return 0


def _check_plot(options: argparse.Namespace) -> None:
    """Check before the work that the picture can be written."""
    if options.plot is not None:
        check_writable("--plot", options.plot)
        plot.check(Path(options.plot))


def _windows(symbols: Array, steps: int, most: int) -> Array:
    """Parts of the text at equal distances, (steps, m)."""
    m = min(most, len(symbols) // steps)
    begins = np.linspace(0, len(symbols) - steps, m).astype(np.intp)
    found: Array = symbols[begins + np.arange(steps)[:, None]]
    return found


def _of_the_last(model: RNN, windows: Array) -> GradientFlow:
    """The flow of the loss at the last step alone, which then vanishes or explodes freely."""
    from crnn.inspect import gradient_flow  # imported here to keep the other commands fast

    x, y = windows[:-1], windows[1:]
    last = np.zeros(x.shape)
    last[-1] = 1
    flow = gradient_flow(model, x, y, sample_weight=last)
    # Weights are scaled to a mean of 1, so the last step counts T times.
    parts = {name: getattr(flow, name) / len(x) for name in ("norms", "quantiles", "by_lag")}
    return replace(flow, **parts)
