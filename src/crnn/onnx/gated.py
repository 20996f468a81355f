"""ONNX's operators GRU and LSTM, computed by `crnn.gru_forward` and `crnn.lstm_forward`.

ONNX stacks the gates in an order of its own, which `crnn.weights.gates` knows.

The GRU of ``linear_before_reset=0`` has another equation, which crnn has in NumPy only:
`crnn.reference.gru_forward` with ``reset="before"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto

from crnn import gru_forward, lstm_forward, reference
from crnn._network.cells import CELLS, Cell
from crnn.onnx.directions import checked, given_attributes, read_directions, read_layout, run
from crnn.reference import Array
from crnn.weights.gates import ONNX, merged, restored
from crnn.weights.reading import Named


def _gru(x: Array, arrays: dict[str, Any], after: bool, **how: Any) -> tuple[Array, ...]:
    """`arrays` has the weights, biases and initial states under crnn's names."""
    if after:
        return (gru_forward(x, **arrays, **how, keep=False).a,)
    return (reference.gru_forward(x, **arrays, **how, keep=False, reset="before").a,)


def _lstm(x: Array, arrays: dict[str, Any], after: bool, **how: Any) -> tuple[Array, ...]:
    s = lstm_forward(x, **arrays, **how, keep=False)
    return s.a, s.c_n


@dataclass(frozen=True)
class Gated:
    """One of the two operators."""

    cell: Cell
    activations: tuple[str, ...]  # of one direction
    forward: Callable[..., tuple[Array, ...]]  # a (T, m, n_a), and c_n (m, n_a) of an LSTM

    @property
    def order(self) -> tuple[int, ...]:
        """Which of crnn's gates is the k-th of ONNX."""
        return ONNX[self.cell.name]

    @property
    def states(self) -> tuple[str, ...]:
        """The inputs that are initial states."""
        return ("initial_h", "initial_c")[: len(self.cell.states)]


GATED = {
    "GRU": Gated(CELLS["gru"], ("Sigmoid", "Tanh"), _gru),
    "LSTM": Gated(CELLS["lstm"], ("Sigmoid", "Tanh", "Tanh"), _lstm),
}


@dataclass(frozen=True)
class Attributes:
    """The attributes of a node GRU or LSTM, checked."""

    operator: str
    reverse: list[bool]  # one per direction
    hidden_size: int | None
    batch_first: bool  # layout 1
    reset_after: bool  # linear_before_reset, of a GRU

    @classmethod
    def of(cls, node: NodeProto) -> Attributes:
        """Read them from a node. Raises NotImplementedError for what crnn does not have."""
        name, given = node.op_type, given_attributes(node)
        reverse, batch_first = read_directions(name, given), read_layout(name, given)
        expected = [*GATED[name].activations] * len(reverse)
        if "activations" in given:
            activations = [activation.decode() for activation in given["activations"]]
            if [a.lower() for a in activations] != [a.lower() for a in expected]:
                raise NotImplementedError(
                    f"{name}: activations: crnn has {expected}, got {activations}"
                )
        if "clip" in given:
            raise NotImplementedError(f"{name}: clip: crnn has none, got {given['clip']}")
        if given.get("input_forget", 0):
            raise NotImplementedError(f"{name}: input_forget: crnn has 0, got 1")
        if len(node.input) > 7 and node.input[7]:
            raise NotImplementedError(f"{name}: P: crnn has no peepholes, got {node.input[7]!r}")
        after = given.get("linear_before_reset", 0) != 0
        return cls(name, reverse, given.get("hidden_size"), batch_first, after)


def checked_weights(
    attributes: Attributes, W: Array, R: Array, B: Array | None
) -> tuple[Array, Array, Array]:
    """W, R and B, zeros by default, whose shapes fit. A ValueError names what does not fit."""
    name, D = attributes.operator, len(attributes.reverse)
    gates = len(GATED[name].cell.gates)
    if W.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: W: expected float32 or float64, got {W.dtype}")
    if W.ndim != 3 or 0 in W.shape or len(W) != D or W.shape[1] % gates:
        raise ValueError(
            f"{name}: W: expected shape (directions, {gates} hidden, inputs) with {D} directions, "
            f"got {W.shape}"
        )
    rows = W.shape[1]
    n_a = rows // gates
    if attributes.hidden_size not in (None, n_a):
        raise ValueError(
            f"{name}: hidden_size: expected {n_a}, as W has rows, got {attributes.hidden_size}"
        )
    checked(name, "R", R, W.dtype, (D, rows, n_a))
    B = np.zeros((D, 2 * rows), W.dtype) if B is None else B
    return W, R, checked(name, "B", B, W.dtype, (D, 2 * rows))


def forward(
    attributes: Attributes,
    X: Array,
    W: Array,
    R: Array,
    B: Array | None = None,
    sequence_lens: Array | None = None,
    *initial: Array | None,
) -> tuple[Array, ...]:
    """Y, Y_h and, of an LSTM, Y_c, in the layout of the attributes.

    All arrays are float32 or all are float64, sequence_lens integers in 0..T. A ValueError names
    what does not fit.
    """
    name = attributes.operator
    operator = GATED[name]
    W, R, B = checked_weights(attributes, W, R, B)

    def one(d: int, x: Array, lengths: Array | None, first: list[Any]) -> tuple[Array, ...]:
        arrays = direction(name, W[d], R[d], B[d]) | dict(zip(("a0", "c0"), first, strict=False))
        how = {"lengths": lengths, "reverse": attributes.reverse[d]}
        return operator.forward(x, arrays, attributes.reset_after, **how)

    states = dict.fromkeys(operator.states) | dict(zip(operator.states, initial, strict=False))
    return run(name, attributes, W, R.shape[2], X, sequence_lens, states, one)


def direction(operator: str, W: Array, R: Array, B: Array) -> Named:
    """Waa, Wax, ba and, of a GRU, baa, from the arrays of one direction of a node."""
    cell, order = GATED[operator].cell, GATED[operator].order
    biases = (restored(half, order) for half in np.split(B, 2))
    return {
        "Waa": restored(R, order),
        "Wax": restored(W, order),
        **merged(cell, *biases),
    }


def cells_of(node: NodeProto, W: Array, R: Array, B: Array | None) -> tuple[bool, list[Any]]:
    """What `crnn.onnx.rnn.cells_of` gives, for a node GRU or LSTM."""
    name, attributes = node.op_type, Attributes.of(node)
    if name == "GRU" and not attributes.reset_after:
        raise ValueError(
            "linear_before_reset: expected 1, the equation of crnn's GRU, got 0, which is another"
        )
    W, R, B = checked_weights(attributes, W, R, B)
    return attributes.batch_first, [
        {
            "reverse": reverse,
            "activation": "tanh",
            "kind": name.lower(),
            **direction(name, W[d], R[d], B[d]),
        }
        for d, reverse in enumerate(attributes.reverse)
    ]
