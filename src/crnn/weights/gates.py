"""Gates and biases of gated cells, between crnn's form and that of other libraries.

Other libraries have a bias for the input and one for the recurrent product. crnn has their sum ba,
and for a GRU also baa: the part of the second bias that r multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crnn._network.cells import Cell
from crnn.reference import Array
from crnn.weights.reading import Named


def cell_of(rows: int, n_a: int) -> str:
    """The cell whose weights have so many rows for n_a units; "vanilla" if there is none."""
    by_gates = {1: "vanilla", 3: "gru", 4: "lstm"}
    return by_gates.get(rows // n_a, "vanilla") if rows % n_a == 0 else "vanilla"


def reordered(values: Array, order: Sequence[int]) -> Array:
    """Values stacked by gate (rows first), with the gates in another order."""
    gates = np.split(values, len(order))
    return np.concatenate([gates[k] for k in order])


def merged(cell: Cell, input_bias: Array, recurrent_bias: Array) -> Named:
    """ba and, for a GRU, baa, from both biases (gates n_a,), each sum rounded once."""
    ba = np.add(input_bias, recurrent_bias, dtype=np.float64)  # (gates n_a,)
    if "baa" not in cell.biases:
        return {"ba": ba}
    n = len(ba) // len(cell.gates) * cell.gates.index("n")
    return {"ba": np.concatenate([ba[:n], input_bias[n:]]), "baa": recurrent_bias[n:]}


def apart(cell: Cell, own: Named) -> tuple[Array, Array]:
    """The opposite of `merged`: the input bias is ba, and the recurrent one 0 except for baa."""
    recurrent = np.zeros_like(own["ba"])  # (gates n_a,)
    if "baa" in cell.biases:
        recurrent[-len(own["baa"]) :] = own["baa"]
    return own["ba"].copy(), recurrent
