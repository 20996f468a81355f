"""The vanilla (Elman) cell: ``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``.

References
----------
J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.
P. J. Werbos, "Backpropagation through time: what it does and how to do it",
Proceedings of the IEEE 78 (1990) 1550-1560.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn.reference import loop
from crnn.reference.loop import Array, States, initial, input_rows, valid_steps


class Gradients(NamedTuple):
    """Gradients of a loss, each shaped as what it is the gradient of.

    Attributes
    ----------
    dWaa, dWax, dba, da0 : array
    dx : array or None
        None where x holds integers, or where it is not wanted.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> a = crnn.rnn_forward(x, Waa, Wax)
    >>> dWaa, dWax, dba, dx, da0 = crnn.rnn_backward(np.ones_like(a), a, x, Waa, Wax)
    >>> dx.shape, da0.shape
    ((3, 1, 2), (1, 1))
    """

    dWaa: Array
    dWax: Array
    dba: Array
    dx: Array | None
    da0: Array


def activate(z: Array, activation: str = "tanh") -> Array:
    """``a = tanh(z)`` or ``a = max(z, 0)``.

    Parameters
    ----------
    z : array
    activation : {"tanh", "relu"}, optional

    Returns
    -------
    a : array
        Shaped as z.

    Examples
    --------
    >>> activate(np.array([-1.0, 2.0]), "relu")
    array([0., 2.])
    """
    return np.tanh(z) if activation == "tanh" else np.maximum(z, 0)


def activate_backward(da: Array, a: Array, activation: str = "tanh") -> Array:
    """``dz = da (1 - a^2)`` or ``dz = da [a > 0]``: the slope, told from a alone.

    Parameters
    ----------
    da, a : array
        The gradient with respect to a, and what `activate` gave.
    activation : {"tanh", "relu"}, optional

    Returns
    -------
    dz : array
        Shaped as a.

    Examples
    --------
    >>> activate_backward(np.array([1.0, 1.0]), np.array([0.0, 0.5]))
    array([1.  , 0.75])
    """
    return da * (1 - a**2) if activation == "tanh" else da * (a > 0)


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
    """``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``; `crnn.rnn_forward` in NumPy.

    Parameters
    ----------
    x, Waa, Wax, ba, a0, lengths, reverse, activation, out
        As for `crnn.rnn_forward`; arrays only, and not checked.

    Returns
    -------
    a : array (T, m, n_a)

    Examples
    --------
    >>> x = np.ones((3, 1, 2))
    >>> rnn_forward(x, np.full((1, 1), 0.5), np.full((1, 2), 0.25))[:, 0, 0].round(4)
    array([0.4621, 0.6237, 0.6706])
    """

    def step(x_t: Array, a_before: Array) -> tuple[States, States]:
        z = a_before @ Waa.T + x_t @ Wax.T + (0 if ba is None else ba)
        return (activate(z, activation),), ()

    valid = valid_steps(x, lengths)
    rows = input_rows(x, valid, Wax)
    (a,), _ = loop.forward(step, rows, (initial(a0, x, Waa),), valid, reverse)
    if out is None:
        return a
    out[...] = a
    return out


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
    need_dx: bool = True,
    out: Gradients | None = None,
) -> Gradients:
    """Backpropagation through time; `crnn.rnn_backward` in NumPy.

    Parameters
    ----------
    da, a, x, Waa, Wax, a0, lengths, reverse, activation, need_dx, out
        As for `crnn.rnn_backward`; arrays only, and not checked.

    Returns
    -------
    Gradients

    Examples
    --------
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> a = rnn_forward(x, Waa, Wax)
    >>> rnn_backward(np.ones_like(a), a, x, Waa, Wax).dba.round(4)
    array([2.4222])
    """
    dWaa, dWax, dba = np.zeros_like(Waa), np.zeros_like(Wax), np.zeros_like(Waa[0])

    def step(
        d: States, after: States, before: States, _: States, x_t: Array
    ) -> tuple[States, Array]:
        dz = activate_backward(d[0], after[0], activation)
        dWaa[...] += dz.T @ before[0]
        dWax[...] += dz.T @ x_t
        dba[...] += dz.sum(axis=0)
        return (dz @ Waa,), dz @ Wax

    valid = valid_steps(x, lengths)
    rows = input_rows(x, valid, Wax)
    first, later = initial(a0, x, Waa), np.zeros_like(a[0])
    dx, (da0,) = loop.backward(step, da, (later,), (a,), (), rows, (first,), valid, reverse)
    gradients = Gradients(dWaa, dWax, dba, dx if need_dx and x.ndim == 3 else None, da0)
    if out is None:
        return gradients
    for result, gradient in zip(out, gradients, strict=True):
        if result is not None:
            result[...] = gradient
    return out


def stack(Waa: Array, Wax: Array) -> Array:
    """``Wa = [Waa | Wax]``, side by side.

    Parameters
    ----------
    Waa : array (n_a, n_a)
    Wax : array (n_a, n_x)

    Returns
    -------
    Wa : array (n_a, n_a + n_x)

    Examples
    --------
    >>> stack(np.zeros((2, 2)), np.ones((2, 1)))
    array([[0., 0., 1.],
           [0., 0., 1.]])
    """
    return np.concatenate([Waa, Wax], axis=1)


def rnn_forward_stacked(
    x: Array,
    Wa: Array,
    ba: Array | None = None,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    activation: str = "tanh",
) -> Array:
    """``a<t> = tanh(Wa [a<t-1>; x<t>] + ba)``: the same numbers, one product a step.

    Parameters
    ----------
    Wa : array (n_a, n_a + n_x)
        What `stack` gives.
    x, ba, a0, lengths, reverse, activation
        As for `rnn_forward`.

    Returns
    -------
    a : array (T, m, n_a)

    Examples
    --------
    >>> Wa = stack(np.full((1, 1), 0.5), np.full((1, 2), 0.25))
    >>> rnn_forward_stacked(np.ones((3, 1, 2)), Wa)[:, 0, 0].round(4)
    array([0.4621, 0.6237, 0.6706])
    """

    def step(x_t: Array, a_before: Array) -> tuple[States, States]:
        z = np.concatenate([a_before, x_t], axis=1) @ Wa.T + (0 if ba is None else ba)
        return (activate(z, activation),), ()

    n_a = len(Wa)
    valid = valid_steps(x, lengths)
    rows = input_rows(x, valid, Wa[:, n_a:])
    (a,), _ = loop.forward(step, rows, (initial(a0, x, Wa[:, :n_a]),), valid, reverse)
    return a


def rnn_backward_stacked(
    da: Array,
    a: Array,
    x: Array,
    Wa: Array,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    activation: str = "tanh",
) -> tuple[Array, Array, Array | None, Array]:
    """Backpropagation through the stacked form.

    Parameters
    ----------
    da, a : array (T, m, n_a)
        The gradient of each state from above, and what `rnn_forward_stacked` gave.
    x, Wa, a0, lengths, reverse, activation
        As given to `rnn_forward_stacked`.

    Returns
    -------
    dWa : array (n_a, n_a + n_x)
        ``[dWaa | dWax]``.
    dba : array (n_a,)
    dx : array (T, m, n_x) or None
        None where x holds integers.
    da0 : array (m, n_a)

    Examples
    --------
    >>> x, Wa = np.ones((3, 1, 2)), stack(np.full((1, 1), 0.5), np.full((1, 2), 0.25))
    >>> a = rnn_forward_stacked(x, Wa)
    >>> dWa, dba, dx, da0 = rnn_backward_stacked(np.ones_like(a), a, x, Wa)
    >>> dba.round(4)
    array([2.4222])
    """
    n_a = len(Wa)
    dWa, dba = np.zeros_like(Wa), np.zeros_like(Wa[:, 0])

    def step(
        d: States, after: States, before: States, _: States, x_t: Array
    ) -> tuple[States, Array]:
        dz = activate_backward(d[0], after[0], activation)
        dWa[...] += dz.T @ np.concatenate([before[0], x_t], axis=1)
        dba[...] += dz.sum(axis=0)
        da_before, dx_t = np.split(dz @ Wa, [n_a], axis=1)
        return (da_before,), dx_t

    valid = valid_steps(x, lengths)
    rows = input_rows(x, valid, Wa[:, n_a:])
    first, later = initial(a0, x, Wa[:, :n_a]), np.zeros_like(a[0])
    dx, (da0,) = loop.backward(step, da, (later,), (a,), (), rows, (first,), valid, reverse)
    return dWa, dba, None if x.ndim == 2 else dx, da0
