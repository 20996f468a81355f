"""The table of cells, the only place that lists the parameters and states of a cell.

A cell's weights are stacked by gate: a matrix has n_a rows for the first gate, then n_a rows for
the second, and so on. A new cell is one more row here, its equations in `crnn.reference` and its
kernel.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What a recurrence computes at each step, described by its arrays."""

    name: str
    gates: int  # of n_a rows each, in Waa and in Wax
    biases: tuple[tuple[str, int], ...]  # name and number of gates
    states: tuple[str, ...]  # carried from step to step, (m, n_a) each

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, in the order of a model's arena."""
        return ("Waa", "Wax", *(name for name, _ in self.biases))

    def shapes(self, n_a: int, n_in: int) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes, for n_a units that read n_in numbers a step."""
        rows = self.gates * n_a
        biases = {name: (gates * n_a,) for name, gates in self.biases}
        return {"Waa": (rows, n_a), "Wax": (rows, n_in), **biases}


VANILLA = Cell("vanilla", gates=1, biases=(("ba", 1),), states=("a",))
