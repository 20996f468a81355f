"""The loss of classes: the answers are probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import kernels, validate
from crnn._network.losses.base import UNDECIDED, Objective
from crnn.reference import Array


class CrossEntropy(Objective):
    """``-log y_hat_y`` of the class y (rows,), y_hat = softmax(logits); metric: accuracy.

    Computed from the logits z, not from a rounded softmax. If y has the largest logit, it is
    ``log(1 + sum_{k != y} exp(z_k - z_y))``. The gradient is ``y_hat - y`` over the number of rows.
    """

    name = "cross_entropy"
    link = "softmax"
    decides = True
    metric = "accuracy"

    def check(self, n_y: int) -> None:
        if n_y == 1:
            raise ValueError(
                "n_y: expected at least 2 with loss='cross_entropy', got 1: a softmax over one "
                "class is always 1. For two classes use n_y=2; an output layer with one logit, as "
                "a sigmoid has, becomes one with two by a first row of zeros in its weight and "
                "bias. For a value use loss='mse'."
            )

    def y_hat(self, logits: Array) -> Array:
        kernels.softmax(logits)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The most probable class, or UNDECIDED if the answer is NaN."""
        classes: Array = y_hat.argmax(axis=-1)
        classes[np.isnan(y_hat[..., 0])] = UNDECIDED  # a softmax over NaN is NaN in every class
        return classes

    def checked(
        self,
        name: str,
        y: Any,
        n_y: int,
        dtype: np.dtype[Any],
        lengths: Array | None,
        shape: tuple[int, ...],
    ) -> Array:
        """Class numbers (rows,)."""
        return validate.class_numbers(name, y, n_y, lengths, *shape)

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean cross entropy and accuracy. Replaces the logits by w (y_hat - y) / rows."""
        return kernels.cross_entropy(logits, y, weights)
