"""Each cell as a map of its state, in float64: one step, and its Jacobian in closed form.

A state is one row of N numbers: a (or v) of n_a numbers, and for an LSTM a and then c, 2 n_a.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from crnn import reference
from crnn._network.config import Config, Recurrence
from crnn.reference import Array
from crnn.reference.loop import logistic


class Slopes(NamedTuple):
    """The factors of Jacobians, one row for each state.

    ``J = diag(keep) + sum over gates of diag(gate) Waa_gate diag(read)``. For an LSTM that sum,
    over the gates i, f and g, gives c from a, and ``keep`` c from c; with ``through = da/dc``,
    ``a = diag(gate_o) Waa_o`` from a, plus ``diag(through)`` times all that reaches c.
    """

    keep: Array  # (rows, n_a)
    gates: Array  # (rows, gates, n_a)
    read: Array | None = None  # (rows, n_a); None is 1
    through: Array | None = None  # (rows, n_a); LSTM only


class Cell:
    """One layer of a model, read in one direction, with its parameters in float64."""

    def __init__(self, config: Config, place: Recurrence, parameters: Mapping[str, Array]) -> None:
        self.place, self.n_a = place, config.n_a
        self.size = len(place.cell.states) * config.n_a  # N
        own = {
            name: np.ascontiguousarray(value, np.float64)
            for name, value in place.of(parameters).items()
        }
        self.Waa, self.Wax, self.ba = own["Waa"], own["Wax"], own["ba"]  # stacked by gate
        self.baa = own.get("baa")  # (n_a,); GRU only
        self.activation, self.equation = config.activation, config.equation
        self.leak = np.float64(0) if config.leak is None else np.asarray(config.leak, np.float64)
        self._equations = _EQUATIONS[config.cell]

    def inputs(self, x: Array) -> Array:
        """``Wax x + ba`` (rows, gates n_a), of numbers (rows, n_in) or symbols (rows,)."""
        product: Array = self.Wax.T[x] if x.dtype.kind == "i" else x @ self.Wax.T
        return product + self.ba

    def step(self, s: Array, x: Array) -> Array:
        """The states (rows, N) after a step from s (rows, N), given x as for `inputs`."""
        return self._equations.step(self, s, x[None])

    def slopes(self, s: Array, inputs: Array) -> Slopes:
        """The factors of the Jacobians of a step from s (rows, N), given `inputs` of its x."""
        return self._equations.slopes(self, s, inputs)

    def jacobians(self, s: Array, x: Array) -> Array:
        """The Jacobians (rows, N, N) of a step from s (rows, N)."""
        return self._dense(self.slopes(s, self.inputs(x)))

    def _dense(self, slopes: Slopes) -> Array:
        n, keep, gates = self.n_a, slopes.keep, slopes.gates
        W = self.Waa.reshape(-1, n, n)  # (gates, n_a, n_a)
        if slopes.through is None:
            J: Array = np.einsum("rgi,gij->rij", gates, W)  # (rows, n_a, n_a)
            if slopes.read is not None:
                J *= slopes.read[:, None, :]
            _add_to_diagonal(J, keep)
            return J
        J = np.zeros((len(keep), 2 * n, 2 * n))
        J[:, n:, :n] = np.einsum("rgi,gij->rij", gates[:, :-1], W[:-1])
        _add_to_diagonal(J[:, n:, n:], keep)
        J[:, :n] = slopes.through[:, :, None] * J[:, n:]
        J[:, :n, :n] += gates[:, -1, :, None] * W[-1]
        return J

    def cells(self, a: Array, inputs: Array, c: Array) -> tuple[Array, Array]:
        """The c before each step of an LSTM, and after the last, from the a before each step.

        a (rows, n_a), inputs (rows, 4 n_a), c (n_a,) before the first.
        """
        i, f, g, _ = lstm_gates(self, a, inputs)
        before, write = np.empty_like(a), i * g  # (rows, n_a)
        for t in range(len(a)):
            before[t] = c
            c = f[t] * c + write[t]
        return before, c


def _add_to_diagonal(J: Array, values: Array) -> None:
    """J (rows, n, n) += diag(values), for values (rows, n)."""
    k = np.arange(J.shape[1])
    J[:, k, k] += values


class _Equations(NamedTuple):
    step: Callable[[Cell, Array, Array], Array]  # x (1, rows, n_in) or (1, rows)
    slopes: Callable[[Cell, Array, Array], Slopes]


def _slope(f: Array, activation: str) -> Array:
    """The slope of the activation where it gives f."""
    return reference.activate_backward(np.ones_like(f), f, activation)


def _vanilla_step(cell: Cell, s: Array, x: Array) -> Array:
    a = reference.rnn_forward(x, cell.Waa, cell.Wax, cell.ba, s, activation=cell.activation)
    after: Array = a[0]
    return after


def _vanilla_slopes(cell: Cell, s: Array, inputs: Array) -> Slopes:
    a = reference.activate(s @ cell.Waa.T + inputs, cell.activation)
    return Slopes(np.zeros_like(a), _slope(a, cell.activation)[:, None])


def _leaky_step(cell: Cell, s: Array, x: Array) -> Array:
    after: Array = reference.leaky_forward(
        x, cell.Waa, cell.Wax, cell.ba, s,
        leak=cell.leak, equation=cell.equation, activation=cell.activation, keep=False,
    ).a[0]  # fmt: skip
    return after


def _leaky_slopes(cell: Cell, s: Array, inputs: Array) -> Slopes:
    keep, leak = np.full_like(s, 1 - cell.leak), np.full_like(s, cell.leak)
    if cell.equation == "current":
        rate = reference.activate(s, cell.activation)
        return Slopes(keep, leak[:, None], read=_slope(rate, cell.activation))
    f = reference.activate(s @ cell.Waa.T + inputs, cell.activation)
    return Slopes(keep, (leak * _slope(f, cell.activation))[:, None])


def _gru_step(cell: Cell, s: Array, x: Array) -> Array:
    gru = reference.gru_forward(x, cell.Waa, cell.Wax, cell.ba, cell.baa, s, keep=False)
    after: Array = gru.a[0]
    return after


def _gru_slopes(cell: Cell, s: Array, inputs: Array) -> Slopes:
    """Of ``a = (1 - z) n + z a'``, with the reset gate after the product."""
    assert cell.baa is not None
    a_r, a_z, a_n = np.split(s @ cell.Waa.T, 3, axis=1)
    x_r, x_z, x_n = np.split(inputs, 3, axis=1)
    r, z, a_n = logistic(x_r + a_r), logistic(x_z + a_z), a_n + cell.baa
    n = np.tanh(x_n + r * a_n)
    dn = (1 - z) * (1 - n**2)
    return Slopes(z, np.stack([dn * a_n * r * (1 - r), (s - n) * z * (1 - z), dn * r], axis=1))


def lstm_gates(cell: Cell, a: Array, inputs: Array) -> tuple[Array, Array, Array, Array]:
    """i, f, g and o (rows, n_a) of a step from a (rows, n_a)."""
    z_i, z_f, z_g, z_o = np.split(a @ cell.Waa.T + inputs, 4, axis=1)
    return logistic(z_i), logistic(z_f), np.tanh(z_g), logistic(z_o)


def _lstm_step(cell: Cell, s: Array, x: Array) -> Array:
    a0, c0 = np.split(s, 2, axis=1)
    lstm = reference.lstm_forward(x, cell.Waa, cell.Wax, cell.ba, a0, c0, keep=False)
    return np.concatenate([lstm.a[0], lstm.c_n], axis=1)


def _lstm_slopes(cell: Cell, s: Array, inputs: Array) -> Slopes:
    """Of ``c = f c' + i g`` and ``a = o tanh(c)``."""
    a, c = np.split(s, 2, axis=1)
    i, f, g, o = lstm_gates(cell, a, inputs)
    tanh_c = np.tanh(f * c + i * g)
    gates = [g * i * (1 - i), c * f * (1 - f), i * (1 - g**2), tanh_c * o * (1 - o)]
    return Slopes(f, np.stack(gates, axis=1), through=o * (1 - tanh_c**2))


_EQUATIONS = {
    "vanilla": _Equations(_vanilla_step, _vanilla_slopes),
    "leaky": _Equations(_leaky_step, _leaky_slopes),
    "gru": _Equations(_gru_step, _gru_slopes),
    "lstm": _Equations(_lstm_step, _lstm_slopes),
}
