"""Norms of gradients by their distance from the loss, and how fast they change with it."""

from __future__ import annotations

import numpy as np

from crnn.reference import Array


def by_lag(norms: Array, ends: Array, reverse: list[bool]) -> Array:
    """The mean over examples by the distance from the last step read, (cells, T).

    `norms` is (cells, T, m), `ends` (m,) the examples' lengths. The last step that a reverse cell
    reads is t = 0.
    """
    cells, T, m = norms.shape
    lag = np.arange(T)[:, None]
    has = lag < ends  # (T, m)
    step = np.where(has, ends - 1 - lag, 0)  # of a forward cell
    found = np.full((cells, T), np.nan)
    counted = has.any(axis=1)
    for k in range(cells):
        own = norms[k] if reverse[k] else norms[k, step, np.arange(m)]
        sums = np.where(has, own, 0).sum(axis=1)
        found[k, counted] = sums[counted] / has.sum(axis=1)[counted]
    return found


def rates(lags: Array) -> Array:
    """The slope of ``log lags`` over the lag, (cells,), by least squares over those above 0."""
    found = np.full(len(lags), np.nan)
    for k, own in enumerate(lags):
        used = np.flatnonzero((own > 0) & np.isfinite(own))
        if len(used) > 1:
            found[k] = np.polyfit(used, np.log(own[used]), 1)[0]
    return found
