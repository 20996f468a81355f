"""How many values of the gates are near 0 and near 1, from what forward keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crnn._engine import sequence
from crnn._engine.recurrence import CellInputs, States
from crnn._network.config import Config
from crnn.reference import Array

#: The gates with the logistic function, by their number among what is kept (csrc/cells.inc).
LOGISTIC = {"gru": {"r": 0, "z": 1}, "lstm": {"i": 0, "f": 1, "o": 3}}
#: s(z) = (1 + tanh(z / 2)) / 2 is below or above these where ``|tanh|`` is above 0.97.
NEAR_0, NEAR_1 = 0.015, 0.985
PART = 1 << 14  # numbers


def shares(config: Config, inputs: CellInputs, states: States) -> dict[str, Array]:
    """For each logistic gate: how many values are near 0, near 1, and in all, as (3,)."""
    gates = LOGISTIC.get(config.cell, {})
    counts = {gate: np.zeros(3) for gate in gates}
    for numbers in _blocks(config, inputs, states.kept) if gates else ():
        for gate, k in gates.items():
            for values in in_parts(numbers[:, :, k]):
                low, high = np.count_nonzero(values < NEAR_0), np.count_nonzero(values > NEAR_1)
                counts[gate] += np.array([low, high, values.size])
    return counts


def in_parts(values: Array) -> Iterator[Array]:
    """Views of some steps each, so small that temporary arrays stay in the cache."""
    steps = max(1, PART // max(1, values[0].size))
    for t in range(0, len(values), steps):
        yield values[t : t + steps]


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
