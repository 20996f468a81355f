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
    gates: tuple[str, ...]  # of n_a rows each, in Waa, Wax and ba
    kept: int  # numbers that backward needs of each state, besides the state
    biases: tuple[str, ...] = ("ba",)  # ba has a row for each of Waa's; baa has n_a rows
    states: tuple[str, ...] = ("a",)  # carried from step to step, (m, n_a) each
    options: tuple[str, ...] = ()  # fields of a configuration that this cell reads

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, in the order of a model's arena."""
        return ("Waa", "Wax", *self.biases)

    def shapes(self, n_a: int, n_in: int) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes, for n_a units that read n_in numbers a step."""
        rows = len(self.gates) * n_a
        biases = {name: (rows if name == "ba" else n_a,) for name in self.biases}
        return {"Waa": (rows, n_a), "Wax": (rows, n_in), **biases}


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
