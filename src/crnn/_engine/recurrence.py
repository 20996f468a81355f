"""One recurrence over a whole sequence, for arguments that have been checked.

The public functions and the layers of a network both call it. The compiled code checks the
arguments once more, which takes nanoseconds, because another thread may have changed them in the
meantime.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crnn._engine import sequence
from crnn._engine.sequence import Segment
from crnn.reference import Array, Gradients

#: Arrays for dWaa, dWax, dba, dx and da0. The last two are None if not wanted.
Results = tuple[Array, Array, Array, Array | None, Array | None]


class Inputs(NamedTuple):
    """What forward and backward both read: C-contiguous arrays of one dtype."""

    x: Array  # (T, m, n_x), or symbols (T, m) of intp; packed, (rows, n_x) or (rows,)
    Waa: Array  # (n_a, n_a)
    Wax: Array  # (n_a, n_x)
    ba: Array | None  # (n_a,); backward does not need it
    a0: Array | None  # (m, n_a)
    lengths: Array | None  # (m,) of intp
    reverse: bool
    activation: str

    @property
    def shape(self) -> dict[str, int]:
        """The sizes of the states, by name: T, m, n_a; or rows, n_a if they are packed."""
        steps = self.x.shape if self.x.dtype.kind == "i" else self.x.shape[:-1]
        names = ("T", "m") if len(steps) == 2 else ("rows",)
        return {**dict(zip(names, steps, strict=True)), "n_a": len(self.Waa)}


def forward(inputs: Inputs, out: Array | None = None) -> Array:
    """The states (T, m, n_a), in `out` if it is given."""
    a: Array = _completed(sequence.rnn_forward(*inputs, _plain(out)))
    return a if out is None else out


def backward(
    inputs: Inputs,
    da: Array | None,
    a: Array,
    need_dx: bool = True,
    into: Results | None = None,
    da_n: Array | None = None,
) -> Gradients:
    """The gradients, in the arrays of `into` if they are given.

    da_n (m, n_a) is dL/da of the last step that each example reads, and is added to da there. With
    it da may be None, which stands for zeros.
    """
    x, Waa, Wax, _, a0, lengths, reverse, activation = inputs
    g = sequence.rnn_backward(
        da, a, x, Waa, Wax, a0, lengths, reverse, activation, need_dx, into, da_n
    )  # fmt: skip
    return Gradients(*_completed(g))


class Rule(NamedTuple):
    """Which cell, and its options."""

    cell: str  # "vanilla", "leaky", "gru" or "lstm"
    activation: str = "tanh"
    leak: Array | None = None  # (n_a,); leaky only, like the following
    noise: float = 0.0
    seed: int = 0
    equation: str = "rate"


class CellInputs(NamedTuple):
    """What forward and backward of any cell read: C-contiguous arrays of one dtype."""

    x: Array  # (T, m, n_x), or symbols (T, m) of intp; packed, (rows, n_x) or (rows,)
    Waa: Array  # (gates n_a, n_a)
    Wax: Array  # (gates n_a, n_x)
    ba: Array | None  # (gates n_a,)
    baa: Array | None  # (n_a,); GRU
    a0: Array | None  # (m, n_a)
    c0: Array | None  # (m, n_a); LSTM
    lengths: Array | None  # (m,) of intp
    reverse: bool
    rule: Rule

    @property
    def m(self) -> int:
        """The number of examples."""
        return self.x.shape[1] if self.lengths is None else len(self.lengths)

    @property
    def shape(self) -> dict[str, int]:
        """The sizes of the states, by name: T, m, n_a; or rows, n_a if they are packed."""
        steps = self.x.shape if self.x.dtype.kind == "i" else self.x.shape[:-1]
        names = ("T", "m") if len(steps) == 2 else ("rows",)
        return {**dict(zip(names, steps, strict=True)), "n_a": self.Waa.shape[1]}


class States(NamedTuple):
    """What forward of any cell gives."""

    a: Array  # (T, m, n_a)
    c_n: Array | None  # (m, n_a); LSTM
    kept: Array | None  # what backward needs besides a


class CellGradients(NamedTuple):
    """What backward of any cell gives; None where the cell has no such thing."""

    dWaa: Array
    dWax: Array
    dba: Array
    dbaa: Array | None
    dx: Array | None
    da0: Array | None
    dc0: Array | None


#: Weights of one recurrence as forward packs them, by the kernels and the number of the packing.
Packed = dict[tuple[int, int], Array]


def cell_forward(
    inputs: CellInputs,
    keep: bool | Array = True,
    out: Array | None = None,
    packed: Packed | None = None,
    segment: Segment | None = None,
) -> States:
    """The states, with what backward needs if `keep` is set, in an array if `keep` is one.

    `packed` may hold the weights packed by an earlier call with the same ones, and gets those that
    this call packs. Raises ValueError if they are obviously those of other weights. With `segment`
    the call is a part of a longer sequence.
    """
    states = States(*_completed(sequence.cell_forward(inputs, keep, _plain(out), packed, segment)))
    return states if out is None else states._replace(a=out)


def cell_backward(
    inputs: CellInputs,
    states: States,
    da: Array | None,
    need_dx: bool = True,
    into: CellGradients | None = None,
    da_n: Array | None = None,
    dc_n: Array | None = None,
    norms: Array | None = None,
    segment: Segment | None = None,
) -> CellGradients:
    """The gradients, in the arrays of `into` if they are given.

    da_n and dc_n (m, n_a) are what reaches the last states from outside, besides da. `norms`, an
    array (T, m) of float64, is filled with the Euclidean norm of the gradient with respect to each
    state, with what comes back through later steps; with 0 past an example's length.

    With `segment` the call is a part of a longer sequence, whose calls must have the same `into`;
    the sums are complete after that of the first steps.
    """
    g = sequence.cell_backward(inputs, states, da, need_dx, into, da_n, dc_n, norms, segment)
    return CellGradients(*_completed(g))


def _plain(out: Array | None) -> Array | None:
    """The memory of a result without its subclass, such as a memory map, if it has one."""
    return out if out is None or type(out) is np.ndarray else out.view(np.ndarray)


def _completed(result: Any) -> Any:
    if result is None:
        raise RuntimeError(
            "an argument no longer fits: x or lengths changed after they had been checked"
        )
    return result
