"""Walk-forward validation: forecasts from many origins, each from what was known there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._forecasting.backtest import Backtest
from crnn._forecasting.examples import checked_series
from crnn.reference import Array


def walk_forward(
    train: Callable[[Any], Any], series: Any, horizon: int, *, first: int, step: int = 1
) -> Backtest:
    """Forecast a series from many origins, each time with what was known there alone.

    Parameters
    ----------
    train : callable
        Called with the series up to an origin, as a copy. It returns what forecasts: a callable of
        the horizon, such as ``lambda H: model.forecast(history, H)``, or a list of them, whose mean
        is the forecast.
    series : numbers (N,) or (N, n_x)
    horizon : int
        The steps to forecast from each origin.
    first : int
        The first origin: the number of steps known there.
    step : int, optional
        The distance between origins; the last is the last one that leaves `horizon` steps.

    Returns
    -------
    Backtest

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or a forecast has another shape than (horizon,) or
        (horizon, n_x).

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.data import walk_forward
    >>> series = 100 + np.tile([1.0, 5.0, 2.0], 20)
    >>> naive = walk_forward(lambda past: lambda H: past[-3:], series, 3, first=30, step=3)
    >>> len(naive.origins), naive.mape
    (10, 0.0)
    """
    if not callable(train):
        raise TypeError(f"train: expected a callable, got {validate.shown(train)}")
    horizon, step = validate.count("horizon", horizon), validate.count("step", step)
    shape = np.shape(series)[1:]
    a = checked_series("series", series, horizon + 1)
    first = validate.count("first", first, most=len(a) - horizon)
    a = a.reshape(len(a), *shape)
    origins = np.arange(first, len(a) - horizon + 1, step)
    forecasts = [_mean(train(a[:origin].copy()), horizon, shape) for origin in origins]
    return Backtest(
        origins, np.array(forecasts), np.array([a[origin : origin + horizon] for origin in origins])
    )


def _mean(forecasters: Any, horizon: int, shape: tuple[int, ...]) -> Array:
    """The mean of the forecasts of one or several."""
    several = forecasters if isinstance(forecasters, (list, tuple)) else [forecasters]
    found = []
    for forecaster in several:
        if not callable(forecaster):
            raise TypeError(
                "train: expected it to return a callable of the horizon, or a list of them, got "
                f"{validate.shown(forecaster)}"
            )
        found.append(validate.plain("train", forecaster(horizon)))
        if found[-1].shape != (horizon, *shape):
            raise ValueError(
                f"train: expected forecasts of shape {(horizon, *shape)}, got "
                f"{validate.described(found[-1])}"
            )
    mean: Array = np.mean(found, axis=0)
    return mean
