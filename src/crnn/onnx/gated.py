"""ONNX's operators GRU and LSTM, computed by `crnn.gru_forward` and `crnn.lstm_forward`.

ONNX stacks the gates in an order of its own, z r h and i o f c. A row of the table `GATED` has the
permutation to crnn's order, r z n and i f g o, and nothing else here names a gate.

The GRU of ``linear_before_reset=0`` has another equation, which crnn has in NumPy only:
`crnn.reference.gru_forward` with ``reset="before"``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from crnn import gru_forward, lstm_forward, reference
from crnn.onnx.rnn import DIRECTIONS, valid_lengths
from crnn.reference import Array


def _gru(x: Array, Waa: Array, Wax: Array, bias: Array, states: list[Any], **how: Any) -> Any:
    input_bias, recurrent_bias = bias  # (3 n_a,) each
    after = how.pop("reset_after")
    n_a = Waa.shape[1]
    ba, baa = input_bias.copy(), recurrent_bias[2 * n_a :]
    ba[: 2 * n_a] += recurrent_bias[: 2 * n_a]
    if after:
        return (gru_forward(x, Waa, Wax, ba, baa, *states, **how, keep=False).a,)
    s = reference.gru_forward(x, Waa, Wax, ba, baa, *states, **how, keep=False, reset="before")
    return (s.a,)


def _lstm(x: Array, Waa: Array, Wax: Array, bias: Array, states: list[Any], **how: Any) -> Any:
    how.pop("reset_after")
    s = lstm_forward(x, Waa, Wax, bias[0] + bias[1], *states, **how, keep=False)
    return s.a, s.c_n


@dataclass(frozen=True)
class Gated:
    """One of the two operators."""

    order: tuple[int, ...]  # crnn's k-th gate is ONNX's order[k]-th
    activations: tuple[str, ...]  # of one direction
    states: tuple[str, ...]  # the inputs that are initial states
    forward: Callable[..., tuple[Array, ...]]  # a (T, m, n_a), and c_n (m, n_a) of an LSTM


GATED = {
    "GRU": Gated((1, 0, 2), ("Sigmoid", "Tanh"), ("initial_h",), _gru),
    "LSTM": Gated(
        (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh"), ("initial_h", "initial_c"), _lstm
    ),
}  # fmt: skip


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
        name, given = node.op_type, {}
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                raise NotImplementedError(
                    f"{name}: {attribute.name} refers to a function's attribute"
                )
            given[attribute.name] = helper.get_attribute_value(attribute)
        direction = given.get("direction", b"forward").decode()
        if direction not in DIRECTIONS:
            raise ValueError(
                f"{name}: direction: expected one of {[*DIRECTIONS]}, got {direction!r}"
            )
        reverse = DIRECTIONS[direction]
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
        layout = given.get("layout", 0)
        if layout not in (0, 1):
            raise ValueError(f"{name}: layout: expected 0 or 1, got {layout}")
        after = given.get("linear_before_reset", 0) != 0
        return cls(name, reverse, given.get("hidden_size"), layout == 1, after)


def _fits(operator: str, name: str, value: Any, dtype: Any, shape: tuple[int, ...]) -> Array:
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(
            f"{operator}: {name}: expected {dtype} of shape {shape}, "
            f"got {value.dtype} of shape {value.shape}"
        )
    return value  # type: ignore[no-any-return]


def checked_weights(
    attributes: Attributes, W: Array, R: Array, B: Array | None
) -> tuple[Array, Array, Array]:
    """W, R and B, zeros by default, whose shapes fit. A ValueError names what does not fit."""
    name, gates, D = (
        attributes.operator,
        len(GATED[attributes.operator].order),
        len(attributes.reverse),
    )
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
    _fits(name, "R", R, W.dtype, (D, rows, n_a))
    B = np.zeros((D, 2 * rows), W.dtype) if B is None else B
    return W, R, _fits(name, "B", B, W.dtype, (D, 2 * rows))


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
    what does not fit. Past an example's length Y is 0; an example of length 0 has zeros everywhere.
    """
    name, batch_first = attributes.operator, attributes.batch_first
    cell, D = GATED[name], len(attributes.reverse)
    W, R, B = checked_weights(attributes, W, R, B)
    n_x, n_a = W.shape[2], R.shape[2]
    if X.ndim != 3:
        raise ValueError(f"{name}: X: expected three axes, got shape {X.shape}")
    X = X.swapaxes(0, 1) if batch_first else X
    T, m = X.shape[:2]
    _fits(name, "X", X, W.dtype, (T, m, n_x))
    states: list[Any] = [None] * len(cell.states)  # (D, m, n_a) each, or None
    for k, (what, value) in enumerate(zip(cell.states, initial, strict=False)):
        if value is not None:
            own = value.swapaxes(0, 1) if batch_first else value
            states[k] = _fits(name, what, own, W.dtype, (D, m, n_a))
    lengths = None if sequence_lens is None else valid_lengths(name, sequence_lens, T, m)
    Y = np.zeros((T, D, m, n_a), W.dtype)
    final = [np.zeros((D, m, n_a), W.dtype) for _ in cell.states]  # Y_h, and Y_c of an LSTM
    last = np.full(m, T - 1) if lengths is None else np.maximum(lengths - 1, 0)
    none = np.zeros(m, bool) if lengths is None else lengths == 0
    # The functions take lengths from 1: rows of length 0 run one step, which is cleared below.
    counted = None if lengths is None else np.maximum(lengths, 1)
    for d, reverse in enumerate(attributes.reverse) if T * m else ():
        a, *c_n = cell.forward(
            X, _reordered(R[d], cell), _reordered(W[d], cell),
            np.stack([_reordered(half, cell) for half in np.split(B[d], 2)]),
            [None if value is None else value[d] for value in states],
            lengths=counted, reverse=reverse, reset_after=attributes.reset_after,
        )  # fmt: skip
        a[:, none] = 0
        Y[:, d] = a
        for values, value in zip(
            final, (a[0 if reverse else last, np.arange(m)], *c_n), strict=True
        ):
            values[d] = np.where(none[:, None], 0, value)
    if batch_first:
        return Y.transpose(2, 0, 1, 3), *(values.swapaxes(0, 1) for values in final)
    return Y, *final


def merged_biases(operator: str, B: Array) -> tuple[Array, Array | None]:
    """ba and, of a GRU with reset after, baa, from both biases of a direction (2 gates n_a,)."""
    input_bias, recurrent_bias = (_reordered(half, GATED[operator]) for half in np.split(B, 2))
    if operator != "GRU":
        return input_bias + recurrent_bias, None
    summed = 2 * len(input_bias) // 3  # r and z
    ba = input_bias.copy()
    ba[:summed] += recurrent_bias[:summed]
    return ba, recurrent_bias[summed:]


def in_onnx_order(operator: str, values: Array) -> Array:
    """Rows stacked by gate, from crnn's order to ONNX's."""
    order = GATED[operator].order
    gates = np.split(values, len(order))
    return np.concatenate([gates[order.index(k)] for k in range(len(order))])


def in_crnn_order(operator: str, values: Array) -> Array:
    """Rows stacked by gate, from ONNX's order to crnn's."""
    return _reordered(values, GATED[operator])


def _reordered(values: Array, cell: Gated) -> Array:
    gates = np.split(values, len(cell.order))
    return np.concatenate([gates[k] for k in cell.order])
