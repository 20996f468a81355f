"""What the operators RNN, GRU and LSTM have in common: directions, layout, lengths, initial states.

The operators' arrays stack the directions D. Past an example's length the states are 0, as in ONNX
Runtime; an example of length 0 has zeros everywhere, with any initial state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from crnn.reference import Array

DIRECTIONS = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}

#: Computes direction d from d, X (T, m, n_x), lengths (m,) of at least 1 or None, and the initial
#: states (m, n_a) or None: the states a (T, m, n_a), and the last of every other state (m, n_a).
Direction = Callable[[int, Array, Array | None, list[Any]], tuple[Array, ...]]


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


def checked(operator: str, name: str, value: Any, dtype: Any, shape: tuple[int, ...]) -> Array:
    """The array, if it has this dtype, which is that of W, and this shape."""
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(
            f"{operator}: {name}: expected {dtype} of shape {shape}, "
            f"got {value.dtype} of shape {value.shape}"
        )
    return value  # type: ignore[no-any-return]


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


def run(
    operator: str,
    attributes: Any,
    W: Array,
    n_a: int,
    X: Array,
    sequence_lens: Array | None,
    initial: Mapping[str, Array | None],
    direction: Direction,
) -> tuple[Array, ...]:
    """Y, Y_h and the last of every other state, in the layout of the attributes.

    All arrays have the dtype of W. A ValueError names what does not fit.
    """
    if X.ndim != 3:
        raise ValueError(f"{operator}: X: expected three axes, got shape {X.shape}")

    def time_first(a: Array) -> Array:
        return a.swapaxes(0, 1) if attributes.batch_first else a

    X = time_first(X)
    (D, _, n_x), (T, m) = W.shape, X.shape[:2]
    checked(operator, "X", X, W.dtype, (T, m, n_x))
    first = [
        [None] * D if a is None else checked(operator, name, time_first(a), W.dtype, (D, m, n_a))
        for name, a in initial.items()
    ]
    lengths = None if sequence_lens is None else valid_lengths(operator, sequence_lens, T, m)
    if T * m == 0:
        Y, *last = (np.zeros((*steps, D, m, n_a), W.dtype) for steps in ([T], *[[]] * len(first)))
    else:
        # crnn's functions take lengths from 1: rows of length 0 run one step, which is cleared.
        counted = None if lengths is None else np.maximum(lengths, 1)
        each = [direction(d, X, counted, [s[d] for s in first]) for d in range(D)]
        a, *others = zip(*each, strict=True)
        Y = a[0][:, None] if D == 1 else np.stack(a, axis=1)  # (T, D, m, n_a)
        end = T - 1 if counted is None else counted - 1
        ends = [0 if reverse else end for reverse in attributes.reverse]
        Y_h = [Y[ends[d], d, np.arange(m)] for d in range(D)]
        last = [np.stack(states) for states in (Y_h, *others)]  # (D, m, n_a) each
        if lengths is not None:
            for states in (Y, *last):
                states[..., lengths == 0, :] = 0
    return Y.transpose(2, 0, 1, 3) if attributes.batch_first else Y, *map(time_first, last)
