"""Examples that are windows of a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._words import counted
from crnn.reference import Array


def checked_series(name: str, series: Any, least: int = 1) -> Array:
    """Numbers (N, n_x) of float64, from (N, n_x) or (N,); N >= least."""
    a = validate.plain(name, series)
    if a.dtype.kind not in "fiub" or a.ndim not in (1, 2):
        raise ValueError(
            f"{name}: expected numbers of shape (N,) or (N, n_x), got {validate.described(a)}"
            + validate.not_numbers(a)
        )
    if len(a) < least or 0 in a.shape:
        raise ValueError(
            f"{name}: expected at least {counted(least, 'step')}, got {validate.described(a)}"
        )
    return a.reshape(len(a), -1).astype(np.float64)


def sliding_windows(
    series: Any, steps: int, horizon: int = 1, *, stride: int = 1, every_step: bool = False
) -> tuple[Array, Array]:
    """Examples for `RNN.fit`: windows of a series, and what follows each.

    Parameters
    ----------
    series : numbers (N,) or (N, n_x)
    steps : int
        What a model reads: T steps.
    horizon : int, optional
        What it answers at once: the next `horizon` steps.
    stride : int, optional
        The distance between the beginnings of two windows.
    every_step : bool, optional
        Whether there is a target at every step of a window, for a model with steps="all"; by
        default there is one after its last step.

    Returns
    -------
    x : array (steps, m, n_x)
    y : array (m, horizon n_x), or (steps, m, horizon n_x) with `every_step`
        The n_x numbers of the first step that follows, then those of the next, and so on.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the series needs at least ``steps + horizon`` steps.

    Examples
    --------
    >>> from crnn.data import sliding_windows
    >>> x, y = sliding_windows(range(6), 3, 2)
    >>> x[:, :, 0].T.tolist(), y.tolist()
    ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0, 4.0], [4.0, 5.0]])
    """
    steps, horizon = validate.count("steps", steps), validate.count("horizon", horizon)
    stride, every_step = validate.count("stride", stride), validate.flag("every_step", every_step)
    a = checked_series("series", series, steps + horizon)
    begins = np.arange(0, len(a) - steps - horizon + 1, stride)  # (m,)
    x = a[begins + np.arange(steps)[:, None]]  # (steps, m, n_x)
    ends = np.arange(1, steps + 1)[:, None] if every_step else np.array([[steps]])
    ahead = (begins + ends)[..., None] + np.arange(horizon)  # (steps or 1, m, horizon)
    y = a[ahead].reshape(*ahead.shape[:2], -1)
    return x, y if every_step else y[0]
