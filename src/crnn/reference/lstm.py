"""The long short-term memory: a cell c whose gates decide what is kept, added and shown.

Rows of Waa, Wax and ba are stacked by gate, in the order i, f, g, o.

References
----------
S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780.
F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with LSTM",
Neural Computation 12 (2000) 2451-2471.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn.reference import loop
from crnn.reference.loop import Array, States, initial, input_rows, logistic, valid_steps


class LSTMStates(NamedTuple):
    """What `lstm_forward` gives.

    Attributes
    ----------
    a : array (T, m, n_a)
    c_n : array (m, n_a)
        The cell after each example's last valid step.
    kept : array or None
        What `lstm_backward` needs besides a, in an order of its own; None with ``keep=False``.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((4, 1), 0.5), np.full((4, 2), 0.25)
    >>> s = crnn.lstm_forward(x, Waa, Wax)
    >>> s.a.shape, s.kept is None
    ((3, 1, 1), False)
    """

    a: Array
    c_n: Array
    kept: Array | None


class LSTMGradients(NamedTuple):
    """Gradients of a loss, each shaped as what it is the gradient of.

    Attributes
    ----------
    dWaa, dWax, dba, da0, dc0 : array
    dx : array or None
        None where x holds integers, or where it is not wanted.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((4, 1), 0.5), np.full((4, 2), 0.25)
    >>> s = crnn.lstm_forward(x, Waa, Wax)
    >>> g = crnn.lstm_backward(np.ones_like(s.a), s, x, Waa, Wax)
    >>> g.dWaa.shape, g.da0.shape
    ((4, 1), (1, 1))
    """

    dWaa: Array
    dWax: Array
    dba: Array
    dx: Array | None
    da0: Array
    dc0: Array


def lstm_forward(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array | None = None,
    a0: Array | None = None,
    c0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    keep: bool = True,
) -> LSTMStates:
    """``c = f c' + i g`` and ``a = o tanh(c)``; `crnn.lstm_forward` in NumPy.

    Parameters
    ----------
    x, Waa, Wax, ba, a0, c0, lengths, reverse, keep
        As for `crnn.lstm_forward`; arrays only, and not checked.

    Returns
    -------
    LSTMStates

    Examples
    --------
    >>> x = np.ones((3, 1, 2))
    >>> s = lstm_forward(x, np.full((4, 1), 0.5), np.full((4, 2), 0.25))
    >>> s.a[:, 0, 0].round(4), s.c_n.round(4)
    (array([0.1743, 0.3091, 0.4072]), array([[0.7231]]))
    """

    def step(x_t: Array, a: Array, c: Array) -> tuple[States, States]:
        z = a @ Waa.T + x_t @ Wax.T + (0 if ba is None else ba)
        z_i, z_f, z_g, z_o = np.split(z, 4, axis=1)
        i, f, g, o = logistic(z_i), logistic(z_f), np.tanh(z_g), logistic(z_o)
        c = f * c + i * g
        return (o * np.tanh(c), c), (i, f, g, o)

    valid = valid_steps(x, lengths)
    first = initial(a0, x, Waa), initial(c0, x, Waa)
    (a, *kept), (_, c_n) = loop.forward(step, input_rows(x, valid, Wax), first, valid, reverse)
    return LSTMStates(a, c_n, np.stack(kept) if keep else None)


def lstm_backward(
    da: Array,
    s: LSTMStates,
    x: Array,
    Waa: Array,
    Wax: Array,
    a0: Array | None = None,
    c0: Array | None = None,
    *,
    dc_n: Array | None = None,
    lengths: Array | None = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> LSTMGradients:
    """Backpropagation through time; `crnn.lstm_backward` in NumPy.

    Parameters
    ----------
    da, s, x, Waa, Wax, a0, c0, dc_n, lengths, reverse, need_dx
        As for `crnn.lstm_backward`; arrays only, and not checked.

    Returns
    -------
    LSTMGradients

    Examples
    --------
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((4, 1), 0.5), np.full((4, 2), 0.25)
    >>> s = lstm_forward(x, Waa, Wax)
    >>> lstm_backward(np.ones_like(s.a), s, x, Waa, Wax).dba.round(4)
    array([0.3017, 0.105 , 1.2305, 0.3615])
    """
    dWaa, dWax, dba = np.zeros_like(Waa), np.zeros_like(Wax), np.zeros_like(Waa[:, 0])

    def step(
        d: States, after: States, before: States, kept: States, x_t: Array
    ) -> tuple[States, Array]:
        (da_t, dc_t), (_, c), (a_before, c_before), (i, f, g, o) = d, after, before, kept
        dc = dc_t + da_t * o * (1 - np.tanh(c) ** 2)
        di, df, dg, do = dc * g, dc * c_before, dc * i, da_t * np.tanh(c)
        gates = di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)
        dz = np.concatenate(gates, axis=1)
        dWaa[...] += dz.T @ a_before
        dWax[...] += dz.T @ x_t
        dba[...] += dz.sum(axis=0)
        return (dz @ Waa, dc * f), dz @ Wax

    valid = valid_steps(x, lengths)
    assert s.kept is not None
    c, *kept = s.kept
    first = initial(a0, x, Waa), initial(c0, x, Waa)
    later = initial(None, x, Waa), initial(dc_n, x, Waa)
    dx, (da0, dc0) = loop.backward(
        step, da, later, (s.a, c), tuple(kept), input_rows(x, valid, Wax), first, valid, reverse
    )
    return LSTMGradients(dWaa, dWax, dba, dx if need_dx and x.ndim == 3 else None, da0, dc0)
