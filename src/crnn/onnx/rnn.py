"""ONNX's operator RNN with all its attributes, computed by `crnn.rnn_forward`.

The operator's arrays stack the directions: W ``(D, n_a, n_x)`` is Wax, R ``(D, n_a, n_a)`` is Waa,
and B ``(D, 2 n_a)`` has two halves whose sum is ba. Past an example's length the states are 0, as
in ONNX Runtime; an example of length 0 has zeros everywhere, with any initial state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from crnn import rnn_forward
from crnn.reference import Array

ACTIVATIONS = ("tanh", "relu")
DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
_DEFAULTS: dict[str, Any] = {
    "activations": [b"Tanh", b"Tanh"],
    "clip": None,
    "hidden_size": None,
}


@dataclass(frozen=True)
class Attributes:
    """The attributes of a node RNN, checked."""

    reverse: list[bool]  # one per direction
    activations: list[str]  # one per direction, with crnn's names
    clip: float | None
    hidden_size: int | None
    batch_first: bool  # layout 1: X (m, T, n_x), Y (m, T, D, n_a), initial_h and Y_h (m, D, n_a)

    @classmethod
    def of(cls, node: NodeProto) -> Attributes:
        """Read them from a node. Raises NotImplementedError for what crnn does not have."""
        given = {**_DEFAULTS, **given_attributes(node)}
        reverse, batch_first = read_directions("RNN", given), read_layout("RNN", given)
        names = [name.decode() for name in given["activations"]]
        if len(names) < len(reverse):
            raise ValueError(f"RNN: activations: expected one per direction, got {names}")
        activations = [name.lower() for name in names[: len(reverse)]]  # the default has two
        for name, activation in zip(names, activations, strict=False):
            if activation not in ACTIVATIONS:
                raise NotImplementedError(f"RNN: activations: crnn has Tanh and Relu, got {name}")
        clip = given["clip"]
        if clip is not None and not clip >= 0:
            raise ValueError(f"RNN: clip: expected a number >= 0, got {clip}")
        return cls(reverse, activations, clip, given["hidden_size"], batch_first)


def given_attributes(node: NodeProto) -> dict[str, Any]:
    """The attributes that a node has, by name."""
    given = {}
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            raise NotImplementedError(
                f"{node.op_type}: {attribute.name} refers to a function's attribute"
            )
        given[attribute.name] = helper.get_attribute_value(attribute)
    return given


def read_directions(operator: str, given: dict[str, Any]) -> list[bool]:
    """Whether each direction of a node reads right to left."""
    direction = given.get("direction", b"forward").decode()
    if direction not in DIRECTIONS:
        raise ValueError(
            f"{operator}: direction: expected one of {[*DIRECTIONS]}, got {direction!r}"
        )
    return DIRECTIONS[direction]


def read_layout(operator: str, given: dict[str, Any]) -> bool:
    """Whether the arrays of a node have their examples first."""
    layout = given.get("layout", 0)
    if layout not in (0, 1):
        raise ValueError(f"{operator}: layout: expected 0 or 1, got {layout}")
    return bool(layout)


@dataclass(frozen=True)
class Weights:
    """The constant arrays of a node, checked and per direction."""

    Waa: list[Array]  # (n_a, n_a)
    Wax: list[Array]  # (n_a, n_x)
    ba: list[Array]  # (n_a,)

    @property
    def n_a(self) -> int:
        """Hidden units."""
        return len(self.Waa[0])

    @classmethod
    def of(cls, attributes: Attributes, W: Any, R: Any, B: Any) -> Weights:
        """Check W (D, n_a, n_x), R (D, n_a, n_a) and B (D, 2 n_a) or None against each other."""
        D = len(attributes.reverse)
        if W.dtype not in (np.float32, np.float64):
            raise ValueError(f"RNN: W: expected float32 or float64, got {W.dtype}")
        if W.ndim != 3 or 0 in W.shape or len(W) != D:
            raise ValueError(
                f"RNN: W: expected shape (directions, hidden, inputs) with {D} directions, "
                f"got {W.shape}"
            )
        _, n_a, _ = W.shape
        if attributes.hidden_size not in (None, n_a):
            raise ValueError(
                f"RNN: hidden_size: expected {n_a}, the rows of W, got {attributes.hidden_size}"
            )
        if B is None:
            B = np.zeros((D, 2 * n_a), W.dtype)
        R = checked("RNN", "R", R, W.dtype, (D, n_a, n_a))
        halves = np.split(checked("RNN", "B", B, W.dtype, (D, 2 * n_a)), 2, axis=1)
        return cls(list(R), list(W), list(halves[0] + halves[1]))


def checked(operator: str, name: str, value: Any, dtype: Any, shape: tuple[int, ...]) -> Array:
    """The array, if it has this dtype, which is that of W, and this shape."""
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(
            f"{operator}: {name}: expected {dtype} of shape {shape}, "
            f"got {value.dtype} of shape {value.shape}"
        )
    return value  # type: ignore[no-any-return]


def cells_of(node: NodeProto, W: Array, R: Array, B: Array | None) -> tuple[bool, list[Any]]:
    """Whether a node has its examples first, and of each direction the fields of `graph.Cell`."""
    attributes = Attributes.of(node)
    if attributes.clip is not None:
        raise ValueError("clip: crnn.RNN has none")
    weights = Weights.of(attributes, W, R, B)
    return attributes.batch_first, [
        {
            "reverse": reverse,
            "activation": attributes.activations[d],
            "Waa": weights.Waa[d],
            "Wax": weights.Wax[d],
            "ba": weights.ba[d],
        }
        for d, reverse in enumerate(attributes.reverse)
    ]


def forward(
    attributes: Attributes,
    X: Array,
    W: Array,
    R: Array,
    B: Array | None = None,
    sequence_lens: Array | None = None,
    initial_h: Array | None = None,
) -> tuple[Array, Array]:
    """Y and Y_h of the operator, in the layout of the attributes.

    All arrays are float32 or all are float64, sequence_lens integers in 0..T. A ValueError names
    what does not fit.
    """
    weights = Weights.of(attributes, W, R, B)
    if attributes.batch_first:
        X = X.swapaxes(0, 1)
        initial_h = None if initial_h is None else initial_h.swapaxes(0, 1)
    D, n_x = len(W), W.shape[2]
    if X.ndim != 3:
        raise ValueError(f"RNN: X: expected three axes, got shape {X.shape}")
    T, m, _ = X.shape
    checked("RNN", "X", X, W.dtype, (T, m, n_x))
    if initial_h is not None:
        checked("RNN", "initial_h", initial_h, W.dtype, (D, m, weights.n_a))
    lengths = None if sequence_lens is None else valid_lengths("RNN", sequence_lens, T, m)
    if T * m == 0:
        Y = np.zeros((T, D, m, weights.n_a), W.dtype)
        Y_h = np.zeros((D, m, weights.n_a), W.dtype)
    else:
        a = [
            _states(attributes, weights, d, X, lengths, None if initial_h is None else initial_h[d])
            for d in range(D)
        ]
        Y = a[0][:, None] if D == 1 else np.stack(a, axis=1)  # (T, D, m, n_a)
        last = np.full(m, T - 1) if lengths is None else np.maximum(lengths - 1, 0)
        final = [0 if reverse else last for reverse in attributes.reverse]
        Y_h = np.stack([a[d][final[d], np.arange(m)] for d in range(D)])  # (D, m, n_a)
    if attributes.batch_first:
        Y, Y_h = Y.transpose(2, 0, 1, 3), Y_h.swapaxes(0, 1)
    return Y, Y_h


def valid_lengths(operator: str, value: Any, T: int, m: int) -> Array:
    """The lengths (m,), if they are integers in 0..T."""
    if value.dtype.kind not in "iu" or value.shape != (m,):
        raise ValueError(
            f"{operator}: sequence_lens: expected integers of shape ({m},), "
            f"got {value.dtype} of shape {value.shape}"
        )
    if ((value < 0) | (value > T)).any():
        raise ValueError(
            f"{operator}: sequence_lens: expected integers in 0..{T}, got {value.tolist()}"
        )
    return value.astype(np.intp)  # type: ignore[no-any-return]


def _states(
    attributes: Attributes, weights: Weights, d: int, x: Array, lengths: Array | None, a0: Any
) -> Array:
    """The states (T, m, n_a) of direction d, 0 past an example's length."""
    arrays = (weights.Waa[d], weights.Wax[d], weights.ba[d], a0)
    activation, reverse = attributes.activations[d], attributes.reverse[d]
    # rnn_forward takes lengths from 1: rows of length 0 run one step, which is cleared below.
    counted = None if lengths is None else np.maximum(lengths, 1)
    if attributes.clip is None:
        a = rnn_forward(x, *arrays, lengths=counted, reverse=reverse, activation=activation)
    else:
        order = _reading_order(len(x), x.shape[1], counted) if reverse else None
        x = x if order is None else np.take_along_axis(x, order, axis=0)
        a = _clipped(x, *arrays, counted, activation, attributes.clip)
        # The same permutation restores the order.
        a = a if order is None else np.take_along_axis(a, order, axis=0)
    if lengths is not None:
        a[:, lengths == 0] = 0
    return a


def _reading_order(T: int, m: int, lengths: Array | None) -> Array:
    """The step that is read t-th from right to left, (T, m, 1); past the end, t itself."""
    t = np.arange(T)[:, None]
    n = np.full(m, T) if lengths is None else lengths
    return np.where(t < n, n - 1 - t, t)[..., None]


def _clipped(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array,
    a0: Array | None,
    lengths: Array | None,
    activation: str,
    clip: float,
) -> Array:
    """States from left to right, where the input of the activation is clipped to +-clip.

    For a non-decreasing activation f, ``f(min(max(z, -c), c))`` is ``min(max(f(z), f(-c)), f(c))``.
    So the states can be clipped in place of z. The whole sequence runs in one call, which is right
    up to the first step that has a state beyond the limit. From there on each step is its own call.
    """
    bound = np.tanh(clip) if activation == "tanh" else clip
    limit = x.dtype.type(bound)
    a = rnn_forward(x, Waa, Wax, ba, a0, lengths=lengths, activation=activation)
    beyond = (np.abs(a) > limit).any(axis=(1, 2))  # (T,)
    if not beyond.any():
        return a
    T = len(a)
    for t in range(int(beyond.argmax()), T):
        np.clip(a[t], -limit, limit, out=a[t])
        if t + 1 < T:
            step = slice(t + 1, t + 2)
            rnn_forward(x[step], Waa, Wax, ba, a[t], activation=activation, out=a[step])
    if lengths is not None:
        a[np.arange(T)[:, None] >= lengths] = 0
    return a
