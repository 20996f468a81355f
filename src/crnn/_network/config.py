"""The configuration of a model: its sizes and options, and the parameters that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from crnn._engine import validate
from crnn._engine.recurrence import Rule
from crnn._network.cells import CELLS, OPTIONS, Cell
from crnn._network.constraints import Patterns, checked_masks, checked_signs
from crnn._network.losses import Objective, chosen, plain

#: The fields of a configuration in crnn 0.1.0.
_FIRST_FIELDS = {
    "n_x", "n_a", "n_y", "num_layers", "direction", "activation", "steps", "loss", "dtype",
}  # fmt: skip
DIRECTIONS = ("forward", "reverse", "bidirectional")
#: What the output layer reads of an example that has one answer.
PARTS: dict[str, tuple[str, ...]] = {
    "last": ("last",), "mean": ("mean",), "max": ("max",), "pooled": ("last", "mean", "max"),
}  # fmt: skip
STEPS = (*PARTS, "all")
MOST_LAYERS = 10_000  # a layer takes memory for its objects: a typing error must not exhaust it

Value = TypeVar("Value")


@dataclass(frozen=True)
class Recurrence:
    """One layer, read in one direction."""

    cell: Cell
    layer: int
    reverse: bool
    suffix: str  # of its parameters' names in the model: "", "_l1", "_l0_reverse"
    n_in: int  # n_x, or the width of the layer below
    trained_states: tuple[str, ...] = ()  # parameters "a0", and "c0" of an LSTM, if it has them

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of its parameters, without the suffix, in the order of a model's arena."""
        return (*self.cell.parameters, *self.trained_states)

    def of(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Its own part of the model's parameters or gradients, under the cell's names."""
        return {name: values[name + self.suffix] for name in self.names}

    def named(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The opposite of `of`: the cell's values under the model's names."""
        return {name + self.suffix: value for name, value in values.items()}


@dataclass(frozen=True)
class Config:
    """The constructor arguments of `crnn.RNN`, checked.

    Parameters
    ----------
    n_x, n_a, n_y, num_layers, direction, activation, steps, loss, dtype, cell, leak, noise, \
equation, masks, signs, initial_state, dropout
        As of `crnn.RNN`, whose docstring describes them.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, alone or with others.

    Examples
    --------
    >>> import crnn
    >>> crnn.RNN(2, 3, 4, cell="lstm", rng=0).config == crnn.model.Config(2, 3, 4, cell="lstm")
    True
    """

    n_x: int
    n_a: int
    n_y: int
    num_layers: int = 1
    direction: str = "forward"
    activation: str = "tanh"
    steps: str = "last"
    #: A name, or a loss with other options or of the user's, which may have no hash.
    loss: Any = field(default="cross_entropy", hash=False)
    dtype: str = "float32"
    cell: str = "vanilla"
    leak: float | tuple[float, ...] | None = None  # a number, or one for each unit
    noise: float = 0.0
    equation: str = "rate"
    masks: Patterns | None = None  # of weights, by name, in their shapes
    signs: Patterns | None = None
    initial_state: str = "zeros"
    dropout: float = 0.0  # between layers

    def __post_init__(self) -> None:
        for name in ("n_x", "n_a", "n_y"):
            self._set(**{name: validate.count(name, getattr(self, name))})
        self._set(
            num_layers=validate.count("num_layers", self.num_layers, most=MOST_LAYERS),
            direction=validate.choice("direction", self.direction, DIRECTIONS),
            steps=validate.choice("steps", self.steps, STEPS),
            loss=plain(self.loss),
            dtype=validate.float_name("dtype", self.dtype),
            initial_state=validate.choice(
                "initial_state", self.initial_state, ("zeros", "trained")
            ),
        )
        self.objective.check(self.n_y)
        self._set(dropout=validate.number("dropout", self.dropout, below=1))
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                f"dropout: expected 0 with num_layers=1, got {self.dropout:g}: it acts between "
                "layers"
            )
        self._set(cell=validate.choice("cell", self.cell, tuple(CELLS)))
        self._set(**self.kind.check_options({name: getattr(self, name) for name in OPTIONS}))
        validate.finite_as("noise", self.noise, self.np_dtype)
        if "leak" in self.kind.options:
            self._set(leak=self._checked_leak())
        if self.masks is not None or self.signs is not None:
            shapes = self.shapes()
            self._set(
                masks=checked_masks(self.masks, shapes), signs=checked_signs(self.signs, shapes)
            )

    def _set(self, **checked: Any) -> None:
        """Store checked fields, although a configuration is otherwise frozen."""
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _checked_leak(self) -> float | tuple[float, ...]:
        """The leak as a file and a repr show it: a number as given, not rounded to the dtype."""
        leak = validate.leak(self.leak, self.np_dtype, self.n_a)
        return tuple(leak.tolist()) if leak.ndim else float(validate.plain("leak", self.leak))

    def arguments(self) -> dict[str, Any]:
        """The fields, with which `Config` or `crnn.RNN` makes the same again.

        Returns
        -------
        dict

        Examples
        --------
        >>> import crnn
        >>> config = crnn.model.Config(2, 3, 4)
        >>> crnn.RNN(**config.arguments(), rng=0).config == config
        True
        """
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def entries(self) -> dict[str, Any]:
        """The fields as a file has them.

        A field that crnn 0.1.0 did not have is left out where its value is the default.

        Returns
        -------
        dict
            Of what JSON can hold, and of the arrays of masks and signs.

        Examples
        --------
        >>> import crnn
        >>> crnn.model.Config(2, 3, 4, cell="gru").entries()["cell"]
        'gru'
        """
        new = {f.name: f.default for f in fields(self) if f.name not in _FIRST_FIELDS}
        values = {**self.arguments(), "loss": self.objective.entry()}
        return {name: v for name, v in values.items() if name not in new or v != new[name]}

    @cached_property
    def np_dtype(self) -> np.dtype[Any]:
        """The dtype of every parameter and result."""
        return np.dtype(self.dtype)

    @property
    def kind(self) -> Cell:
        """What every recurrence computes: its row in the table of cells."""
        return CELLS[self.cell]

    @cached_property
    def rule(self) -> Rule:
        """The cell as the kernels take it, without noise."""
        leak = None
        if self.leak is not None:
            leak = validate.leak_of_each_unit(self.leak, self.np_dtype, self.n_a)
        return Rule(self.cell, self.activation, leak, equation=self.equation)

    @property
    def relu(self) -> bool:
        """Whether the activation is relu."""
        return self.activation == "relu"

    @property
    def draws(self) -> bool:
        """Whether a step of training draws numbers, for noise or dropout."""
        return self.noise > 0 or self.dropout > 0

    @cached_property
    def objective(self) -> Objective:
        """The loss, with its answers, targets and metric."""
        return chosen(self.loss)

    @property
    def classifies(self) -> bool:
        """Whether the answers are the probabilities of n_y classes, by a softmax."""
        return self.objective.link == "softmax"

    @property
    def num_directions(self) -> int:
        """2 for a bidirectional model."""
        return 2 if self.direction == "bidirectional" else 1

    @property
    def width(self) -> int:
        """Features of a layer's output: both directions side by side, forward first."""
        return self.n_a * self.num_directions

    @property
    def every_step(self) -> bool:
        """Whether there is an answer at every step, not one for each example."""
        return self.steps == "all"

    @property
    def parts(self) -> tuple[str, ...]:
        """What the output layer reads, side by side: "last", "mean", "max"; () at every step."""
        return PARTS.get(self.steps, ())

    @property
    def pools(self) -> bool:
        """Whether the output layer reads states of all steps together."""
        return "mean" in self.parts or "max" in self.parts

    @property
    def features(self) -> int:
        """The numbers that the output layer reads for an answer."""
        return self.width * max(1, len(self.parts))

    @cached_property
    def trained_states(self) -> tuple[str, ...]:
        """The names of the parameters of each recurrence that are initial states: "a0", "c0"."""
        return tuple(f"{s}0" for s in self.kind.states) if self.initial_state == "trained" else ()

    @property
    def num_parameter_arrays(self) -> int:
        """The number of names in `shapes`, computed without building it."""
        names = len(self.kind.parameters) + len(self.trained_states)
        return names * self.num_layers * self.num_directions + 2

    def recurrences(self) -> tuple[Recurrence, ...]:
        """Every recurrence, in the order of computation.

        Returns
        -------
        tuple
            One for each layer and direction.

        Examples
        --------
        >>> import crnn
        >>> config = crnn.model.Config(2, 3, 4, num_layers=2, direction="bidirectional")
        >>> [recurrence.suffix for recurrence in config.recurrences()]
        ['_l0', '_l0_reverse', '_l1', '_l1_reverse']
        """
        return self._recurrences

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes, in the order of the arena.

        Returns
        -------
        dict of str to tuple of int

        Examples
        --------
        >>> import crnn
        >>> crnn.model.Config(2, 3, 4).shapes()
        {'Waa': (3, 3), 'Wax': (3, 2), 'ba': (3,), 'Wya': (4, 3), 'by': (4,)}
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for recurrence in self.recurrences():
            states = {name: (self.n_a,) for name in self.trained_states}
            own = {**self.kind.shapes(self.n_a, recurrence.n_in), **states}
            shapes |= recurrence.named(own)
        shapes["Wya"] = (self.n_y, self.features)
        shapes["by"] = (self.n_y,)
        return shapes

    @cached_property
    def _recurrences(self) -> tuple[Recurrence, ...]:
        both = self.direction == "bidirectional"
        directions = (False, True) if both else (self.direction == "reverse",)
        plain = self.num_layers == 1 and not both
        return tuple(
            Recurrence(
                self.kind,
                layer,
                reverse,
                "" if plain else f"_l{layer}" + ("_reverse" if both and reverse else ""),
                self.n_x if layer == 0 else self.width,
                self.trained_states,
            )
            for layer in range(self.num_layers)
            for reverse in directions
        )
