"""Where other libraries have the gates of a cell."""

from __future__ import annotations

import numpy as np

from crnn.reference import Array

#: The order of our gates (GRU r z n, LSTM i f g o) in ONNX (z r h and i o f c).
ONNX = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}
#: The same in Keras (z r h and i f c o).
KERAS = {"gru": (1, 0, 2), "lstm": (0, 1, 2, 3)}


def reordered(values: Array, order: tuple[int, ...]) -> Array:
    """Values stacked by gate, rows first, with the gates in another order."""
    gates = np.split(values, len(order))
    return np.concatenate([gates[k] for k in order])


def restored(values: Array, order: tuple[int, ...]) -> Array:
    """The opposite of `reordered`."""
    return reordered(values, tuple(int(k) for k in np.argsort(order)))


def recurrent_bias(p: dict[str, Array]) -> Array:
    """The second bias of other libraries: zeros, but for the part that r multiplies in a GRU."""
    bias = np.zeros_like(p["ba"])  # (gates n_a,)
    if "baa" in p:
        bias[-len(p["baa"]) :] = p["baa"]
    return bias
