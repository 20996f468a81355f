"""The losses: from the output layer's numbers to y_hat, a value and a gradient.

Rows are the counted steps and examples; a loss is the mean over them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from crnn.reference import Array


class Loss(Protocol):
    """What a model needs of a loss. ``logits`` (rows, n_y) are the output layer's numbers."""

    metric: str

    def y_hat(self, logits: Array) -> Array:
        """The model's answer, computed in place of the logits."""

    def decide(self, y_hat: Array) -> Array:
        """What `predict` gives."""

    def score(self, logits: Array, y: Array) -> float:
        """The metric, a mean over rows."""

    def value_and_gradient(self, logits: Array, y: Array) -> tuple[float, Array]:
        """The mean loss and its gradient with respect to the logits, in place of them."""


class CrossEntropy:
    """``-log y_hat_y`` of the class y (rows,), y_hat = softmax(logits); metric: accuracy.

    Computed from the logits, ``log sum_k exp(z_k - z_max) - (z_y - z_max)``, never from a rounded
    softmax; the gradient is ``y_hat - y`` over the number of rows.
    """

    metric = "accuracy"

    def y_hat(self, logits: Array) -> Array:
        """softmax(logits)."""
        logits -= logits.max(axis=-1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=-1, keepdims=True)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The most probable class."""
        classes: Array = y_hat.argmax(axis=-1)
        return classes

    def score(self, logits: Array, y: Array) -> float:
        """The share of rows whose most probable class is y."""
        return float(np.mean(logits.argmax(axis=-1) == y))

    def value_and_gradient(self, logits: Array, y: Array) -> tuple[float, Array]:
        """Mean cross entropy, and (y_hat - y) / rows."""
        rows = np.arange(len(y))
        logits -= logits.max(axis=-1, keepdims=True)
        z_y = logits[rows, y].astype(np.float64)
        np.exp(logits, out=logits)
        total = logits.sum(axis=-1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0], dtype=np.float64) - z_y))
        logits /= total
        logits[rows, y] -= 1
        logits /= len(y)
        return loss, logits


class MeanSquaredError:
    """The mean of ``(y_hat - y)^2`` over rows and outputs, y_hat = logits; metric: mean |error|."""

    metric = "mean absolute error"

    def y_hat(self, logits: Array) -> Array:
        """The logits themselves: the output is linear."""
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The values themselves."""
        return y_hat

    def score(self, logits: Array, y: Array) -> float:
        """Mean |y_hat - y|."""
        return float(np.mean(np.abs(logits - y), dtype=np.float64))

    def value_and_gradient(self, logits: Array, y: Array) -> tuple[float, Array]:
        """Mean squared error, and 2 (y_hat - y) / (rows n_y)."""
        logits -= y
        loss = float(np.mean(np.square(logits, dtype=np.float64)))
        logits *= 2 / logits.size
        return loss, logits


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "mse": MeanSquaredError()}
