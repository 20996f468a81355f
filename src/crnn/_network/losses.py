"""The losses: y_hat, the loss and its gradient, computed from the logits.

The logits are the output layer's results, also for mse. A row is an example, or a valid step of an
example, and a loss is the mean over the rows. Each row may have a weight. The weights are scaled so
that their mean over all rows of a call is 1. Then the mean of ``w loss`` is
``sum w loss / sum w``, and the expected gradient of a random batch is that of all rows. A row of
weight 0 adds nothing, even if its target or its answer is NaN or infinite.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from crnn._engine import kernels
from crnn.reference import Array

#: The class number for an answer that is NaN.
UNDECIDED = -1


class Loss(Protocol):
    """The methods that a model needs of a loss; logits are (rows, n_y)."""

    metric: str

    def y_hat(self, logits: Array) -> Array:
        """The model's answer, computed in place."""

    def decide(self, y_hat: Array) -> Array:
        """The result of `predict`."""

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """The mean loss and metric, with weights (rows,). Replaces the logits by the gradient."""


class CrossEntropy:
    """``-log y_hat_y`` of the class y (rows,), y_hat = softmax(logits); metric: accuracy.

    Computed from the logits z, not from a rounded softmax. If y has the largest logit, it is
    ``log(1 + sum_{k != y} exp(z_k - z_y))``. The gradient is ``y_hat - y`` over the number of rows.
    """

    metric = "accuracy"

    def y_hat(self, logits: Array) -> Array:
        """softmax(logits)."""
        kernels.softmax(logits)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The most probable class, or UNDECIDED if the answer is NaN."""
        classes: Array = y_hat.argmax(axis=-1)
        classes[np.isnan(y_hat[..., 0])] = UNDECIDED  # a softmax over NaN is NaN in every class
        return classes

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean cross entropy and accuracy. Replaces the logits by w (y_hat - y) / rows."""
        return kernels.cross_entropy(logits, y, weights)


class MeanSquaredError:
    """The mean of ``(y_hat - y)^2`` over rows and outputs, y_hat = logits; metric: mean |error|."""

    metric = "mean absolute error"

    def y_hat(self, logits: Array) -> Array:
        """The logits themselves: the output is linear."""
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The values themselves."""
        return y_hat

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


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mse": MeanSquaredError()}
