"""The loop over time, forward beside backward, which every cell shares.

A cell is a function of one step. The loop decides what comes before a step, in either direction,
and which steps count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
#: One array (m, n_a) for each state of a cell.
States = tuple[Array, ...]


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


def logistic(z: Array) -> Array:
    """``1 / (1 + exp(-z))``, in a form that does not overflow."""
    e = np.exp(-np.abs(z))  # at most 1, so it does not overflow
    s: Array = np.where(z < 0, e, 1) / (1 + e)
    return s


def initial(state: Array | None, x: Array, Waa: Array) -> Array:
    """The state (m, n_a) before the first step: zeros if it is None."""
    return np.zeros((x.shape[1], Waa.shape[1]), Waa.dtype) if state is None else state


def forward(
    step: Callable[..., tuple[States, States]],
    x: Array,
    states: States,
    valid: Array,
    reverse: bool,
) -> tuple[tuple[Array, ...], States]:
    """Every state, and everything else that `step` keeps, at each step: arrays (T, m, n_a).

    ``(a<t>, ...), (kept, ...) = step(x<t>, a<t-1>, ...)``, where a cell may have several states.
    Returned with the states after the last step of each example, (m, n_a).
    """
    steps: list[Any] = [None] * len(x)
    for t in _in_order(len(x), reverse):
        after, kept = step(x[t], *states)
        # An example that has ended keeps its states; so does one, read right to left, that has not
        # begun.
        states = _where(valid[t], after, states)
        steps[t] = [np.where(valid[t], value, 0) for value in (*states, *kept)]
    return tuple(np.stack(values) for values in zip(*steps, strict=True)), states


def backward(
    step: Callable[..., tuple[States, Array]],
    da: Array,
    later: States,
    states: tuple[Array, ...],
    kept: tuple[Array, ...],
    x: Array,
    initial: States,
    valid: Array,
    reverse: bool,
) -> tuple[Array, States]:
    """The gradients dx (T, m, n_x) and those of the initial states, from the last step on.

    ``(da<t-1>, ...), dx<t> = step((da<t>, ...), (a<t>, ...), (a<t-1>, ...), kept<t>, x<t>)``, where
    ``da<t>`` is all that reaches a<t>: from above and from later steps. `later` is what reaches the
    last states from outside. Of a step that does not count, `step` is given zeros.
    """
    dx = np.zeros_like(x)
    for t in _in_order(len(x), not reverse):
        t_before = t + 1 if reverse else t - 1
        before = initial
        if 0 <= t_before < len(x):
            before = _where(valid[t_before], [state[t_before] for state in states], initial)
        d = (da[t] + later[0], *later[1:])
        zeros = tuple(np.zeros_like(value) for value in d)
        d_before, dx_t = step(
            _where(valid[t], d, zeros),
            tuple(state[t] for state in states),
            _where(valid[t], before, zeros),
            tuple(value[t] for value in kept),
            x[t],
        )
        dx[t] = np.where(valid[t], dx_t, 0)
        later = _where(valid[t], d_before, later)
    return dx, later


def _where(valid: Array, yes: Iterable[Array], no: Iterable[Array]) -> States:
    return tuple(np.where(valid, a, b) for a, b in zip(yes, no, strict=True))


def _in_order(T: int, reverse: bool) -> Iterable[int]:
    return reversed(range(T)) if reverse else range(T)
