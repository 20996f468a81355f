"""The leaky cell of neuroscience: a state that moves a part of the way to its new value.

    rate     a<t> = (1 - leak) a<t-1> + leak f(z<t>),    z<t> = Waa a<t-1> + ... + noise xi<t>
    current  v<t> = (1 - leak) v<t-1> + leak z<t>,       z<t> = Waa f(v<t-1>) + ... + noise xi<t>

where ... is Wax x<t> + ba. A leak of 1 gives the vanilla cell.

References
----------
H. F. Song, G. R. Yang and X.-J. Wang, "Training excitatory-inhibitory recurrent neural networks
for cognitive tasks: a simple and flexible framework", PLoS Computational Biology 12 (2016).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn.reference import loop
from crnn.reference.loop import Array, States, initial, input_rows, valid_steps
from crnn.reference.noise import normal
from crnn.reference.vanilla import Gradients, activate, activate_backward


class LeakyStates(NamedTuple):
    """What `leaky_forward` gives.

    Attributes
    ----------
    a : array (T, m, n_a)
        The states: a for the equation "rate", v for "current".
    kept : array or None
        What `leaky_backward` needs besides a; None with ``keep=False``.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> s = crnn.leaky_forward(x, Waa, Wax, leak=0.5)
    >>> s.a.shape, s.kept is None
    ((3, 1, 1), False)
    """

    a: Array
    kept: Array | None


def leaky_forward(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array | None = None,
    a0: Array | None = None,
    *,
    leak: Array | float,
    noise: float = 0.0,
    seed: int | None = None,
    equation: str = "rate",
    activation: str = "tanh",
    lengths: Array | None = None,
    reverse: bool = False,
    keep: bool = True,
) -> LeakyStates:
    """The states of the leaky cell; `crnn.leaky_forward` in NumPy.

    Parameters
    ----------
    x, Waa, Wax, ba, a0, leak, noise, seed, equation, activation, lengths, reverse, keep
        As for `crnn.leaky_forward`; arrays only, and not checked. Noise needs a seed.

    Returns
    -------
    LeakyStates

    Examples
    --------
    >>> x = np.ones((3, 1, 2))
    >>> s = leaky_forward(x, np.full((1, 1), 0.5), np.full((1, 2), 0.25), leak=0.5)
    >>> s.a[:, 0, 0].round(4)
    array([0.2311, 0.3895, 0.4953])
    """

    def step(row: Array, a: Array) -> tuple[States, States]:
        x_t, xi = np.split(row, [n_x], axis=1)
        rate = activate(a, activation) if equation == "current" else a
        z = rate @ Waa.T + x_t @ Wax.T + (0 if ba is None else ba) + noise * xi
        if equation == "current":
            v = (1 - leak) * a + leak * z
            return (v,), (activate(v, activation),)
        f = activate(z, activation)
        return ((1 - leak) * a + leak * f,), (f,)

    n_x, valid = Wax.shape[1], valid_steps(x, lengths)
    rows = input_rows(x, valid, Wax)
    if noise:
        rows = np.concatenate([rows, normal(seed or 0, x.shape[0], x.shape[1], len(Waa))], axis=2)
    else:
        rows = np.concatenate([rows, np.zeros((*x.shape[:2], len(Waa)), Waa.dtype)], axis=2)
    (a, *kept), _ = loop.forward(step, rows, (initial(a0, x, Waa),), valid, reverse)
    return LeakyStates(a.astype(Waa.dtype), np.stack(kept) if keep else None)


def leaky_backward(
    da: Array,
    s: LeakyStates,
    x: Array,
    Waa: Array,
    Wax: Array,
    a0: Array | None = None,
    *,
    leak: Array | float,
    equation: str = "rate",
    activation: str = "tanh",
    lengths: Array | None = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> Gradients:
    """Backpropagation through time; `crnn.leaky_backward` in NumPy.

    Parameters
    ----------
    da, s, x, Waa, Wax, a0, leak, equation, activation, lengths, reverse, need_dx
        As for `crnn.leaky_backward`; arrays only, and not checked.

    Returns
    -------
    Gradients

    Examples
    --------
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> s = leaky_forward(x, Waa, Wax, leak=0.5)
    >>> leaky_backward(np.ones_like(s.a), s, x, Waa, Wax, leak=0.5).dba.round(4)
    array([1.7337])
    """
    dWaa, dWax, dba = np.zeros_like(Waa), np.zeros_like(Wax), np.zeros_like(Waa[0])

    def step(
        d: States, _: States, before: States, kept: States, x_t: Array
    ) -> tuple[States, Array]:
        (da_t,), (a,), (f,) = d, before, kept
        current = equation == "current"
        rate = activate(a, activation) if current else a
        dz = leak * da_t if current else activate_backward(leak * da_t, f, activation)
        dWaa[...] += dz.T @ rate
        dWax[...] += dz.T @ x_t
        dba[...] += dz.sum(axis=0)
        d_rate = dz @ Waa
        through = activate_backward(d_rate, rate, activation) if current else d_rate
        return ((1 - leak) * da_t + through,), dz @ Wax

    valid = valid_steps(x, lengths)
    assert s.kept is not None
    kept = tuple(s.kept)
    rows, first, later = input_rows(x, valid, Wax), initial(a0, x, Waa), initial(None, x, Waa)
    dx, (da0,) = loop.backward(step, da, (later,), (s.a,), kept, rows, (first,), valid, reverse)
    return Gradients(dWaa, dWax, dba, dx if need_dx and x.ndim == 3 else None, da0)
