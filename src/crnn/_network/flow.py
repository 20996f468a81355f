"""How far a gradient reaches, and what is saturated: norms and states of passes, summed up."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crnn._engine import kernels, sequence
from crnn._engine.recurrence import CellInputs, States
from crnn._network.config import Config
from crnn._network.layers import Trace
from crnn.reference import Array

#: A tanh beyond this is saturated: its slope is below 0.06.
SATURATED = 0.97
#: The gates with the logistic function, by their number among what is kept (gru.inc, lstm.inc).
LOGISTIC = {"gru": {"r": 0, "z": 1}, "lstm": {"i": 0, "f": 1, "o": 3}}
#: The number of c among what an LSTM keeps.
CELL = 4
#: s(z) = (1 + tanh(z / 2)) / 2 is below or above these where ``|tanh|`` is above 0.97.
NEAR_0, NEAR_1 = 0.015, 0.985


def shares(config: Config, inputs: CellInputs, states: States) -> dict[str, Array]:
    """For each logistic gate: how many values are near 0, near 1, and in all, as (3,)."""
    gates = LOGISTIC.get(config.cell, {})
    counts = {gate: np.zeros(3) for gate in gates}
    for numbers in _blocks(config, inputs, states.kept) if gates else ():
        for gate, k in gates.items():
            values = numbers[:, :, k]
            counts[gate] += *kernels.count_beyond(values, NEAR_0, NEAR_1), values.size
    return counts


def cells_of(config: Config, inputs: CellInputs, states: States) -> Array:
    """The c of an LSTM at every step, (T, m, n_a), from what is kept; 0 past a length.

    With lengths, what is kept has the examples in the order of falling length, and counts steps in
    the order in which they are read.
    """
    T, m = inputs.x.shape[:2]
    c = np.zeros((T, m, config.n_a), states.a.dtype)
    order, lengths = np.arange(m), inputs.lengths
    if lengths is not None:
        order = np.argsort(-lengths, kind="stable")
    blocks = _blocks(config, inputs, states.kept)
    s = 0
    for steps, running in _runs(inputs):
        i, t = order[:running], np.arange(s, s + steps)[:, None]  # t (steps, 1) or (steps, running)
        if lengths is not None and inputs.reverse:
            t = lengths[i] - 1 - t
        j = 0
        while j < config.n_a:
            numbers = next(blocks)
            u = numbers.shape[3]
            c[t, i, j : j + u] = numbers[:, :, CELL]
            j += u
        s += steps
    return c


def _blocks(config: Config, inputs: CellInputs, kept: Array | None) -> Iterator[Array]:
    """What is kept, as views (steps, running examples, numbers, units of a block)."""
    assert kept is not None
    n_a, each, block = config.n_a, config.kind.kept, sequence.units_of_a_block(inputs)
    at = 0
    for steps, m in _runs(inputs):
        width = m * each * n_a
        part = kept[at : at + steps * width].reshape(steps, width)
        at += steps * width
        for j in range(0, n_a, block):
            u = min(block, n_a - j)
            own = part[:, m * each * j : m * each * (j + u)]
            yield own.reshape(steps, m, each, u)


def _runs(inputs: CellInputs) -> Iterator[tuple[int, int]]:
    """Steps in a row at which equally many examples run, and how many."""
    T, m = inputs.x.shape[:2]
    if inputs.lengths is None:
        yield T, m
        return
    ends = np.unique(inputs.lengths)
    for begin, end in zip([0, *ends], ends, strict=False):
        yield int(end - begin), int(np.count_nonzero(inputs.lengths > begin))


def by_lag(norms: Array, ends: Array, reverse: list[bool]) -> Array:
    """The mean over examples by the distance from the last step read, (cells, T).

    `norms` is (cells, T, m), `ends` (m,) the examples' lengths. The last step that a reverse cell
    reads is t = 0.
    """
    cells, T, m = norms.shape
    if (ends == T).all():
        means = norms.mean(axis=2)
        return np.stack(
            [own if back else own[::-1] for own, back in zip(means, reverse, strict=True)]
        )
    lag = np.arange(T)[:, None]
    has = lag < ends  # (T, m)
    step = np.where(has, ends - 1 - lag, 0)  # of a forward cell
    found = np.full((cells, T), np.nan)
    counted = has.any(axis=1)
    for k in range(cells):
        own = norms[k] if reverse[k] else norms[k, step, np.arange(m)]
        sums = np.where(has, own, 0).sum(axis=1)
        found[k, counted] = sums[counted] / has.sum(axis=1)[counted]
    return found


def rates(lags: Array) -> Array:
    """The slope of ``log lags`` over the lag, (cells,), by least squares over those above 0."""
    found = np.full(len(lags), np.nan)
    for k, own in enumerate(lags):
        used = np.flatnonzero((own > 0) & np.isfinite(own))
        if len(used) > 1:
            lag = used - used.mean()
            found[k] = lag @ np.log(own[used]) / (lag @ lag)
    return found


def reach_of(rate: Array, fraction: float) -> Array:
    """How many steps back a gradient falls to a fraction at these rates, (cells,)."""
    steps: Array = np.full(len(rate), np.inf)
    falls = rate < 0
    steps[falls] = np.log(fraction) / rate[falls]
    steps[np.isnan(rate)] = np.nan
    return steps


class Saturation:
    """Running shares of saturated states and gates over several passes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        cells = len(config.recurrences())
        self._states = np.zeros((cells, 2))  # saturated ones, all
        self._active = np.zeros((cells, config.n_a), bool)  # relu: units that were ever above 0
        self._gates = {g: np.zeros((cells, 3)) for g in LOGISTIC.get(config.cell, {})}

    def add(self, trace: Trace) -> None:
        """Count the states and gates of a pass."""
        for k, (inputs, states) in enumerate(zip(trace.inputs, trace.states, strict=True)):
            a = trace.outputs[k]  # of the equation "current", the rates; 0 past a length
            if self._config.relu:
                # NaN is no 0. The maxima over steps first: over both axes at once NumPy takes seven
                # times as long at n_a = 64.
                self._active[k] |= ~(a.max(axis=0).max(axis=0) <= 0)
            else:
                rows = a[..., 0].size if inputs.lengths is None else int(inputs.lengths.sum())
                beyond = kernels.count_beyond(a, -SATURATED, SATURATED)
                self._states[k] += sum(beyond), rows * a.shape[2]
            for gate, counts in shares(self._config, inputs, states).items():
                self._gates[gate][k] += counts

    def saturated(self) -> Array:
        """The shares (cells,)."""
        if self._config.relu:
            dead: Array = 1 - self._active.mean(axis=1)
            return dead
        share: Array = self._states[:, 0] / self._states[:, 1]
        return share

    def gates(self) -> dict[str, Array]:
        """The shares (cells, 2) of each gate near 0 and near 1."""
        return {gate: counts[:, :2] / counts[:, 2:] for gate, counts in self._gates.items()}
