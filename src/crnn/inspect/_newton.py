"""Newton's method from many starts at once, on the Jacobian in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crnn.inspect._cells import Cell
from crnn.reference import Array

STEPS = 200  # of Newton's method
HALVINGS = 12  # of one step, before a start is given up
BYTES = 1 << 26  # of the Jacobians that are held at a time


def newton(cell: Cell, x: Array, starts: Array, tol: float) -> tuple[Array, Array, Array]:
    """States (S, N) with ``F(s) = s`` at the constant input x, from starts (S, N).

    Returned are the last states, the norms of F(s) - s there, and which of them converged: those at
    which no number moves by more than tol times the larger of 1 and the largest number of s.
    """
    rows = max(1, BYTES // (8 * cell.size**2))
    parts = [
        _newton(cell, x, part, tol) for part in np.split(starts, range(rows, len(starts), rows))
    ]
    s, g, converged = (np.concatenate(values) for values in zip(*parts, strict=True))
    return s, np.linalg.norm(g, axis=1), converged


def _newton(cell: Cell, x: Array, starts: Array, tol: float) -> tuple[Array, Array, Array]:
    """The same, with F(s) - s instead of its norm."""

    def moved(s: Array) -> Array:
        return cell.step(s, np.repeat(x, len(s), axis=0)) - s

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far from a point
        s = starts.copy()
        g = moved(s)  # (S, N)
        open_ = np.flatnonzero(np.isfinite(g).all(axis=1))  # those that may still move
        for _ in range(STEPS):
            if not len(open_):
                break
            # A last step is taken after convergence: it costs little and gains all digits.
            done = _converged(s[open_], g[open_], tol)
            step = _steps(cell, x, s[open_], g[open_])
            better = _search(moved, s, g, open_, step)
            open_ = open_[better & ~done]
        return s, g, _converged(s, g, tol)


def _converged(s: Array, g: Array, tol: float) -> Array:
    scale = np.maximum(1, np.abs(s).max(axis=1))
    converged: Array = np.abs(g).max(axis=1) <= tol * scale  # False for NaN
    return converged


def _steps(cell: Cell, x: Array, s: Array, g: Array) -> Array:
    """The solution d of ``(I - J) d = F(s) - s`` for each state; of least squares if singular."""
    A = np.eye(cell.size) - cell.jacobians(s, np.repeat(x, len(s), axis=0))
    try:
        d = np.linalg.solve(A, g[:, :, None])
    except np.linalg.LinAlgError:  # of one of them at least
        d = np.linalg.pinv(A) @ g[:, :, None]
    return d[:, :, 0]


def _search(moved: Callable[[Array], Array], s: Array, g: Array, rows: Array, d: Array) -> Array:
    """Move s[rows] along d, halved until |F(s) - s| falls; set g there. Returns which moved."""
    before = np.linalg.norm(g[rows], axis=1)
    left, size = np.arange(len(rows)), 1.0
    for _ in range(HALVINGS):
        tried = s[rows[left]] + size * d[left]
        g_tried = moved(tried)
        falls = np.linalg.norm(g_tried, axis=1) < before[left]
        s[rows[left[falls]]], g[rows[left[falls]]] = tried[falls], g_tried[falls]
        left, size = left[~falls], size / 2
        if not len(left):
            break
    better = np.ones(len(rows), bool)
    better[left] = False
    return better
