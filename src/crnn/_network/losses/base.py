"""What a network needs of a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from crnn._engine import validate
from crnn.reference import Array

#: The class number for an answer that is NaN.
UNDECIDED = -1


class Objective(ABC):
    """A loss with its answers, targets and metric; logits are (rows, n_y).

    The loss of values: a subclass for classes has other targets and answers.
    """

    #: As in `RNN(loss=...)` and in a file.
    name: ClassVar[str]
    #: How y_hat comes from the logits: "linear" or "softmax".
    link: str = "linear"
    #: Whether `predict` gives class numbers, which a NaN does not have.
    decides: bool = False
    #: What `loss_and_gradient` returns besides the loss.
    metric: str = "mean absolute error"

    @abstractmethod
    def loss_and_gradient(
        self, logits: Array, y: Array, weights: Array | None = None
    ) -> tuple[float, float]:
        """The mean loss and metric, with weights (rows,). Replaces the logits by the gradient."""

    def y_hat(self, logits: Array) -> Array:
        """The model's answer, computed in place."""
        return logits

    def decide(self, y_hat: Array) -> Array:
        """The result of `predict`."""
        return y_hat

    def check(self, n_y: int) -> None:  # noqa: B027 - most losses take any number of outputs
        """Raise ValueError if a model cannot have n_y outputs with this loss."""

    def n_targets(self, n_y: int) -> int:
        """The numbers in a target."""
        return n_y

    def scratch(self, n_y: int, size: int) -> int:
        """Bytes that `loss_and_gradient` allocates for each row of numbers of `size` bytes."""
        return 0

    def checked(
        self,
        name: str,
        y: Any,
        n_y: int,
        dtype: np.dtype[Any],
        lengths: Array | None,
        shape: tuple[int, ...],
    ) -> Array:
        """Targets of the examples, or of their steps; numbers past a length are not read."""
        wanted = (*shape, self.n_targets(n_y))
        a = validate.plain(name, y)
        if a.dtype.kind not in "fiu" or a.shape != wanted:
            raise ValueError(
                f"{name}: expected numbers of shape {wanted}, got {validate.described(a)}"
            )
        return validate.in_order(a, dtype)
