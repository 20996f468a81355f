"""What the functions of the leaky cell, the GRU and the LSTM share.

Arguments that fit as they are go straight to the compiled call. Any others are checked and
converted, or refused, first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import recurrence, sequence, validate
from crnn._engine.recurrence import CellGradients, CellInputs, States
from crnn._network.cells import CELLS
from crnn.reference import Array


def forward(given: CellInputs, keep: Any) -> States:
    """The states of a cell, for unchecked arguments and a rule that has been checked."""
    keep = validate.flag("keep", keep)
    found = sequence.cell_forward(given, keep, None, None)
    if found is not None:
        return States(*found)
    return recurrence.cell_forward(_checked(given), keep)


def backward(
    da: Any, s: Any, kind: type, given: CellInputs, need_dx: Any, dc_n: Any = None
) -> CellGradients:
    """The gradients, for unchecked arguments; s is what forward returned, of type `kind`."""
    need_dx = validate.flag("need_dx", need_dx)
    if not isinstance(s, kind):
        raise TypeError(f"s: expected {kind.__name__}, got {type(s).__name__}")
    states = States(s.a, getattr(s, "c_n", None), s.kept)  # type: ignore[attr-defined]
    if states.kept is None:
        raise ValueError("s: expected states of a forward call with keep=True, got keep=False")
    if da is not None:
        found = sequence.cell_backward(given, states, da, need_dx, None, None, dc_n)
        if found is not None:
            return CellGradients(*found)
    inputs = _checked(given)
    dtype, shape = inputs.Waa.dtype, inputs.shape
    da = validate.array("da", da, dtype, like="Waa", **shape)
    if dc_n is not None:
        m, n_a = inputs.m, shape["n_a"]
        dc_n = validate.array("dc_n", dc_n, dtype, like="Waa", m=m, n_a=n_a)
    states = _checked_states(states, inputs)
    return recurrence.cell_backward(inputs, states, da, need_dx, dc_n=dc_n)


def _checked(given: CellInputs) -> CellInputs:
    gates = len(CELLS[given.rule.cell].gates)
    return validate.cell(gates, *given[:9], given.rule._asdict())


def _checked_states(states: States, inputs: CellInputs) -> States:
    """The states, if they are those of a forward call with these inputs."""
    dtype, shape = inputs.Waa.dtype, inputs.shape
    a: Array = validate.array("s.a", states.a, dtype, like="Waa", **shape)
    n, steps, size = CELLS[inputs.rule.cell].kept, int(np.prod(a.shape[:-1])), "T m n_a"
    if inputs.lengths is not None:
        steps, size = int(inputs.lengths.sum()), "sum(lengths) n_a"
    sizes = {validate.times(n, size): n * steps * shape["n_a"]}
    kept = validate.array("s.kept", states.kept, dtype, like="Waa", **sizes)
    return States(a, states.c_n, kept)
