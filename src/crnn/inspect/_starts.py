"""Random states to search for fixed points from."""

from __future__ import annotations

import numpy as np

from crnn.inspect._cells import Cell, lstm_gates
from crnn.reference import Array

SIZES = (0.1, 10.0)  # of the states of a relu, in units of its largest input


def drawn(cell: Cell, x: Array, number: int, rng: np.random.Generator) -> Array:
    """States (number, N), at random where fixed points at the constant input x can be.

    A tanh or a gated cell has |a| < 1. The v of the equation "current" is ``Waa tanh(v) + b``, with
    b the input and the bias, so it is within the sums of |Waa| around b. A relu is linear in
    regions that its signs tell apart, and a Newton step from within the region of a fixed point
    leads to it: so signs and sizes are drawn. For an LSTM c is ``i g / (1 - f)``, at which it would
    stay if a did.
    """
    b = cell.inputs(x)  # (1, gates n_a)
    box = rng.uniform(-1, 1, (number, cell.n_a))
    if cell.place.cell.name in ("vanilla", "leaky") and cell.activation == "relu":
        sizes = np.exp(rng.uniform(*np.log(SIZES), (number, 1))) * max(1.0, np.abs(b).max())
        return sizes * (box if cell.equation == "current" else np.maximum(box, 0))
    if cell.equation == "current":
        return b + box * np.abs(cell.Waa).sum(axis=1)
    if cell.size == cell.n_a:
        return box
    inputs = np.repeat(b, number, axis=0)
    i, f, g, _ = lstm_gates(cell, box, inputs)
    return np.concatenate([box, i * g / (1 - f)], axis=1)
