"""Fixed points: the states that a constant input leaves where they are, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._words import counted
from crnn.inspect import _arguments, _portrait
from crnn.inspect._cells import Cell
from crnn.inspect._newton import newton
from crnn.inspect._starts import box, drawn
from crnn.reference import Array

STARTS = 256  # by default
TRAJECTORIES, FOLLOWED = 16, 30  # of a plot, at most, and their steps
COLUMNS = "starts", "stable", "residual", "largest |eigenvalue|"  # of a printed table
SHOWN = 20  # points of a printed table, at most


@dataclass(frozen=True, eq=False, repr=False)
class FixedPoints:
    """What `fixed_points` gives: P points, the most stable first. Printing it shows a table.

    Attributes
    ----------
    points : array (P, N)
        The states; of an LSTM a and then c, N = 2 n_a.
    residuals : array (P,)
        The Euclidean norm of state<t> - state<t-1> at each.
    eigenvalues : complex array (P, N)
        Of the Jacobian at each, by falling modulus.
    stable : bool array (P,)
        Whether all eigenvalues have a modulus below 1: then the state returns after a small push.
    counts : integers (P,)
        How many starts led to each.
    failed : int
        The starts from which Newton's method did not converge.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 1, 2, rng=0)
    >>> model.parameters["Waa"] = 2
    >>> found = crnn.inspect.fixed_points(model, np.zeros(1), rng=0)     # of a = tanh(2 a)
    >>> found.points.round(4).ravel(), found.stable
    (array([-0.9575,  0.9575,  0.    ]), array([ True,  True, False]))
    >>> found
    FixedPoints(3 points of 1 number, 2 stable, from 256 starts of which 0 failed)
    """

    points: Array
    residuals: Array
    eigenvalues: Array
    stable: Array
    counts: Array
    failed: int
    _cell: Cell
    _x: Array
    _starts: Array

    def __repr__(self) -> str:
        points, size = self.points.shape
        return (
            f"FixedPoints({counted(points, 'point')} of {counted(size, 'number')}, "
            f"{self.stable.sum()} stable, from {counted(len(self._starts), 'start')} of "
            f"which {self.failed} failed)"
        )

    def __str__(self) -> str:
        lines = [repr(self), "{:>7} {:>8} {:>9} {:>20}".format(*COLUMNS)]
        for k, radius in enumerate(np.abs(self.eigenvalues[:SHOWN, 0])):
            stable = "yes" if self.stable[k] else "no"
            lines.append(f"{self.counts[k]:7} {stable:>8} {self.residuals[k]:9.1e} {radius:20.6f}")
        if len(self.points) > SHOWN:
            lines.append(f"and {len(self.points) - SHOWN} more")
        return "\n".join(lines)

    def trajectories(self, steps: int = FOLLOWED, count: int = TRAJECTORIES) -> Array:
        """The states that follow the first `count` starts at the same constant input.

        Parameters
        ----------
        steps, count : int, optional

        Returns
        -------
        states : array (steps + 1, count, N)
            The first row is the starts themselves; there may be fewer than `count`.

        Raises
        ------
        ValueError, TypeError
            If an argument is not a whole number of at least 1.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> model = crnn.RNN(1, 1, 2, rng=0)
        >>> model.parameters["Waa"] = 2
        >>> found = crnn.inspect.fixed_points(model, np.zeros(1), rng=0)
        >>> followed = found.trajectories(steps=100, count=5)
        >>> followed.shape
        (101, 5, 1)
        >>> np.allclose(abs(followed[-1]), 0.9575, atol=1e-4)       # all are at a stable point
        True
        """
        s = self._starts[: validate.count("count", count)]
        x = np.ascontiguousarray(np.broadcast_to(self._x, (len(s), *self._x.shape[1:])))
        states = [s]
        with np.errstate(over="ignore", invalid="ignore"):  # an unstable relu runs to infinity
            for _ in range(validate.count("steps", steps)):
                states.append(self._cell.step(states[-1], x))
        return np.stack(states)

    def plot(
        self, ax: Any = None, *, steps: int = FOLLOWED, trajectories: int = TRAJECTORIES
    ) -> Any:
        """Draw the points among trajectories, in the plane of their first two principal components.

        Stable points are filled circles, others open squares. With a single number of state, the
        trajectories are drawn against time instead. A trajectory that runs away ends where it is
        twice as large as all points and starts.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        steps, trajectories : int, optional
            How many steps to follow from how many of the starts.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ModuleNotFoundError
            If matplotlib is not installed.
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> import crnn
        >>> found = crnn.inspect.fixed_points(crnn.RNN(1, 2, 2, rng=0), rng=0)
        >>> found.plot().figure.savefig("portrait.png")             # doctest: +SKIP
        """
        return _portrait.draw(self, self.trajectories(steps, trajectories), ax)


def fixed_points(
    model: Any,
    x: Any = None,
    starts: Any = STARTS,
    cell: int = 0,
    *,
    tol: float = 1e-10,
    merge: float = 1e-5,
    rng: Any = None,
) -> FixedPoints:
    """The states of a cell that a constant input leaves where they are.

    Newton's method on ``F(s) - s``, with the Jacobian of F in closed form and steps halved until
    the residual falls, from many starts at once. It finds unstable points too, which no trajectory
    reaches. That all points are found is not certain: more starts find more.

    Parameters
    ----------
    model : RNN
    x : array (n_in,), or an integer, optional
        The constant input that the cell reads, as for `jacobian`; zeros by default.
    starts : int, or array (S, N), optional
        How many states to draw and start from, or the states, such as those of a trajectory. Drawn
        states fill the box that all fixed points lie in, such as ``|a| <= 1`` for tanh; those of a
        relu have random signs and sizes; an LSTM's c is drawn to suit its a.
    cell : int, optional
        Which layer and direction, in the order of computation.
    tol : float, optional
        A point has converged if no number of its state moves by more than this in a step, or by
        more than this times the largest number of the state, if that is above 1.
    merge : float, optional
        Points are one if no number of their states differs by more than this, measured alike. No
        other step of Newton's method may move a point by more.
    rng : int or numpy.random.Generator, optional
        Draws the starts.

    Returns
    -------
    FixedPoints

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    D. Sussillo and O. Barak, "Opening the black box: low-dimensional dynamics in high-dimensional
    recurrent neural networks", Neural Computation 25 (2013), 626-649.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 2, 2, activation="relu", rng=0)
    >>> model.parameters["Waa"], model.parameters["ba"] = [[0.5, 0], [0, 0.75]], 1
    >>> found = crnn.inspect.fixed_points(model, np.zeros(1), rng=0)
    >>> found.points, found.eigenvalues.real, found.stable
    (array([[2., 4.]]), array([[0.75, 0.5 ]]), array([ True]))
    """
    of = _arguments.cell_of(model, cell)
    one = _arguments.inputs_of(np.zeros(of.place.n_in) if x is None else x, of, 1)
    tol, merge = (
        validate.number(name, value, above=True) for name, value in (("tol", tol), ("merge", merge))
    )
    if isinstance(starts, (int, np.integer)):
        number = validate.count("starts", starts)
        first = drawn(of, one, number, validate.generator(rng))
    else:
        first = np.atleast_2d(_arguments.states("starts", starts, of, "a count, or "))
    s, residuals, converged = newton(of, one, first, box(of, one), tol, merge)
    points, residuals, counts = _merged(s[converged], residuals[converged], merge)
    J = of.jacobians(points, np.repeat(one, len(points), axis=0))
    eigenvalues = np.linalg.eigvals(J).astype(complex)  # (P, N)
    by_modulus = np.argsort(-np.abs(eigenvalues), axis=1, kind="stable")
    eigenvalues = np.take_along_axis(eigenvalues, by_modulus, axis=1)
    radius = np.abs(eigenvalues[:, 0])
    order = np.lexsort((*points.T[::-1].round(6), radius.round(6)))
    return FixedPoints(
        points[order],
        residuals[order],
        eigenvalues[order],
        radius[order] < 1,
        counts[order],
        int((~converged).sum()),
        of,
        one,
        first,
    )


def _merged(s: Array, residuals: Array, merge: float) -> tuple[Array, Array, Array]:
    """One state of each group of equal ones, that of the least residual, and their counts."""
    left, kept, counts = np.argsort(residuals, kind="stable"), [], []
    while len(left):
        point = s[left[0]]
        scale = max(1.0, np.abs(point).max())
        equal = np.abs(s[left] - point).max(axis=1) <= merge * scale
        kept.append(left[0])
        counts.append(int(equal.sum()))
        left = left[~equal]
    chosen = np.array(kept, np.intp)
    return s[chosen], residuals[chosen], np.array(counts, np.intp)
