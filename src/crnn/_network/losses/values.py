"""The loss of values: the output is linear, and the metric is the mean size of the error."""

from __future__ import annotations

import numpy as np

from crnn._network.losses.base import Objective
from crnn.reference import Array


class MeanSquaredError(Objective):
    """The mean of ``(y_hat - y)^2`` over rows and outputs."""

    name = "mse"

    def scratch(self, n_y: int, size: int) -> int:
        """Sizes of the errors, and their squares in float64."""
        return n_y * (size + 8)

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean squared and mean absolute error.

        Replaces the logits by 2 w (y_hat - y) / (rows n_y).
        """
        logits -= y
        if weights is not None:
            logits[weights == 0] = 0  # the target may be NaN or infinite, and 0 times that is NaN
        squares, sizes = np.square(logits, dtype=np.float64), np.abs(logits)
        if weights is not None:
            squares *= weights[:, None]
            sizes *= weights[:, None]
            logits *= weights[:, None]
        loss, metric = float(np.mean(squares)), float(np.mean(sizes, dtype=np.float64))
        logits *= 2 / logits.size
        return loss, metric
