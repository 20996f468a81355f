"""What a network needs of a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from crnn._engine import validate
from crnn.reference import Array

#: The class number for an answer that is NaN.
UNDECIDED = -1


class Wanted(NamedTuple):
    """What targets belong to, and the name of the argument that they are."""

    name: str
    n_y: int
    dtype: np.dtype[Any]  # of the model
    shape: tuple[int, ...]  # of the rows: (m,), (T, m), or (T_i,) of one example
    lengths: Array | None = None  # (m,): what is past them is not read


class Objective(ABC):
    """A loss with its answers, targets and metric; logits are (rows, n_y).

    The loss of values: subclasses for labels and distributions have other targets and answers.
    """

    #: As in `RNN(loss=...)` and in a file.
    name: ClassVar[str]
    #: How y_hat comes from the logits: "linear", "softmax", "sigmoid", "mean and deviation", or
    #: None for a function of the user's.
    link: str | None = "linear"
    #: Whether `predict` gives class numbers, which a NaN does not have.
    decides: bool = False
    #: Whether the answers describe a distribution of values, from which `draw` draws.
    draws: bool = False
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

    def draw(self, y_hat: Array, rng: np.random.Generator) -> Array:
        """Values (rows, n_targets) of float64 from the distributions that y_hat describes."""
        raise NotImplementedError

    def span(self) -> tuple[float, float]:
        """The lowest and the highest level of the quantiles that y_hat describes."""
        return 0.0, 1.0

    def options(self) -> dict[str, Any]:
        """The arguments that another object of this kind may have other values for."""
        return {}

    def check(self, n_y: int) -> None:  # noqa: B027 - most losses take any number of outputs
        """Raise ValueError if a model cannot have n_y outputs with this loss."""

    def n_targets(self, n_y: int) -> int:
        """The numbers in a target."""
        return n_y

    def classes(self, n_y: int) -> int:
        """The classes that a target is one of; 0 if targets are no classes."""
        return 0

    def class_numbers(self, y: Array) -> Array:
        """Checked targets (rows, ...) as class numbers (rows), where they are; else -1."""
        return y

    def scratch(self, n_y: int) -> int:
        """Bytes that `loss_and_gradient` allocates for each row."""
        return 0

    def checked(self, y: Any, wanted: Wanted) -> Array:
        """Targets of the examples, or of their steps; numbers past a length are not read."""
        shape = (*wanted.shape, self.n_targets(wanted.n_y))
        a = validate.plain(wanted.name, y)
        if a.dtype.kind not in "fiu" or a.shape != shape:
            raise ValueError(
                f"{wanted.name}: expected numbers of shape {shape}, got {validate.described(a)}"
                + (validate.axis_to_add("y", a.shape, shape) or validate.not_numbers(a))
            )
        return validate.in_order(a, wanted.dtype)

    def entry(self) -> str | dict[str, Any]:
        """As a file has it: the name, with the options where they are not the default."""
        options = self.options()
        return self.name if options == type(self)().options() else {"name": self.name, **options}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.options() == other.options()

    def __hash__(self) -> int:
        return hash((type(self), str(self.options())))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options().items())
        return f"{type(self).__name__}({options})"
