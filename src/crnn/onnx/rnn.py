"""ONNX's operator RNN with all its attributes, computed by `crnn.rnn_forward`.

The operator's arrays stack the directions: W ``(D, n_a, n_x)`` is Wax, R ``(D, n_a, n_a)`` is Waa,
and B ``(D, 2 n_a)`` has two halves whose sum is ba.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from onnx import NodeProto

from crnn import rnn_forward
from crnn.onnx.directions import checked, given_attributes, read_directions, read_layout, run
from crnn.reference import Array

ACTIVATIONS = ("tanh", "relu")
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
) -> tuple[Array, ...]:
    """Y and Y_h of the operator, in the layout of the attributes.

    All arrays are float32 or all are float64, sequence_lens integers in 0..T. A ValueError names
    what does not fit.
    """
    weights = Weights.of(attributes, W, R, B)
    direction, initial = partial(_states, attributes, weights), {"initial_h": initial_h}
    return run("RNN", attributes, W, weights.n_a, X, sequence_lens, initial, direction)


def _states(
    attributes: Attributes,
    weights: Weights,
    d: int,
    x: Array,
    lengths: Array | None,
    first: list[Any],
) -> tuple[Array]:
    """The states (T, m, n_a) of direction d, 0 past an example's length."""
    arrays = (weights.Waa[d], weights.Wax[d], weights.ba[d], first[0])
    activation, reverse = attributes.activations[d], attributes.reverse[d]
    if attributes.clip is None:
        return (rnn_forward(x, *arrays, lengths=lengths, reverse=reverse, activation=activation),)
    order = _reading_order(len(x), x.shape[1], lengths) if reverse else None
    x = x if order is None else np.take_along_axis(x, order, axis=0)
    a = _clipped(x, *arrays, lengths, activation, attributes.clip)
    # The same permutation restores the order.
    return (a if order is None else np.take_along_axis(a, order, axis=0),)


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
