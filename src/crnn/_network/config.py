"""What a model is, without its numbers: sizes and choices, and the parameters they imply."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crnn._engine import validate

DIRECTIONS = ("forward", "reverse", "bidirectional")
MOST_LAYERS = 10_000  # each has an object of its own: a mistyped number must not fill the memory


@dataclass(frozen=True)
class Cell:
    """One recurrence: a layer read in one direction."""

    layer: int
    reverse: bool
    suffix: str  # of its parameters' names: "", "_l1", "_l0_reverse"
    n_in: int  # n_x, or the width of the layer below


@dataclass(frozen=True)
class Config:
    """The constructor arguments of `crnn.RNN`, checked."""

    n_x: int
    n_a: int
    n_y: int
    num_layers: int = 1
    direction: str = "forward"
    activation: str = "tanh"
    steps: str = "last"
    loss: str = "cross_entropy"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name in ("n_x", "n_a", "n_y"):
            object.__setattr__(self, name, validate.count(name, getattr(self, name)))
        layers = validate.count("num_layers", self.num_layers, most=MOST_LAYERS)
        object.__setattr__(self, "num_layers", layers)
        validate.choice("direction", self.direction, DIRECTIONS)
        validate.choice("activation", self.activation, validate.ACTIVATIONS)
        validate.choice("steps", self.steps, ("last", "all"))
        validate.choice("loss", self.loss, ("cross_entropy", "mse"))
        object.__setattr__(self, "dtype", validate.float_name("dtype", self.dtype))
        if self.loss == "cross_entropy" and self.n_y == 1:
            raise ValueError(
                "n_y: expected at least 2 with loss='cross_entropy', got 1: a softmax over one "
                "class is always 1. For two classes use n_y=2; an output layer with one logit, as "
                "a sigmoid has, becomes one with two by a first row of zeros in its weight and "
                "bias. For a value use loss='mse'."
            )

    @cached_property
    def np_dtype(self) -> np.dtype[Any]:
        """The dtype of every parameter and result."""
        return np.dtype(self.dtype)

    @property
    def relu(self) -> bool:
        """Whether the activation is relu."""
        return self.activation == "relu"

    @property
    def classifies(self) -> bool:
        """Whether targets are class numbers."""
        return self.loss == "cross_entropy"

    @property
    def num_directions(self) -> int:
        """2 for a bidirectional model."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def width(self) -> int:
        """Features of a layer's output: both directions side by side, forward first."""
        return self.n_a * self.num_directions

    @property
    def num_parameter_arrays(self) -> int:
        """How many names `shapes` has, told without building it."""
        return 3 * self.num_layers * self.num_directions + 2

    def cells(self) -> tuple[Cell, ...]:
        """Every recurrence, in the order of computation."""
        return self._cells

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes, in the order of the arena."""
        shapes: dict[str, tuple[int, ...]] = {}
        for cell in self.cells():
            shapes["Waa" + cell.suffix] = (self.n_a, self.n_a)
            shapes["Wax" + cell.suffix] = (self.n_a, cell.n_in)
            shapes["ba" + cell.suffix] = (self.n_a,)
        shapes["Wya"] = (self.n_y, self.width)
        shapes["by"] = (self.n_y,)
        return shapes

    @cached_property
    def _cells(self) -> tuple[Cell, ...]:
        both = self.direction == "bidirectional"
        directions = (False, True) if both else (self.direction == "reverse",)
        plain = self.num_layers == 1 and not both
        return tuple(
            Cell(
                layer,
                reverse,
                "" if plain else f"_l{layer}" + ("_reverse" if both and reverse else ""),
                self.n_x if layer == 0 else self.width,
            )
            for layer in range(self.num_layers)
            for reverse in directions
        )
