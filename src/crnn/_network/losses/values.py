"""The losses of values, one for each output; the output is linear, and the metric is |error|."""

from __future__ import annotations

from typing import Any

from crnn._engine import losses, validate
from crnn._network.losses.base import Objective
from crnn.reference import Array


class MeanSquaredError(Objective):
    """The mean of ``(y_hat - y)^2`` over rows and outputs."""

    name = "mse"

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean squared and absolute error. Replaces logits by 2 w (y_hat - y) / (rows n_y)."""
        return losses.of_values(losses.SQUARED, logits, y, weights)


class MeanAbsoluteError(Objective):
    """The mean of ``|y_hat - y|`` over rows and outputs; its gradient at 0 is 0."""

    name = "mae"

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """The mean absolute error, twice. Replaces logits by w sign(y_hat - y) / (rows n_y)."""
        return losses.of_values(losses.ABSOLUTE, logits, y, weights)


class Huber(Objective):
    """Huber's loss: squared for small errors, absolute for large ones, so outliers count less.

    With e = y_hat - y it is the mean over rows and outputs of ``e^2 / 2`` where ``|e| <= delta``,
    else of ``delta (|e| - delta / 2)``. The metric is the mean absolute error.

    Parameters
    ----------
    delta : float, optional
        Where the two meet, in the units of y; above 0.

    Raises
    ------
    ValueError, TypeError
        If delta is not a finite number above 0.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35,
    1964.

    Examples
    --------
    >>> import crnn
    >>> crnn.RNN(1, 8, 1, loss=crnn.Huber(0.5), rng=0).config.loss
    Huber(delta=0.5)
    >>> crnn.RNN(1, 8, 1, loss=crnn.Huber(1.0), rng=0).config.loss      # the default
    'huber'
    """

    name = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = validate.number("delta", delta, above=True)

    def options(self) -> dict[str, Any]:
        """The argument."""
        return {"delta": self.delta}

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean loss and absolute error. Replaces logits by w clip(e, delta) / (rows n_y)."""
        return losses.of_values(losses.HUBER, logits, y, weights, self.delta)
