"""The plot of the gradient's norm at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crnn import _axes

if TYPE_CHECKING:
    from crnn.inspect.flow import GradientFlow


def draw(flow: GradientFlow, ax: Any, lag: bool) -> Any:
    """Draw each cell's mean norm, by step or by lag, and its rate; by step, quantiles too."""
    ax = _axes.axes(ax)
    steps = np.arange(flow.norms.shape[1])
    for k, name in enumerate(flow.cells):
        colour, style = _axes.COLOURS[k % len(_axes.COLOURS)], _axes.STYLES[k % len(_axes.STYLES)]
        rate = flow.rate[k]
        label = name if np.isnan(rate) else f"{name}: {rate:+.3f} per step"
        marker = "o" if len(steps) == 1 else None  # a line of one point has no length
        norms = flow.by_lag[k] if lag else flow.norms[k]
        ax.plot(
            steps, _axes.positive(norms), color=colour, linestyle=style, marker=marker, label=label
        )
        if not lag:
            low, _, high = _axes.positive(flow.quantiles[k])
            ax.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        if not np.isnan(rate):
            backwards = not lag and not name.endswith("reverse")
            fitted = _fitted(flow, k)[:: -1 if backwards else 1]
            ax.plot(steps, fitted, color=_axes.BLACK, linewidth=0.8, linestyle=style)
    _axes.log_scale(ax, flow.by_lag)
    ax.set_xlabel("steps before the last one that the cell reads" if lag else "step t")
    ax.set_ylabel("norm of the gradient of a<t>")
    shaded = "" if lag else "shaded: 10 to 90 %; "
    ax.set_title(f"mean over examples; {shaded}thin: fitted rates", fontsize="small")
    _axes.legend(ax, "lower center", columns=2)
    return ax


def _fitted(flow: GradientFlow, k: int) -> Any:
    """The exponential of the fitted rate at each lag, through the middle of the norms."""
    lags = flow.by_lag[k]
    used = np.flatnonzero((lags > 0) & np.isfinite(lags))
    middle = np.log(lags[used]).mean() - flow.rate[k] * used.mean()
    return np.exp(middle + flow.rate[k] * np.arange(len(lags)))
