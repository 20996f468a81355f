"""Newton's method from many starts at once, on the Jacobian in closed form."""

from __future__ import annotations

import numpy as np

from crnn.inspect._cells import Cell
from crnn.reference import Array

STEPS = 200  # of Newton's method
HALVINGS = 8  # of one step, before it is damped
#: Of steps that Newton's method would take too far, because I - J is nearly singular: with the last
#: they go down the gradient (K. Levenberg 1944, D. Marquardt 1963). Then a start is given up.
DAMPINGS = (1e-4, 1e-2, 1.0, 100.0)
BYTES = 1 << 26  # of the Jacobians that are held at a time


def newton(
    cell: Cell, x: Array, starts: Array, box: tuple[Array, Array], tol: float, near: float
) -> tuple[Array, Array, Array]:
    """States (S, N) with ``F(s) = s`` at the constant input x, from starts (S, N), within a box.

    Returned are the last states, the norms of F(s) - s there, and which of them converged: those at
    which no number moves by more than tol in a step of the cell, nor by more than `near` in another
    step of Newton's. A saturated gate keeps any state almost where it is; only the second number
    tells that no fixed point is near. Both are multiplied by the largest number of s, if that is
    above 1.
    """
    rows = max(1, BYTES // (8 * cell.size**2))
    parts = [
        _Search(cell, x, part, box).run(tol, near)
        for part in np.split(starts, range(rows, len(starts), rows))
    ]
    s, g, converged = (np.concatenate(values) for values in zip(*parts, strict=True))
    return s, np.linalg.norm(g, axis=1), converged


class _Search:
    """The states of some starts, and F(s) - s there."""

    def __init__(self, cell: Cell, x: Array, starts: Array, box: tuple[Array, Array]) -> None:
        self._cell, self._x, self._box = cell, x, box
        self._s = np.clip(starts, *box)  # (S, N)

    def run(self, tol: float, near: float) -> tuple[Array, Array, Array]:
        """The states, F(s) - s and which converged, as `newton` says."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # far from a point
            self._g = self._moved(self._s)  # (S, N)
            open_ = np.flatnonzero(np.isfinite(self._g).all(axis=1))  # those that may still move
            for _ in range(STEPS):
                if not len(open_):
                    break
                d = self._steps(open_)
                # Where I - J is singular at the point itself, F(s) - s is small long before s is
                # near. A last step is taken after convergence: it gains all digits.
                done = self._within(self._g[open_], tol, open_)
                done &= self._within(d, near / 10, open_)
                open_ = open_[self._improve(open_, d, done)]
            rows = np.arange(len(self._s))
            converged = self._within(self._g, tol, rows)
            found = rows[converged]
            converged[found] = self._within(self._steps(found), near, found)
            return self._s, self._g, converged

    def _moved(self, s: Array) -> Array:
        return self._cell.step(s, np.repeat(self._x, len(s), axis=0)) - s

    def _within(self, moved: Array, most: float, rows: Array) -> Array:
        """Whether no number of s[rows] moves by more than `most`, or by more than that times s."""
        moves = np.abs(moved).max(axis=1)
        scale = np.maximum(1, np.abs(self._s[rows]).max(axis=1))
        within: Array = np.isfinite(moves) & (moves <= most * scale)
        return within

    def _improve(self, rows: Array, d: Array, done: Array) -> Array:
        """Move s[rows] along d, damped more and more where that fails. Returns which may go on."""
        better = self._move(rows, d) & ~done
        left = np.flatnonzero(~better & ~done)
        for damping in DAMPINGS:
            if not len(left):
                break
            moved = self._move(rows[left], self._steps(rows[left], damping))
            better[left[moved]] = True
            left = left[~moved]
        return better

    def _steps(self, rows: Array, damping: float = 0.0) -> Array:
        """The solutions d of ``A d = F(s) - s`` with A = I - J; those of least squares if singular.

        With damping they are those of ``(A'A + damping I) d = A' (F(s) - s)``.
        """
        s, g = self._s[rows], self._g[rows, :, None]
        A = np.eye(s.shape[1]) - self._cell.jacobians(s, np.repeat(self._x, len(s), axis=0))
        if damping:
            A_t = A.swapaxes(1, 2)
            A, g = A_t @ A + damping * np.eye(s.shape[1]), A_t @ g
        try:
            d = np.linalg.solve(A, g)
        except np.linalg.LinAlgError:  # of one of them at least
            d = np.linalg.pinv(A) @ g
        return d[:, :, 0]

    def _move(self, rows: Array, d: Array) -> Array:
        """Move s along d, halved until |F(s) - s| falls. Returns which of the rows moved."""
        before = np.linalg.norm(self._g[rows], axis=1)
        left, size = np.arange(len(rows)), 1.0
        for _ in range(HALVINGS):
            tried = np.clip(self._s[rows[left]] + size * d[left], *self._box)
            g = self._moved(tried)
            falls = np.linalg.norm(g, axis=1) < before[left]
            moved = rows[left[falls]]
            self._s[moved], self._g[moved] = tried[falls], g[falls]
            left, size = left[~falls], size / 2
            if not len(left):
                break
        better = np.ones(len(rows), bool)
        better[left] = False
        return better
