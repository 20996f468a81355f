"""The losses whose answers describe a distribution: quantiles, and mean and standard deviation.

Of s series, the n_y outputs are parts of s numbers: all of the first quantile or of the mean, then
all of the next. So ``np.split(y_hat, parts, axis=-1)`` gives arrays shaped as the targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from crnn._engine import losses, validate
from crnn._network.losses.base import Objective
from crnn.reference import Array


class Quantiles(Objective):
    """Quantiles of the targets: the pinball loss of each level.

    With the error u = y - y_hat of level q it is ``q u`` for u >= 0, else ``(q - 1) u``; the mean
    over rows, series and levels. The metric is the coverage: the share of targets from the lowest
    level's value to the highest level's. If the model is right, that is close to the difference of
    the two levels. With one level it is the share of targets up to its value, close to the level.

    Parameters
    ----------
    levels : sequence of float, optional
        Increasing, each between 0 and 1.

    Raises
    ------
    ValueError, TypeError
        If the levels do not fit.

    Notes
    -----
    For s series n_y is s times the number of levels. `predict_proba` gives all of them, the s
    values of the first level before those of the next, and ``low, middle, high = np.split(y_hat, 3,
    axis=-1)`` are shaped as the targets. `predict` gives the values of the level that is closest to
    0.5, and the mean of two that are equally close. Nothing keeps quantiles of different levels
    from crossing where there are few data: ``np.sort`` puts those of one series in order.

    References
    ----------
    R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 8, 3, loss=crnn.Quantiles((0.1, 0.5, 0.9)), rng=0)
    >>> x, y = np.ones((5, 4, 1)), np.ones((4, 1))
    >>> low, middle, high = np.split(model.predict_proba(x), 3, axis=-1)
    >>> low.shape, model.predict(x).shape
    ((4, 1), (4, 1))
    >>> model.fit(x, y, epochs=1, progress=False).metric_name
    'coverage of the 80 % interval'
    """

    name = "quantiles"
    draws = True

    def __init__(self, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> None:
        given = validate.plain("levels", levels)
        if given.ndim != 1 or given.dtype.kind not in "fiu":
            raise TypeError(f"levels: expected some numbers, got {validate.shown(levels)}")
        checked = [
            validate.number(f"levels[{i}]", level, above=True, below=1)
            for i, level in enumerate(given.tolist())
        ]
        if not checked or (np.diff(checked) <= 0).any():
            raise ValueError(f"levels: expected increasing numbers, got {validate.shown(levels)}")
        self.levels = tuple(checked)
        away = np.abs(np.array(checked) - 0.5)
        self._middle = np.flatnonzero(away < away.min() + 1e-9)  # one or two
        first, last = checked[0], checked[-1]
        self.metric = f"coverage of the {100 * (last - first):g} % interval"
        if len(checked) == 1:
            self.metric = f"share up to the quantile {first:g}"

    def options(self) -> dict[str, Any]:
        """The argument, as a list in a file."""
        return {"levels": self.levels}

    def check(self, n_y: int) -> None:
        n = len(self.levels)
        if n_y % n:
            raise ValueError(
                f"n_y: expected a multiple of {n}, an output for each of the quantiles "
                f"{self.levels} of each series, got {n_y}"
            )

    def n_targets(self, n_y: int) -> int:
        return n_y // len(self.levels)

    def decide(self, y_hat: Array) -> Array:
        """The values of the level that is closest to 0.5."""
        parts = y_hat.reshape(*y_hat.shape[:-1], len(self.levels), -1)  # (rows, levels, s)
        middle: Array = parts[..., self._middle, :].mean(axis=-2)
        return middle

    def draw(self, y_hat: Array, rng: np.random.Generator) -> Array:
        """Values between the quantiles, which are joined by straight lines.

        Nothing is known beyond the outermost levels: there the draw is the outermost quantile.
        """
        levels = np.array(self.levels)
        parts = np.sort(y_hat.reshape(len(y_hat), len(levels), -1), axis=1)  # (rows, levels, s)
        u = rng.random(parts[:, 0].shape).clip(levels[0], levels[-1])  # (rows, s)
        below = (np.searchsorted(levels, u, side="right") - 1).clip(0, max(len(levels) - 2, 0))
        above = np.minimum(below + 1, len(levels) - 1)
        low, high = (np.take_along_axis(parts, at[:, None], 1)[:, 0] for at in (below, above))
        width = np.where(above > below, levels[above] - levels[below], 1)
        found: Array = low + (u - levels[below]) / width * (high - low.astype(np.float64))
        return found

    def span(self) -> tuple[float, float]:
        return self.levels[0], self.levels[-1]

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean pinball loss and coverage. Replaces the logits by the gradient."""
        return losses.pinball(logits, y, np.array(self.levels), weights)


class GaussianNLL(Objective):
    """``-log p(y)``, p the normal density whose mean and log variance the outputs are.

    With the mean z and the log variance v it is ``((z - y)^2 exp(-v) + v + log 2 pi) / 2``; the
    mean over rows and series. For s series n_y is 2 s: the means, then the log variances. The
    metric is the mean absolute error of the means.
    """

    name = "gaussian_nll"
    link = "mean and deviation"
    draws = True

    def check(self, n_y: int) -> None:
        if n_y % 2:
            raise ValueError(
                "n_y: expected an even number with loss='gaussian_nll', a mean and a log variance "
                f"for each series, got {n_y}"
            )

    def n_targets(self, n_y: int) -> int:
        return n_y // 2

    def y_hat(self, logits: Array) -> Array:
        """The means, then the standard deviations."""
        deviations = logits[..., logits.shape[-1] // 2 :]
        deviations *= 0.5
        np.exp(deviations, out=deviations)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The means."""
        means: Array = y_hat[..., : y_hat.shape[-1] // 2].copy()
        return means

    def draw(self, y_hat: Array, rng: np.random.Generator) -> Array:
        means, deviations = np.split(y_hat.astype(np.float64), 2, axis=-1)  # (rows, s)
        found: Array = means + deviations * rng.standard_normal(means.shape)
        return found

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean loss and absolute error. Replaces the logits by the gradient."""
        return losses.gaussian(logits, y, weights)
