"""The plot of fixed points among trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crnn import _axes
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.inspect.fixed import FixedPoints


#: A trajectory has run away when it is so many times as large as all points and starts.
AWAY = 2.0


def draw(found: FixedPoints, states: Array, ax: Any) -> Any:
    """Draw the points of `found` and trajectories (steps + 1, count, N)."""
    ax = _axes.axes(ax, (5.6, 4.8))
    states = _cut(found, states)
    if states.shape[2] == 1:
        _draw_against_time(found, states[:, :, 0], ax)
    else:
        _draw_in_plane(found, states, ax)
    title = f"{len(found.points)} fixed points, {int(found.stable.sum())} stable"
    if len(found.points) == 1:
        title = f"1 fixed point, {'stable' if found.stable[0] else 'not stable'}"
    ax.set_title(title)
    _axes.legend(ax, "lower center")
    return ax


def _cut(found: FixedPoints, states: Array) -> Array:
    """The states, with NaN from where a trajectory runs away: it would dwarf everything else."""
    sizes = np.abs(states).max(axis=2)  # (steps + 1, count)
    known = np.concatenate([sizes[0], np.abs(found.points).max(axis=1, initial=0)])
    largest = known.max(initial=0, where=np.isfinite(known))
    away = np.logical_or.accumulate(~(sizes <= AWAY * largest), axis=0)
    return np.where(away[:, :, None], np.nan, states)


def _draw_in_plane(found: FixedPoints, states: Array, ax: Any) -> None:
    """The plane is that of the first two principal components of all states that are drawn."""
    finite = states[np.isfinite(states).all(axis=2)]  # (rows, N)
    if len(finite) + len(found.points) == 0:
        return
    center, plane, shares = _principal(np.concatenate([finite, found.points]))
    lines = (states - center) @ plane.T  # (steps + 1, count, 2)
    for k in range(lines.shape[1]):
        label = "trajectory, from its dot" if k == 0 else None
        ax.plot(*lines[:, k].T, marker="o", markevery=[0], markersize=3.5, label=label, **_LINE)
    points = (found.points - center) @ plane.T
    for stable, style in _STYLES.items():
        chosen = points[found.stable == stable]
        if len(chosen):
            ax.plot(chosen[:, 0], chosen[:, 1], linestyle="", zorder=3, **style)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_xlabel(f"principal component 1 ({shares[0]:.0%} of the variance)")
    ax.set_ylabel(f"principal component 2 ({shares[1]:.0%})")


def _draw_against_time(found: FixedPoints, states: Array, ax: Any) -> None:
    for k, line in enumerate(states.T):
        label = "trajectory" if k == 0 else None
        ax.plot(line, label=label, **_LINE)
    for stable, style in _STYLES.items():
        chosen = found.points[found.stable == stable, 0]
        for k, point in enumerate(chosen):
            dashes = "-" if stable else "--"
            ax.axhline(point, color=style["color"], linewidth=1, linestyle=dashes, zorder=2)
            place = {**style, "label": style["label"] if k == 0 else None}
            ax.plot(len(states) - 1, point, clip_on=False, linestyle="", zorder=3, **place)
    ax.set_xlim(0, len(states) - 1)
    ax.set_xlabel("step")
    ax.set_ylabel("state")


#: How trajectories are drawn.
_LINE: dict[str, Any] = {"color": _axes.GREY, "linewidth": 0.7, "alpha": 0.8, "zorder": 1}
#: How points are drawn, by whether they are stable.
_STYLES: dict[bool, dict[str, Any]] = {
    True: {"marker": "o", "color": _axes.BLUE, "markersize": 8, "label": "stable"},
    False: {
        "marker": "s", "color": _axes.VERMILION, "markersize": 8, "markerfacecolor": "white",
        "markeredgewidth": 1.8, "label": "not stable",
    },
}  # fmt: skip


def _principal(states: Array) -> tuple[Array, Array, Array]:
    """The mean (N,), the first two principal axes (2, N) and their shares of the variance."""
    center = states.mean(axis=0)
    _, sizes, axes = np.linalg.svd(states - center, full_matrices=False)
    variance = np.square(sizes)
    return center, axes[:2], variance[:2] / (variance.sum() or 1.0)
