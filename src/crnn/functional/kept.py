"""What a backward function gets from its forward function, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._engine.recurrence import CellInputs, States
from crnn.reference import Array


def states_of(
    da: Any, s: Any, kind: type, numbers: int, inputs: CellInputs
) -> tuple[Array, States]:
    """da and the states s, if they are those of a forward call with these inputs.

    `numbers` is how many numbers the cell keeps for each state.
    """
    dtype, shape = inputs.Waa.dtype, inputs.shape
    da = validate.array("da", da, dtype, like="Waa", **shape)
    if not isinstance(s, kind):
        raise TypeError(f"s: expected {kind.__name__}, got {type(s).__name__}")
    states = States(s.a, getattr(s, "c_n", None), s.kept)  # type: ignore[attr-defined]
    if states.kept is None:
        raise ValueError("s: expected states of a forward call with keep=True, got keep=False")
    a = validate.array("s.a", states.a, dtype, like="Waa", **shape)
    rows = int(np.prod(a.shape[:-1]))
    if inputs.lengths is not None:
        rows = int(inputs.lengths.sum())
    size = numbers * rows * shape["n_a"]
    kept = validate.array("s.kept", states.kept, dtype, like="Waa", numbers=size)
    return da, States(a, states.c_n, kept)
