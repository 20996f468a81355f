"""The losses of classes and labels: the answers are probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import kernels, losses, validate
from crnn._network.losses.base import UNDECIDED, Objective, Wanted
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
                "class is always 1. For two classes with one logit, as a sigmoid has, use "
                "loss='binary_cross_entropy', or n_y=2. For a value use loss='mse'."
            )

    def classes(self, n_y: int) -> int:
        return n_y

    def y_hat(self, logits: Array) -> Array:
        kernels.softmax(logits)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The most probable class, or UNDECIDED if the answer is NaN."""
        classes: Array = y_hat.argmax(axis=-1)
        classes[np.isnan(y_hat[..., 0])] = UNDECIDED  # a softmax over NaN is NaN in every class
        return classes

    def checked(self, y: Any, wanted: Wanted) -> Array:
        """Class numbers (rows,)."""
        return validate.class_numbers(wanted.name, y, wanted.n_y, wanted.lengths, *wanted.shape)

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean cross entropy and accuracy. Replaces the logits by w (y_hat - y) / rows."""
        return kernels.cross_entropy(logits, y, weights)


class BinaryCrossEntropy(Objective):
    """``-y log y_hat - (1 - y) log(1 - y_hat)`` of each label, y_hat = 1 / (1 + exp(-logit)).

    The mean over rows and labels; metric: the share of labels that are right. Computed from the
    logits z as ``max(z, 0) - z y + log(1 + exp(-|z|))``, which loses no digits. The gradient is
    ``y_hat - y`` over the number of labels.
    """

    name = "binary_cross_entropy"
    link = "sigmoid"
    decides = True
    metric = "accuracy"

    def classes(self, n_y: int) -> int:
        """The label of one output is a class; many labels are not one."""
        return 2 if n_y == 1 else 0

    def class_numbers(self, y: Array) -> Array:
        numbers: Array = (y[..., 0] == 1).astype(np.intp)
        numbers[(y[..., 0] != 0) & (y[..., 0] != 1)] = -1
        return numbers

    def y_hat(self, logits: Array) -> Array:
        losses.sigmoid(logits)
        return logits

    def decide(self, y_hat: Array) -> Array:
        """1 where the probability is above 0.5, else 0, or UNDECIDED for NaN.

        Of one output without the last axis, as class numbers are.
        """
        labels = (y_hat > 0.5).astype(np.intp)
        labels[np.isnan(y_hat)] = UNDECIDED
        return labels[..., 0] if labels.shape[-1] == 1 else labels

    def checked(self, y: Any, wanted: Wanted) -> Array:
        """Labels (rows, n_y), 0, 1 or between; of one output also (rows,)."""
        name, rows, whole = wanted.name, wanted.shape, (*wanted.shape, wanted.n_y)
        a, shapes = validate.plain(name, y), [rows, whole] if wanted.n_y == 1 else [whole]
        if a.dtype.kind not in "fiub" or a.shape not in shapes:
            raise ValueError(
                f"{name}: expected labels, numbers in 0..1, of shape "
                f"{' or '.join(map(str, shapes))}, got {validate.described(a)}"
            )
        a = a.reshape(whole)
        wrong = (a < 0) | (a > 1)  # NaN is a number that training reports
        if wanted.lengths is not None:
            wrong &= validate.steps_counted(rows[0], wanted.lengths)[..., None]
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(f"{name}: expected labels, numbers in 0..1, got {a[place]} at {place}")
        return validate.in_order(a, wanted.dtype)

    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """Mean loss, share of right labels. Replaces logits by w (y_hat - y) / (rows n_y)."""
        return losses.of_values(losses.BINARY, logits, y, weights)
