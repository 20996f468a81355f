"""Where fixed points can be, and random states there to search from."""

from __future__ import annotations

import numpy as np

from crnn.inspect._cells import Cell, lstm_gates
from crnn.reference import Array

SIZES = (0.1, 10.0)  # of the states of a relu, in units of its largest input
LEAST_LOSS = 1e-8  # of c in a step, where a forget gate is 1 up to rounding


def box(cell: Cell, x: Array) -> tuple[Array, Array]:
    """The least and the largest number (N,) of a fixed point at the constant input x, or infinity.

    A tanh or a gated cell has |a| <= 1, and the a of a relu is not negative. The v of the equation
    "current" is ``Waa f(v) + b``, with b the input and the bias: for tanh it is within the sums of
    |Waa| around b.
    """
    high = np.full(cell.size, np.inf)
    low = -high
    if _has_relu(cell):
        return (low if cell.equation == "current" else np.zeros_like(low)), high
    if cell.equation == "current":
        b, most = cell.inputs(x)[0], np.abs(cell.Waa).sum(axis=1)
        return b - most, b + most
    low[: cell.n_a], high[: cell.n_a] = -1, 1  # of an LSTM, c has no bound
    return low, high


def drawn(cell: Cell, x: Array, number: int, rng: np.random.Generator) -> Array:
    """States (number, N) at random within the box.

    A relu is linear in regions that its signs tell apart, and a Newton step from within the region
    of a fixed point leads to it: so signs and sizes are drawn. For an LSTM, c is ``i g / (1 - f)``,
    at which it would stay if a did.
    """
    uniform = rng.uniform(-1, 1, (number, cell.n_a))
    low, high = box(cell, x)
    if _has_relu(cell):
        smallest, largest = np.log(SIZES)
        sizes = np.exp(rng.uniform(smallest, largest, (number, 1)))
        states: Array = sizes * max(1.0, np.abs(cell.inputs(x)).max()) * uniform
        return np.maximum(low, states)
    if cell.size == cell.n_a:
        states = (low + high) / 2 + uniform * (high - low) / 2
        return states
    i, f, g, _ = lstm_gates(cell, uniform, np.repeat(cell.inputs(x), number, axis=0))
    return np.concatenate([uniform, i * g / np.maximum(1 - f, LEAST_LOSS)], axis=1)


def _has_relu(cell: Cell) -> bool:
    return cell.place.cell.name in ("vanilla", "leaky") and cell.activation == "relu"
