"""What all plots share: axes to draw on, and colours and markers that stay apart.

The colours are those of M. Okabe and K. Ito, "Color universal design" (2008), which colour-blind
people can tell apart. Markers and line styles differ too, so that a print in grey stays readable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._extras import extra

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
)  # fmt: skip
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
BLACK, GREY = "#000000", "#8C8C8C"
STYLES = ("-", "--", "-.", ":")
LABELS = 32  # points below the axes that the numbers and the label of the x axis take


def pyplot() -> Any:
    """matplotlib.pyplot. Raises ModuleNotFoundError if matplotlib is not installed."""
    with extra("matplotlib", "matplotlib", name="plot", user="a plot"):
        from matplotlib import pyplot
    return pyplot


def axes(ax: Any = None, size: tuple[float, float] = (6.4, 4.0)) -> Any:
    """The given axes, or those of a new figure of this size in inches.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    TypeError
        If they are not axes.
    """
    plotting = pyplot()
    if ax is not None:
        from matplotlib.axes import Axes

        if not isinstance(ax, Axes):
            raise TypeError(f"ax: expected a matplotlib Axes or None, got {type(ax).__name__}")
        return ax
    return plotting.subplots(figsize=size, layout="constrained")[1]


def positive(values: Any) -> Any:
    """The values above 0, which a logarithmic axis can show, and NaN in place of the others."""
    return np.where(values > 0, values, np.nan)


def log_scale(ax: Any, values: Any) -> None:
    """A logarithmic axis for these values; matplotlib draws none where no value is above 0."""
    if np.isfinite(positive(values)).any():
        ax.set_yscale("log")


def legend(ax: Any, place: str, columns: int = 3) -> None:
    """A legend outside the axes, at "lower center" or "upper right", where the layout makes room.

    Otherwise it is inside the axes. In a figure with other axes, so is one at "upper right".
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if not ax.get_legend_handles_labels()[0]:
        return
    makes_room = isinstance(ax.figure.get_layout_engine(), ConstrainedLayoutEngine)
    if makes_room and len(ax.figure.axes) == 1:
        ax.figure.legend(loc=f"outside {place}", ncols=columns, frameon=False)
    elif makes_room and place == "lower center":
        _below(ax, columns)
    else:
        ax.legend(loc="best", fontsize="small")


def _below(ax: Any, columns: int) -> None:
    """A legend under the label of the x axis: "best" may lie on markers."""
    from matplotlib.transforms import ScaledTranslation

    down = ScaledTranslation(0, -LABELS / 72, ax.figure.dpi_scale_trans)  # in inches
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=ax.transAxes + down,
        ncols=columns, frameon=False, fontsize="small",
    )  # fmt: skip
