"""The losses: from the output layer's numbers to y_hat, a value and a gradient.

Rows are the counted steps and examples; a loss is the mean over them. Each row may have a weight.
The mean of the weights over all rows of a call is 1: then the mean of ``w loss`` is
``sum w loss / sum w``, and a batch's gradient is right on average, whatever rows it holds. A row of
weight 0 adds nothing, even if its target or its answer is NaN or infinite.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from crnn._engine import kernels
from crnn.reference import Array

#: Stands for a class where the answer is NaN.
UNDECIDED = -1


class Loss(Protocol):
    """What a model needs of a loss. ``logits`` (rows, n_y) are the output layer's numbers."""

    metric: str

    def y_hat(self, logits: Array) -> Array:
        """The model's answer, computed in place of the logits."""

    def decide(self, y_hat: Array) -> Array:
        """What `predict` gives."""

    def descend(self, logits: Array, y: Array, weights: Array | None = None) -> tuple[float, float]:
        """The mean loss and metric, of weights (rows,); the logits become the loss's gradient."""


class CrossEntropy:
    """``-log y_hat_y`` of the class y (rows,), y_hat = softmax(logits); metric: accuracy.

    Computed from the logits, never from a rounded softmax: ``log(1 + sum_{k != y} exp(z_k - z_y))``
    where y has the largest logit. The gradient is ``y_hat - y`` over the number of rows.
    """

    metric = "accuracy"

    def y_hat(self, logits: Array) -> Array:
        """softmax(logits)."""
        kernels.softmax(logits)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The most probable class, and -1 where the answer is NaN."""
        classes: Array = y_hat.argmax(axis=-1)
        classes[np.isnan(y_hat[..., 0])] = UNDECIDED  # a softmax over NaN is NaN in every class
        return classes

    def descend(self, logits: Array, y: Array, weights: Array | None = None) -> tuple[float, float]:
        """Mean cross entropy and accuracy; logits become w (y_hat - y) / rows."""
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

    def descend(self, logits: Array, y: Array, weights: Array | None = None) -> tuple[float, float]:
        """Mean squared error and mean |y_hat - y|; logits become 2 w (y_hat - y) / (rows n_y)."""
        logits -= y
        if weights is not None:
            logits[weights == 0] = 0  # whatever the target: 0 times NaN or infinity is NaN
        squares, sizes = np.square(logits, dtype=np.float64), np.abs(logits)
        if weights is not None:
            squares *= weights[:, None]
            sizes *= weights[:, None]
            logits *= weights[:, None]
        loss, metric = float(np.mean(squares)), float(np.mean(sizes, dtype=np.float64))
        logits *= 2 / logits.size
        return loss, metric


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mse": MeanSquaredError()}
