"""How wrong forecasts were, and intervals from their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn.reference import Array


@dataclass(frozen=True)
class Backtest:
    """Forecasts from several origins, and what came: see `walk_forward`.

    Attributes
    ----------
    origins : integers (n,)
        The number of steps that were known at each.
    forecasts, actual : arrays (n, H) or (n, H, n_x)

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.data import walk_forward
    >>> series = np.arange(1.0, 31.0)
    >>> last = walk_forward(lambda past: lambda H: np.full(H, past[-1]), series, 2, first=10)
    >>> last.mae
    1.5
    """

    origins: Array
    forecasts: Array
    actual: Array

    @property
    def mae(self) -> float:
        """The mean absolute error."""
        return float(np.abs(self.forecasts - self.actual).mean())

    @property
    def rmse(self) -> float:
        """The root of the mean squared error."""
        return float(np.sqrt(np.square(self.forecasts - self.actual).mean()))

    @property
    def mape(self) -> float:
        """The mean absolute percentage error, as a share: 0.05 is 5 %.

        Raises ValueError if what came was 0 once, of which no error is a share.
        """
        _require_shares("mape", self.actual, self.origins, "what came")
        return float(np.abs(self.forecasts / self.actual - 1).mean())

    def interval(self, forecast: Any, share: float = 0.9, relative: bool = True) -> tuple[Any, Any]:
        """An interval around a new forecast, from the errors of those here.

        Half its width at each step ahead is the absolute error that this share of the errors here,
        for the same step ahead, do not exceed (a split conformal interval: the rank is
        ``ceil((n + 1) share)`` of n errors). It covers what comes in this share of the cases, if
        future errors are like those here.

        Parameters
        ----------
        forecast : array (H,) or (H, n_x)
            Shaped as one of `forecasts`.
        share : float, optional
            In (0, 1).
        relative : bool, optional
            Whether errors are shares of the forecast, for series above 0 whose errors grow with
            them. Then no forecast is 0.

        Returns
        -------
        low, high : arrays shaped as the forecast

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or there are too few errors for this share.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.data import walk_forward
        >>> series = np.arange(1.0, 31.0)
        >>> last = walk_forward(lambda past: lambda H: np.full(H, past[-1]), series, 2, first=10)
        >>> low, high = last.interval([30.0, 30.0], relative=False)
        >>> low.tolist(), high.tolist()
        ([29.0, 28.0], [31.0, 32.0])
        """
        a = validate.plain("forecast", forecast)
        if a.shape != self.forecasts.shape[1:]:
            raise ValueError(
                f"forecast: expected shape {self.forecasts.shape[1:]}, got {validate.described(a)}"
            )
        errors, share = self._errors(relative), _checked_share(share)
        if relative:
            _require_shares("relative", a[None], None, "the forecast")
        return self._around(a, errors, share, relative)

    def coverage(self, share: float = 0.9, relative: bool = True) -> float:
        """The share of what came that lay in the intervals that were known before.

        The interval of each origin uses the errors of earlier origins whose steps had come by
        then. Origins for which these are too few do not count.

        Parameters
        ----------
        share, relative
            As for `interval`.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or there are too few origins.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.data import walk_forward
        >>> series = np.random.default_rng(0).standard_normal(300)
        >>> zero = walk_forward(lambda past: np.zeros, series, 2, first=10)
        >>> 0.87 < zero.coverage(0.9, relative=False) < 0.93
        True
        """
        share, errors = _checked_share(share), self._errors(relative)
        n, H = errors.shape[:2]
        inside = []
        for i in range(n):
            for h in range(H):
                known = self.origins[:i] + h < self.origins[i]
                if known.sum() < _least(share):
                    continue
                at = slice(h, h + 1)
                low, high = self._around(
                    self.forecasts[i, at], errors[:i][known][:, at], share, relative
                )
                inside.append((low <= self.actual[i, at]) & (self.actual[i, at] <= high))
        if not inside:
            raise ValueError(
                f"share: expected one for which there are enough origins, got {share}: "
                f"{_least(share)} have to be known before"
            )
        return float(np.mean(inside))

    def _errors(self, relative: bool) -> Array:
        """The absolute errors (n, H) or (n, H, n_x)."""
        errors: Array = np.abs(self.actual - self.forecasts)
        if not validate.flag("relative", relative):
            return errors
        _require_shares("relative", self.forecasts, self.origins, "a forecast")
        return errors / np.abs(self.forecasts)

    @staticmethod
    def _around(forecast: Array, errors: Array, share: float, relative: bool) -> tuple[Any, Any]:
        n = len(errors)
        if n < _least(share):
            raise ValueError(
                f"share: expected one that {n} errors can give, got {share}, which needs "
                f"{_least(share)}"
            )
        width = np.sort(errors, axis=0)[math.ceil((n + 1) * share - 1e-9) - 1]
        width = width * np.abs(forecast) if relative else width
        return forecast - width, forecast + width


def _require_shares(name: str, numbers: Array, origins: Array | None, what: str) -> None:
    """Raise ValueError if one of the numbers (n, H, ...) is 0: an error is no share of it."""
    if (numbers == 0).any():
        i, step = (int(k) for k in np.argwhere(numbers == 0)[0][:2])
        place = f"step {step + 1}" + ("" if origins is None else f" from origin {origins[i]}")
        advice = "use mae or rmse" if name == "mape" else "use relative=False"
        raise ValueError(f"{name}: an error is no share of 0, as {what} is at {place}: {advice}")


def _checked_share(share: Any) -> float:
    return float(validate.number("share", share, above=True, below=1))


def _least(share: float) -> int:
    """The fewest errors of which one has this rank: ``ceil((n + 1) share) <= n``."""
    return math.ceil(share / (1 - share) - 1e-9)
