"""Layers of recurrences and an output layer: forward beside backward, on arrays already checked.

`forward` keeps what `backward` needs in a Trace: each layer's input and each cell's states, and
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn import _kernels, _validate
from crnn._workspace import workspace
from crnn.config import Cell, Config
from crnn.functional import backward_of, forward_of
from crnn.reference import Array

State = list[Array]  # one (m, n_a) per cell


@dataclass
class Trace:
    """A forward pass, as the backward pass needs it."""

    calls: list[_validate.Sequence]  # one per cell: its input, weights, a0, lengths
    a: list[Array]  # one (T, m, n_a) per cell
    features: Array  # (rows, width): what the output layer sees
    every_step: bool  # whether rows are steps and examples, or examples only
    counted: Array | None  # rows of T * m that count, where not all do
    logits: Array  # (rows, n_y)

    def rows_of(self, y: Array | None) -> Array:
        """Targets or weights as rows of logits: (m, ...) as they are, (T, m, ...) that count."""
        assert y is not None
        if not self.every_step:
            return y
        y = y.reshape(-1, *y.shape[2:])
        return y if self.counted is None else y[self.counted]

    def final_states(self) -> State:
        """Every cell's state after its last step, to start the next window from."""
        return [final_state(a, call) for a, call in zip(self.a, self.calls, strict=True)]


def forward(
    config: Config,
    parameters: dict[str, Array],
    x: Array,
    lengths: Array | None = None,
    state: State | None = None,
) -> Trace:
    """Run every cell and the output layer on x (T, m, n_x) or (T, m), from `state` or zeros."""
    (T, m), n = x.shape[:2], config.num_directions
    calls: list[_validate.Sequence] = []
    states: list[Array] = []
    below = x
    for k, cell in enumerate(config.cells()):
        if cell.layer > 0 and k % n == 0:
            below = _side_by_side(states[-n:])
        a0 = None if state is None else state[k]
        call = _call(config, cell, parameters, below, lengths, a0)
        calls.append(call)
        states.append(forward_of(call, parameters["ba" + cell.suffix]))
    counted = None
    if config.steps == "last":
        last = [final_state(a, call) for a, call in zip(states[-n:], calls[-n:], strict=True)]
        features = _side_by_side(last)  # (m, width)
    else:
        features = _side_by_side(states[-n:]).reshape(T * m, config.width)
        if lengths is not None:
            counted = np.flatnonzero(_validate.steps_counted(T, lengths))
            features = features[counted]
    logits = np.empty((len(features), config.n_y), config.np_dtype)
    _kernels.output_forward(
        parameters["Wya"], parameters["by"], features, logits, _workspace(config)
    )
    return Trace(calls, states, features, config.steps == "all", counted, logits)


def backward(
    config: Config,
    parameters: dict[str, Array],
    trace: Trace,
    dlogits: Array,
    gradients: dict[str, Array],
) -> None:
    """Fill `gradients`, whose names are the parameters', from dlogits (rows, n_y)."""
    n, n_a = config.num_directions, config.n_a
    dfeatures = np.empty_like(trace.features)
    _kernels.output_backward(
        parameters["Wya"], dlogits, trace.features, gradients["Wya"], gradients["by"], dfeatures,
        _workspace(config),
    )  # fmt: skip
    da = _spread(config, trace, dfeatures)
    cells = config.cells()
    for first in range(len(cells) - n, -1, -n):  # layers, from the top
        dx: list[Array] = []
        for k in range(first, first + n):
            suffix, call, a = cells[k].suffix, trace.calls[k], trace.a[k]
            dx_k = np.empty_like(call.x) if first > 0 else None
            dWaa, dWax, dba = (gradients[name + suffix] for name in ("Waa", "Wax", "ba"))
            backward_of(call, da[k - first], a, into=(dWaa, dWax, dba, dx_k, None))
            if dx_k is not None:
                dx.append(dx_k)
        if first > 0:
            below = dx[0] if n == 1 else dx[0] + dx[1]  # (T, m, width)
            da = [np.ascontiguousarray(below[..., i * n_a : (i + 1) * n_a]) for i in range(n)]


def final_state(a: Array, call: _validate.Sequence) -> Array:
    """The state after the last step read, (m, n_a): right to left, that is step 0."""
    t = 0 if call.reverse else -1 if call.lengths is None else call.lengths - 1
    state: Array = a[t, np.arange(a.shape[1])]
    return state


def _call(
    config: Config,
    cell: Cell,
    parameters: dict[str, Array],
    x: Array,
    lengths: Array | None,
    a0: Array | None,
) -> _validate.Sequence:
    integers = x.ndim == 2
    return _validate.Sequence(
        None if integers else x,
        x if integers else None,
        parameters["Waa" + cell.suffix],
        parameters["Wax" + cell.suffix],
        a0,
        lengths,
        cell.reverse,
        config.activation,
    )


def _workspace(config: Config) -> Array:
    double = config.np_dtype == np.float64
    size = _kernels.linear_workspace(config.width, config.n_y, double)
    return workspace(size, config.np_dtype)


def _side_by_side(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _spread(config: Config, trace: Trace, dfeatures: Array) -> list[Array]:
    """dL/da<t> of each direction of the top layer, from the gradient of what the output saw."""
    T, m, n_a = trace.a[0].shape
    n = config.num_directions
    parts: list[Any] = np.split(dfeatures, n, axis=-1)
    if config.steps == "all" and trace.counted is None:
        return [np.ascontiguousarray(part).reshape(T, m, n_a) for part in parts]
    spread = []
    for part, call in zip(parts, trace.calls[-n:], strict=True):
        da = np.zeros((T, m, n_a), config.np_dtype)
        if config.steps == "all":
            da.reshape(T * m, n_a)[trace.counted] = part
        elif call.reverse:
            da[0] = part
        else:
            da[T - 1 if call.lengths is None else call.lengths - 1, np.arange(m)] = part
        spread.append(da)
    return spread
