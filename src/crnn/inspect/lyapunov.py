"""Lyapunov exponents: how fast small differences of the state grow along a trajectory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from crnn._engine import validate
from crnn._engine.lyapunov import advance
from crnn._network import layers
from crnn._network.buffers import Buffers
from crnn._network.passes import Pass
from crnn._words import counted
from crnn.inspect import _arguments
from crnn.inspect._cells import Slopes
from crnn.reference import Array

BLOCKS = 16  # parts of the trajectory whose rates are compared, for the errors
#: Steps whose Jacobians are held at a time, of which 32 share a decomposition at best. Ctrl-C is
#: seen between two chunks, so large ones of much WORK (operations) are made smaller.
LEAST_CHUNK, MOST_CHUNK, WORK = 32, 256, 2e10
SHOWN = 20  # exponents of a printed table, at most


class LyapunovExponents(NamedTuple):
    """What `lyapunov_exponents` gives: rates per step, in natural logarithms, the largest first.

    Printing it shows a table.

    Attributes
    ----------
    exponents : array (k,)
        The mean over the counted steps of log R_jj. An exponent of -0.1 means that a difference
        shrinks by exp(-0.1) per step, one above zero that the trajectory is unstable.
    errors : array (k,)
        The standard error of each: that of the mean of `blocks`. NaN if there are fewer than two
        blocks, or a rate is infinite.
    blocks : array (B, k)
        The mean over each of B = min(16, steps) successive parts of the trajectory, of equal
        length up to one step.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> found = crnn.inspect.lyapunov_exponents(crnn.RNN(3, 8, 2, rng=0), np.zeros((50, 3)))
    >>> found.exponents.shape, found.errors.shape, found.blocks.shape
    ((8,), (8,), (16, 8))
    >>> crnn.inspect.lyapunov_exponents(crnn.RNN(3, 8, 2, init="uniform", rng=0), np.zeros((50, 3)))
    LyapunovExponents(8 exponents, from -0.3508 to -2.55)
    """

    exponents: Array
    errors: Array
    blocks: Array

    def __repr__(self) -> str:
        first, last = self.exponents[0], self.exponents[-1]
        number = counted(len(self.exponents), "exponent")
        return f"LyapunovExponents({number}, from {first:.4g} to {last:.4g})"

    def __str__(self) -> str:
        lines = [repr(self), "{:>4} {:>12} {:>10}".format("", "exponent", "error")]
        for k, (exponent, error) in enumerate(zip(self.exponents, self.errors, strict=True)):
            if k == SHOWN:
                lines.append(f"and {len(self.exponents) - SHOWN} more")
                break
            lines.append(f"{k:4} {exponent:12.6f} {error:10.2g}")
        return "\n".join(lines)


def lyapunov_exponents(
    model: Any, x: Any, k: int | None = None, cell: int = 0, *, discard: int = 0
) -> LyapunovExponents:
    """The k leading Lyapunov exponents of a cell along the trajectory that x drives.

    The state starts where the model's does, at zero unless it is trained. Beside it, k orthonormal
    directions are multiplied by the Jacobian of each step and made orthonormal again by QR; the
    exponents are the mean growth. Backwards, the same Jacobians carry a gradient: its norm falls by
    the largest exponent per step.

    Parameters
    ----------
    model : RNN
    x : array (T, n_x) or (T, 1, n_x), or integers (T,) or (T, 1)
        One sequence, which the whole model reads, so that a cell of an upper layer is driven by
        those below it. Integers are symbols.
    k : int, optional
        How many exponents, at most the N numbers of a state: n_a, or 2 n_a for an LSTM, whose state
        is (a, c). All by default.
    cell : int, optional
        Which layer and direction, in the order of computation. A cell that reads from right to left
        starts at the end of x.
    discard : int, optional
        Steps at the start of the trajectory that are not counted, though the directions turn during
        them. All steps are counted by default.

    Returns
    -------
    LyapunovExponents
        The named tuple ``(exponents, errors, blocks)``.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Notes
    -----
    The directions begin as the first k of the identity. Where the Jacobians never mix units, as
    with a diagonal Waa, they stay there: then ask for all k = N. A direction that is lost for good
    (a relu that is off) has an exponent of -inf, or as low as rounding lets it be.

    The exponents of a stack of layers that read forward are those of all its cells together, since
    the Jacobian of the whole is triangular in its layers.

    The states of the whole trajectory are held in memory, in float64; the Jacobians are not.

    The errors show how much the rates vary along the trajectory. They are too small where the rates
    of successive blocks go together, and do not count what the start adds: see `discard`.

    References
    ----------
    G. Benettin, L. Galgani, A. Giorgilli and J.-M. Strelcyn, "Lyapunov characteristic exponents for
    smooth dynamical systems and for Hamiltonian systems; a method for computing all of them",
    Meccanica 15 (1980), 9-30. For networks: R. Engelken, F. Wolf and L. F. Abbott, "Lyapunov
    spectra of chaotic recurrent neural networks", Physical Review Research 5 (2023), 043044.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> model = crnn.RNN(1, 2, 2, activation="relu", rng=0)
    >>> model.parameters["Waa"], model.parameters["ba"] = [[0.5, 0], [0, 2]], 1
    >>> crnn.inspect.lyapunov_exponents(model, np.zeros((10, 1))).exponents / np.log(2)
    array([ 1., -1.])
    """
    driven = _Driven(model, x, cell)
    T, N = len(driven.a), driven.cell.size
    k = N if k is None else validate.count("k", k, most=N)
    discard = validate.count("discard", discard, least=0, most=T - 1)
    B = min(BLOCKS, T - discard)
    edges = discard + np.arange(B + 1) * (T - discard) // B  # where blocks begin and end
    growth = np.zeros((B + 1, k))  # the first row is that of what is not counted
    Q, interval = np.eye(k, N), 1  # (k, N): the directions are its rows
    with np.errstate(invalid="ignore"):  # infinite rates
        for block, factors in driven.slopes([0, *edges], _chunk(driven.cell.Waa.size * k)):
            interval = advance(
                driven.cell.Waa, *factors, Q=Q, growth=growth[block], interval=interval
            )
        steps = np.diff(edges)[:, None]
        exponents, blocks = growth[1:].sum(axis=0) / (T - discard), growth[1:] / steps
        errors = np.full(k, np.nan)
        if B > 1:
            errors = np.sqrt(np.square(blocks - exponents).sum(axis=0) / (B * (B - 1)))
    order = np.argsort(-exponents, kind="stable")
    return LyapunovExponents(exponents[order], errors[order], blocks[:, order])


def _chunk(products: int) -> int:
    """How many steps to take at a time, for the multiplications of one step."""
    return int(min(max(WORK / (2 * products), LEAST_CHUNK), MOST_CHUNK))


class _Driven:
    """The trajectory of a cell from its initial state, in the order in which it reads."""

    def __init__(self, model: Any, x: Any, cell: Any) -> None:
        config, parameters = _arguments.in_float64(model)
        self.cell = _arguments.cell_of(model, cell)
        place = self.cell.place
        run = Pass(config, dict(parameters), Buffers(config.np_dtype))
        trace = layers.forward(run, _arguments.one_sequence(config, x))
        number = config.recurrences().index(place)
        order = slice(None, None, -1 if place.reverse else 1)
        self.a = trace.states[number].a[order, 0]  # (T, n_a)
        self.x = trace.inputs[number].x[order, 0]  # (T, n_in) or (T,)
        a0, c0 = trace.inputs[number].a0, trace.inputs[number].c0  # None if not trained
        self.a0, self.c0 = (np.zeros(self.cell.n_a) if s is None else s[0] for s in (a0, c0))

    def slopes(self, edges: list[int], chunk: int) -> Iterator[tuple[int, Slopes]]:
        """The factors of all Jacobians, in chunks, with the number of the part they belong to."""
        n_a, lstm = self.cell.n_a, self.cell.size > self.cell.n_a
        c = self.c0
        for part, (start, end) in enumerate(pairwise(edges)):
            for first in range(start, end, chunk):
                last = min(first + chunk, end)
                before = np.empty((last - first, n_a))  # (rows, n_a)
                before[0] = self.a[first - 1] if first > 0 else self.a0
                before[1:] = self.a[first : last - 1]
                inputs = self.cell.inputs(self.x[first:last])
                if lstm:
                    cells, c = self.cell.cells(before, inputs, c)
                    before = np.concatenate([before, cells], axis=1)
                yield part, self.cell.slopes(before, inputs)
