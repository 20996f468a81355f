"""The table of cells, the only place that lists the parameters and states of a cell.

A cell's weights are stacked by gate: a matrix has n_a rows for the first gate, then n_a rows for
the second, and so on. A new cell is one more row here, its equations in `crnn.reference` and its
kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from crnn._engine import validate

#: The options of some cells, with their defaults.
OPTIONS: dict[str, Any] = {"activation": "tanh", "leak": None, "noise": 0.0, "equation": "rate"}
#: How each is checked where a cell reads it.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "activation": partial(validate.choice, choices=validate.ACTIVATIONS),
    "leak": lambda _, value: value,  # `validate.leak` checks it, which needs the dtype and n_a
    "noise": validate.number,
    "equation": partial(validate.choice, choices=("rate", "current")),
}


@dataclass(frozen=True)
class Cell:
    """What a recurrence computes at each step, described by its arrays."""

    name: str
    gates: tuple[str, ...]  # of n_a rows each, in Waa, Wax and ba
    kept: int  # numbers that backward needs of each state, besides the state
    biases: tuple[str, ...] = ("ba",)  # ba has a row for each of Waa's; baa has n_a rows
    states: tuple[str, ...] = ("a",)  # carried from step to step, (m, n_a) each
    options: tuple[str, ...] = ()  # those of OPTIONS that this cell reads

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, in the order of a model's arena."""
        return ("Waa", "Wax", *self.biases)

    def shapes(self, n_a: int, n_in: int) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes, for n_a units that read n_in numbers a step."""
        rows = len(self.gates) * n_a
        biases = {name: (rows if name == "ba" else n_a,) for name in self.biases}
        return {"Waa": (rows, n_a), "Wax": (rows, n_in), **biases}

    def check_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options in their one form; one that no step reads and is no default is refused."""
        for name, value in given.items():
            if name not in self.options and not _is_default(name, value):
                raise ValueError(
                    f"{name}: expected {OPTIONS[name]!r} with cell={self.name!r}, "
                    f"got {validate.shown(value)}"
                )
        return {
            name: _CHECKS[name](name, value) if name in self.options else OPTIONS[name]
            for name, value in given.items()
        }


def _is_default(name: str, value: Any) -> bool:
    """Whether an option has its default value. Only strings and numbers are compared with it."""
    default = OPTIONS[name]
    comparable = isinstance(value, (str, int, float, np.integer, np.floating))
    if isinstance(value, bool) or not comparable:
        return value is default
    return bool(value == default)


CELLS = {
    cell.name: cell
    for cell in (
        Cell("vanilla", gates=("a",), kept=0, options=("activation",)),
        Cell(
            "leaky",
            gates=("a",),
            kept=1,
            options=("activation", "leak", "noise", "equation"),
        ),
        Cell("gru", gates=("r", "z", "n"), kept=4, biases=("ba", "baa")),
        Cell("lstm", gates=("i", "f", "g", "o"), kept=5, states=("a", "c")),
    )
}
