"""Gates and biases of gated cells, between crnn's form and that of other libraries.

Other libraries have a bias for the input and one for the recurrent product. crnn has their sum ba,
and for a GRU also baa: the part of the second bias that r multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crnn._network.cells import Cell
from crnn.reference import Array
from crnn.weights.reading import Named

#: Which of our gates (GRU r z n, LSTM i f g o) is the k-th of another library: in ONNX (z r h and
#: i o f c) and in Keras (z r h and i f c o).
ONNX = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
KERAS = {"gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}


def cell_of(rows: int, n_a: int) -> str:
    """The cell whose weights have so many rows for n_a units; "vanilla" if there is none."""
    by_gates = {1: "vanilla", 3: "gru", 4: "lstm"}
    return by_gates.get(rows // n_a, "vanilla") if rows % n_a == 0 else "vanilla"


def reordered(values: Array, order: Sequence[int]) -> Array:
    """Values stacked by gate, rows first, with the gates in another order."""
    gates = np.split(values, len(order))
    return np.concatenate([gates[k] for k in order])


def restored(values: Array, order: Sequence[int]) -> Array:
    """The opposite of `reordered`."""
    return reordered(values, [int(k) for k in np.argsort(order)])


def merged(cell: Cell, input_bias: Array, recurrent_bias: Array, dtype: Any = None) -> Named:
    """ba and, for a GRU, baa, from both biases (gates n_a,); each sum is rounded once, to dtype."""
    ba = np.add(input_bias, recurrent_bias, dtype=dtype)  # (gates n_a,)
    if "baa" not in cell.biases:
        return {"ba": ba}
    n = len(ba) // len(cell.gates) * cell.gates.index("n")
    ba[n:] = input_bias[n:]
    return {"ba": ba, "baa": recurrent_bias[n:]}


def recurrent_bias(own: Mapping[str, Array]) -> Array:
    """The second bias of other libraries: 0, but for the part that r multiplies in a GRU, baa."""
    bias = np.zeros_like(own["ba"])  # (gates n_a,)
    if "baa" in own:
        bias[-len(own["baa"]) :] = own["baa"]
    return bias
