"""The gated recurrent unit, in both of its forms.

    after   n = tanh(Wax_n x + ba_n + r (Waa_n a' + baa))     the kernels' form
    before  n = tanh(Wax_n x + ba_n + Waa_n (r a') + baa)     that of the first papers

The reset gate comes after the product or before it, and a = (1 - z) n + z a' in both. Rows of
Waa, Wax and ba are stacked by gate, in the order r, z, n.

References
----------
K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
translation", EMNLP 2014, 1724-1734 ("before"); "after" is that of cuDNN, PyTorch and Keras.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn.reference import loop
from crnn.reference.loop import Array, States, initial, input_rows, logistic, valid_steps


class GRUStates(NamedTuple):
    """What `gru_forward` gives.

    Attributes
    ----------
    a : array (T, m, n_a)
    kept : array or None
        What `gru_backward` needs besides a, in an order of its own; None with ``keep=False``.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((3, 1), 0.5), np.full((3, 2), 0.25)
    >>> s = crnn.gru_forward(x, Waa, Wax)
    >>> s.a.shape, s.kept is None
    ((3, 1, 1), False)
    """

    a: Array
    kept: Array | None


class GRUGradients(NamedTuple):
    """Gradients of a loss, each shaped as what it is the gradient of.

    Attributes
    ----------
    dWaa, dWax, dba, dbaa, da0 : array
    dx : array or None
        None where x holds integers, or where it is not wanted.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((3, 1), 0.5), np.full((3, 2), 0.25)
    >>> s = crnn.gru_forward(x, Waa, Wax)
    >>> g = crnn.gru_backward(np.ones_like(s.a), s, x, Waa, Wax)
    >>> g.dWaa.shape, g.da0.shape
    ((3, 1), (1, 1))
    """

    dWaa: Array
    dWax: Array
    dba: Array
    dbaa: Array
    dx: Array | None
    da0: Array


def gru_forward(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array | None = None,
    baa: Array | None = None,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    keep: bool = True,
    reset: str = "after",
) -> GRUStates:
    """``n = tanh(Wax_n x + ba_n + r (Waa_n a' + baa))``, ``a = (1 - z) n + z a'``, in NumPy.

    Parameters
    ----------
    x, Waa, Wax, ba, baa, a0, lengths, reverse, keep
        As for `crnn.gru_forward`; arrays only, and not checked.
    reset : {"after", "before"}, optional

    Returns
    -------
    GRUStates

    Examples
    --------
    >>> x = np.ones((3, 1, 2))
    >>> gru_forward(x, np.full((3, 1), 0.5), np.full((3, 2), 0.25)).a[:, 0, 0].round(4)
    array([0.1745, 0.2926, 0.3756])
    """

    def step(x_t: Array, a: Array) -> tuple[States, States]:
        x_r, x_z, x_n = np.split(x_t @ Wax.T + (0 if ba is None else ba), 3, axis=1)
        a_r, a_z, a_n = np.split(a @ Waa.T, 3, axis=1)
        r, z = logistic(x_r + a_r), logistic(x_z + a_z)
        if reset == "before":
            a_n = (r * a) @ Waa[-n_a:].T
        a_n = a_n + (0 if baa is None else baa)
        n = np.tanh(x_n + (a_n if reset == "before" else r * a_n))
        return ((1 - z) * n + z * a,), (r, z, n, a_n)

    n_a, valid = Waa.shape[1], valid_steps(x, lengths)
    rows = input_rows(x, valid, Wax)
    (a, *kept), _ = loop.forward(step, rows, (initial(a0, x, Waa),), valid, reverse)
    return GRUStates(a, np.stack(kept) if keep else None)


def gru_backward(
    da: Array,
    s: GRUStates,
    x: Array,
    Waa: Array,
    Wax: Array,
    a0: Array | None = None,
    *,
    lengths: Array | None = None,
    reverse: bool = False,
    need_dx: bool = True,
    reset: str = "after",
) -> GRUGradients:
    """Backpropagation through time; `crnn.gru_backward` in NumPy.

    Parameters
    ----------
    da, s, x, Waa, Wax, a0, lengths, reverse, need_dx
        As for `crnn.gru_backward`; arrays only, and not checked.
    reset : {"after", "before"}, optional

    Returns
    -------
    GRUGradients

    Examples
    --------
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((3, 1), 0.5), np.full((3, 2), 0.25)
    >>> s = gru_forward(x, Waa, Wax)
    >>> gru_backward(np.ones_like(s.a), s, x, Waa, Wax).dba.round(4)
    array([ 0.0172, -0.4221,  1.3513])
    """
    dWaa, dWax, dba = np.zeros_like(Waa), np.zeros_like(Wax), np.zeros_like(Waa[:, 0])
    dbaa = np.zeros_like(Waa[0])

    def step(
        d: States, _: States, before: States, kept: States, x_t: Array
    ) -> tuple[States, Array]:
        (da_t,), (a,), (r, z, n, a_n) = d, before, kept
        dz, dn = da_t * (a - n) * z * (1 - z), da_t * (1 - z) * (1 - n**2)
        if reset == "before":
            read, da_n = r * a, dn
            d_read = da_n @ Waa[-n_a:]
            dr, through = d_read * a * r * (1 - r), d_read * r
        else:
            read, da_n = a, dn * r
            dr, through = dn * a_n * r * (1 - r), da_n @ Waa[-n_a:]
        gates = np.concatenate([dr, dz], axis=1)
        dWaa[...] += np.concatenate([gates.T @ a, da_n.T @ read])
        of_input = np.concatenate([gates, dn], axis=1)
        dWax[...] += of_input.T @ x_t
        dba[...] += of_input.sum(axis=0)
        dbaa[...] += da_n.sum(axis=0)
        return (gates @ Waa[:-n_a] + through + da_t * z,), of_input @ Wax

    n_a, valid = Waa.shape[1], valid_steps(x, lengths)
    assert s.kept is not None
    kept = tuple(s.kept)
    rows, first, later = input_rows(x, valid, Wax), initial(a0, x, Waa), initial(None, x, Waa)
    dx, (da0,) = loop.backward(step, da, (later,), (s.a,), kept, rows, (first,), valid, reverse)
    return GRUGradients(dWaa, dWax, dba, dbaa, dx if need_dx and x.ndim == 3 else None, da0)
