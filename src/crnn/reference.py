"""The vanilla RNN in plain NumPy: the truth that everything else is held against.

The equations stand in the order a textbook has them, each forward beside its backward, and
nothing is done for speed. Any real dtype works; in float64 every gradient here agrees with finite
differences, and `crnn check` shows that on your machine.

Shapes: x (T, m, n_x) or integers (T, m) that stand for one-hot rows, a (T, m, n_a),
Waa (n_a, n_a), Wax (n_a, n_x), ba (n_a,), Wya (n_y, n_a), by (n_y,), a0 (m, n_a), lengths (m,).
Arguments are not checked here; `crnn.rnn_forward` and `crnn.rnn_backward` do.

References
----------
J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.
P. J. Werbos, "Backpropagation through time: what it does and how to do it",
Proceedings of the IEEE 78 (1990) 1550-1560.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Gradients(NamedTuple):
    """Gradients of a loss, each shaped as what it is the gradient of."""

    dWaa: Array
    dWax: Array
    dba: Array
    dx: Array | None  #: None where x holds integers
    da0: Array


def activate(z: Array, activation: str = "tanh") -> Array:
    """``a = tanh(z)`` or ``a = max(z, 0)``."""
    return np.tanh(z) if activation == "tanh" else np.maximum(z, 0)


def activate_backward(da: Array, a: Array, activation: str = "tanh") -> Array:
    """``dz = da (1 - a^2)`` or ``dz = da [a > 0]``: the slope, told from a alone."""
    return da * (1 - a**2) if activation == "tanh" else da * (a > 0)


def one_hot(index: Array, n_x: int, dtype: Any = float) -> Array:
    """The rows that integers stand for: index (...), result (..., n_x)."""
    rows: Array = (index[..., None] == np.arange(n_x)).astype(dtype)
    return rows


def _valid_steps(T: int, m: int, lengths: Array | None) -> Array:
    """True where step t of an example is counted: (T, m, 1)."""
    if lengths is None:
        return np.ones((T, m, 1), dtype=bool)
    return (np.arange(T)[:, None] < lengths)[..., None]


def _rows(x: Array, valid: Array, Wax: Array) -> Array:
    """The input as rows of numbers, zero where no step is counted, whatever stood there."""
    rows = one_hot(x, Wax.shape[1], Wax.dtype) if x.ndim == 2 else x
    return np.where(valid, rows, 0)


def rnn_forward(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array | None = None,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    activation: str = "tanh",
    out: Array | None = None,
) -> Array:
    """``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``; `crnn.rnn_forward` in NumPy."""
    T, m = x.shape[:2]
    valid = _valid_steps(T, m, lengths)
    x = _rows(x, valid, Wax)
    a = np.empty((T, m, len(Waa)), Waa.dtype) if out is None else out
    state = np.zeros_like(a[0]) if a0 is None else a0
    for t in reversed(range(T)) if reverse else range(T):
        z = state @ Waa.T + x[t] @ Wax.T + (0 if ba is None else ba)
        # An example that is over, or read right to left has not begun, keeps its state.
        state = np.where(valid[t], activate(z, activation), state)
        a[t] = np.where(valid[t], state, 0)
    return a


def rnn_backward(
    da: Array,
    a: Array,
    x: Array,
    Waa: Array,
    Wax: Array,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    activation: str = "tanh",
) -> Gradients:
    """Backpropagation through time; `crnn.rnn_backward` in NumPy."""
    T, m = x.shape[:2]
    valid = _valid_steps(T, m, lengths)
    rows = _rows(x, valid, Wax)
    state_0 = np.zeros_like(a[0]) if a0 is None else a0
    dWaa, dWax, dba = np.zeros_like(Waa), np.zeros_like(Wax), np.zeros_like(Waa[0])
    dx = np.zeros_like(rows)
    da_next = np.zeros_like(a[0])  # Waa' dz<t+1>
    for t in range(T) if reverse else reversed(range(T)):
        before = t + 1 if reverse else t - 1
        state = state_0
        if 0 <= before < T:
            state = np.where(valid[before], a[before], state_0)
        dz = np.where(valid[t], activate_backward(da[t] + da_next, a[t], activation), 0)
        dWaa += dz.T @ state
        dWax += dz.T @ rows[t]
        dba += dz.sum(axis=0)
        dx[t] = np.where(valid[t], dz @ Wax, 0)
        da_next = np.where(valid[t], dz @ Waa, da_next)
    return Gradients(dWaa, dWax, dba, None if x.ndim == 2 else dx, da_next)


def stack(Waa: Array, Wax: Array) -> Array:
    """``Wa = [Waa | Wax]``, side by side: (n_a, n_a + n_x)."""
    return np.concatenate([Waa, Wax], axis=1)


def rnn_forward_stacked(
    x: Array,
    Wa: Array,
    ba: Array | None = None,
    a0: Array | None = None,
    *,
    reverse: bool = False,
    activation: str = "tanh",
) -> Array:
    """``a<t> = tanh(Wa [a<t-1>; x<t>] + ba)``: the same numbers, one product a step."""
    n_a = len(Wa)
    T, m = x.shape[:2]
    x = _rows(x, _valid_steps(T, m, None), Wa[:, n_a:])
    a = np.empty((T, m, n_a), Wa.dtype)
    state = np.zeros_like(a[0]) if a0 is None else a0
    for t in reversed(range(T)) if reverse else range(T):
        z = np.concatenate([state, x[t]], axis=1) @ Wa.T + (0 if ba is None else ba)
        state = a[t] = activate(z, activation)
    return a


def rnn_backward_stacked(
    da: Array,
    a: Array,
    x: Array,
    Wa: Array,
    a0: Array | None = None,
    *,
    reverse: bool = False,
    activation: str = "tanh",
) -> tuple[Array, Array, Array | None, Array]:
    """Backpropagation through the stacked form: dWa = [dWaa | dWax], dba, dx, da0."""
    n_a = len(Wa)
    T, m = x.shape[:2]
    rows = _rows(x, _valid_steps(T, m, None), Wa[:, n_a:])
    state_0 = np.zeros_like(a[0]) if a0 is None else a0
    dWa, dba, dx = np.zeros_like(Wa), np.zeros_like(Wa[:, 0]), np.zeros_like(rows)
    da_next = np.zeros_like(a[0])
    for t in range(T) if reverse else reversed(range(T)):
        before = t + 1 if reverse else t - 1
        state = a[before] if 0 <= before < T else state_0
        dz = activate_backward(da[t] + da_next, a[t], activation)
        dWa += dz.T @ np.concatenate([state, rows[t]], axis=1)
        dba += dz.sum(axis=0)
        da_next, dx[t] = np.split(dz @ Wa, [n_a], axis=1)
    return dWa, dba, None if x.ndim == 2 else dx, da_next


def output_forward(a: Array, Wya: Array, by: Array) -> Array:
    """The logits ``Wya a<t> + by``: a (..., n_a), result (..., n_y)."""
    return a @ Wya.T + by


def output_backward(dy: Array, a: Array, Wya: Array) -> tuple[Array, Array, Array]:
    """``dWya = sum dy<t> a<t>'``, ``dby = sum dy<t>`` and ``da<t> = Wya' dy<t>``."""
    n_y, n_a = Wya.shape
    dy_rows = dy.reshape(-1, n_y)
    return dy_rows.T @ a.reshape(-1, n_a), dy_rows.sum(axis=0), dy @ Wya


def softmax(logits: Array) -> Array:
    """``exp(z_k) / sum_j exp(z_j)`` over the last axis, shifted so that nothing overflows."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    y_hat: Array = e / e.sum(axis=-1, keepdims=True)
    return y_hat


def cross_entropy(logits: Array, y: Array) -> Any:
    """``-sum_k y_k log y_hat_k`` of classes y (...), summed: from the logits (..., n_y)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_y_hat = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_y_hat, y[..., None], axis=-1).sum()


def cross_entropy_backward(logits: Array, y: Array) -> Array:
    """``dy<t> = y_hat<t> - y<t>``, the gradient with respect to the logits."""
    return softmax(logits) - one_hot(y, logits.shape[-1], logits.dtype)
