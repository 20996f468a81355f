"""The loop over time, forward beside backward, which every cell shares.

A cell is a function of one step. The loop decides what comes before a step, in either direction,
and which steps count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def one_hot(index: Array, n_x: int, dtype: Any = float) -> Array:
    """The rows that integers stand for.

    Parameters
    ----------
    index : integers (...)
    n_x : int
    dtype : dtype, optional

    Returns
    -------
    rows : array (..., n_x)

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    rows: Array = (index[..., None] == np.arange(n_x)).astype(dtype)
    return rows


def valid_steps(x: Array, lengths: Array | None) -> Array:
    """True where step t is within an example's length: (T, m, 1)."""
    T, m = x.shape[:2]
    if lengths is None:
        return np.ones((T, m, 1), dtype=bool)
    return (np.arange(T)[:, None] < lengths)[..., None]


def input_rows(x: Array, valid: Array, Wax: Array) -> Array:
    """The input as rows of numbers (T, m, n_x), with zeros past an example's length."""
    rows = one_hot(x, Wax.shape[1], Wax.dtype) if x.ndim == 2 else x
    return np.where(valid, rows, 0)


def forward(
    step: Callable[[Array, Array], Array],
    x: Array,
    a0: Array,
    valid: Array,
    reverse: bool,
    a: Array,
) -> Array:
    """Fill a (T, m, n_a) with the states: ``a<t> = step(x<t>, a<t-1>)``."""
    state = a0
    for t in _in_order(len(x), reverse):
        # An example that has ended keeps its state; so does one, read right to left, that has not
        # begun.
        state = np.where(valid[t], step(x[t], state), state)
        a[t] = np.where(valid[t], state, 0)
    return a


def backward(
    step: Callable[[Array, Array, Array, Array], tuple[Array, Array]],
    da: Array,
    a: Array,
    x: Array,
    a0: Array,
    valid: Array,
    reverse: bool,
) -> tuple[Array, Array]:
    """The gradients dx (T, m, n_x) and da0 (m, n_a), from the last step read to the first.

    ``da<t-1>, dx<t> = step(da<t>, a<t>, a<t-1>, x<t>)``, where ``da<t>`` is all that reaches a<t>:
    from above and from later steps. Of a step that does not count, `step` is given zeros.
    """
    dx, da_later = np.zeros_like(x), np.zeros_like(a0)
    for t in _in_order(len(x), not reverse):
        before = t + 1 if reverse else t - 1
        a_before = a0
        if 0 <= before < len(x):
            a_before = np.where(valid[before], a[before], a0)
        da_t, a_t, a_before = (
            np.where(valid[t], value, 0) for value in (da[t] + da_later, a[t], a_before)
        )
        da_before, dx_t = step(da_t, a_t, a_before, x[t])
        dx[t] = np.where(valid[t], dx_t, 0)
        da_later = np.where(valid[t], da_before, da_later)
    return dx, da_later


def _in_order(T: int, reverse: bool) -> Iterable[int]:
    return reversed(range(T)) if reverse else range(T)
