"""The plot of the gradient's norm at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crnn import _axes

if TYPE_CHECKING:
    from crnn.inspect.flow import GradientFlow

COLOURS = (_axes.BLUE, _axes.VERMILION, _axes.GREEN, _axes.PURPLE, _axes.ORANGE, _axes.SKY)


def draw(flow: GradientFlow, ax: Any) -> Any:
    """Draw each cell's mean norm, the quantiles around it, and its fitted rate."""
    ax = _axes.axes(ax)
    t = np.arange(flow.norms.shape[1])
    for k, name in enumerate(flow.cells):
        colour, style = COLOURS[k % len(COLOURS)], _axes.STYLES[k % len(_axes.STYLES)]
        shown = np.where(flow.norms[k] > 0, flow.norms[k], np.nan)
        rate = flow.rate[k]
        label = name if np.isnan(rate) else f"{name}: {rate:+.3f} per step"
        ax.plot(t, shown, color=colour, linestyle=style, label=label)
        low, _, high = np.where(flow.quantiles[k] > 0, flow.quantiles[k], np.nan)
        ax.fill_between(t, low, high, color=colour, alpha=0.15, linewidth=0)
        if not np.isnan(rate):
            ax.plot(t, _fitted(flow, k), color=_axes.BLACK, linewidth=0.8, linestyle=style)
    ax.set_yscale("log")
    ax.set_xlabel("step t")
    ax.set_ylabel("norm of the gradient of a<t>")
    ax.set_title("mean over examples; shaded: 10 to 90 %; thin: fitted rates", fontsize="small")
    _axes.legend(ax, "lower center", columns=2)
    return ax


def _fitted(flow: GradientFlow, k: int) -> Any:
    """The exponential of the fitted rate at each step, through the middle of the norms."""
    lags = flow.by_lag[k]
    used = np.flatnonzero((lags > 0) & np.isfinite(lags))
    middle = np.log(lags[used]).mean() - flow.rate[k] * used.mean()
    lag = np.arange(len(lags))
    if not flow.cells[k].endswith("reverse"):
        lag = lag[::-1]
    return np.exp(middle + flow.rate[k] * lag)
