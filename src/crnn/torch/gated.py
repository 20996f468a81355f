"""One layer of a GRU or an LSTM in one direction, as an operator: gated_forward, gated_backward.

Names and shapes are crnn's, biases are torch's: Waa (gates n_a, n_a) tells the cell, b_ih and b_hh
are (gates n_a,), c0 (m, n_a) is an LSTM's. The rest is as in `crnn.torch.ops`. An empty tensor
stands for a result that the cell does not have, or that is not wanted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from crnn._engine import recurrence, sequence, validate
from crnn._engine.recurrence import CellGradients, CellInputs, Packed, Rule, States
from crnn._network.cells import CELLS, Cell
from crnn.functional import cells
from crnn.torch.arrays import array_of, described, optional_array_of
from crnn.torch.checks import check_input
from crnn.torch.threads import make_way
from crnn.weights.gates import merged
from crnn.weights.reading import Named

__all__ = ["backward_op", "cell_of", "forward_op", "gated_backward", "gated_forward"]

_BY_GATES = {len(cell.gates): cell for cell in (CELLS["gru"], CELLS["lstm"])}


def cell_of(Waa: Tensor) -> Cell:
    """The cell that has these weights (gates n_a, n_a)."""
    shape = Waa.shape
    for gates, cell in _BY_GATES.items():
        if len(shape) == 2 and shape[0] == gates * shape[1] > 0:
            return cell
    raise ValueError(
        "Waa: expected shape (3 n_a, n_a) or (4 n_a, n_a), of a GRU or LSTM, n_a >= 1, "
        f"got {described(Waa)}"
    )


def run_forward(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    a0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    keep: bool,
    packed: Packed | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The states a, (T, m, n_a) or (rows, n_a), an LSTM's c_n, and with `keep` what is kept.

    `packed` are the weights as an earlier call packed them: see `recurrence.cell_forward`.
    """
    cell = cell_of(Waa)
    check_input(x, Waa)
    make_way(x, Waa)
    a = x.new_empty((*x.shape[:-1], Waa.shape[1]))
    biases = _merged_biases(cell, Waa, b_ih, b_hh)
    inputs = _inputs(cell, x, Waa, Wax, biases, a0, c0, lengths, reverse)
    found = sequence.cell_forward(inputs, keep, array_of("a", a), packed)
    if found is None:  # which argument does not fit?
        inputs = validate.cell(len(cell.gates), *inputs[:9], {"cell": cell.name})
        found = recurrence.cell_forward(inputs, keep, array_of("a", a))
    _, c_n, kept = found
    return a, _tensor(c_n, x), _tensor(kept, x)


def run_backward(
    da: Tensor | None,
    dc_n: Tensor | None,
    a: Tensor,
    kept: Tensor,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    a0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    need_dx: bool,
) -> tuple[Tensor, ...]:
    """The gradients dWaa, dWax, db_ih, db_hh, dx, da0 and dc0."""
    cell = cell_of(Waa)
    check_input(x, Waa)
    make_way(x, Waa)
    if dc_n is not None and "c" not in cell.states:
        raise ValueError(f"dc_n: expected None for a GRU, got {described(dc_n)}")
    if da is None and dc_n is None:
        da = torch.zeros_like(a)
    g = _gradients(
        _inputs(cell, x, Waa, Wax, {}, a0, c0, lengths, reverse),
        States(array_of("a", a), None, array_of("kept", kept)),
        optional_array_of("da", da),
        need_dx,
        optional_array_of("dc_n", dc_n),
    )
    db_hh = g.dba.copy()  # the biases are added, but for the part of a GRU's that r multiplies
    if g.dbaa is not None:
        db_hh[-len(g.dbaa) :] = g.dbaa
    return tuple(_tensor(d, x) for d in (g.dWaa, g.dWax, g.dba, db_hh, g.dx, g.da0, g.dc0))


def _gradients(
    inputs: CellInputs, states: States, da: Any, need_dx: bool, dc_n: Any
) -> CellGradients:
    found = sequence.cell_backward(inputs, states, da, need_dx, None, None, dc_n)
    if found is not None:
        return CellGradients(*found)
    da = np.zeros_like(states.a) if da is None else da
    try:  # which argument does not fit?
        return cells.backward(da, states, States, inputs, need_dx, dc_n)
    except (TypeError, ValueError) as error:  # a and kept are arguments here, not fields of s
        raise type(error)(str(error).removeprefix("s.")) from None


def _merged_biases(cell: Cell, Waa: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> Named:
    """ba and, for a GRU, baa. A bias that is left out is zero."""
    if b_ih is None and b_hh is None:
        return {}
    rows = Waa.shape[:1]
    if b_ih is None or b_hh is None:
        zeros = Waa.new_zeros(rows)
        b_ih, b_hh = zeros if b_ih is None else b_ih, zeros if b_hh is None else b_hh
    for name, b in (("b_ih", b_ih), ("b_hh", b_hh)):
        if b.dtype is not Waa.dtype:
            raise TypeError(f"{name}: expected {Waa.dtype}, the dtype of Waa, got {described(b)}")
        if b.shape != rows:  # here, because NumPy would add a single number to every row
            raise ValueError(f"{name}: expected shape {tuple(rows)}, got {described(b)}")
    return merged(cell, array_of("b_ih", b_ih), array_of("b_hh", b_hh))


def _inputs(
    cell: Cell,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    biases: Named,
    a0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> CellInputs:
    return CellInputs(
        array_of("x", x),
        array_of("Waa", Waa),
        array_of("Wax", Wax),
        biases.get("ba"),
        biases.get("baa"),
        optional_array_of("a0", a0),
        optional_array_of("c0", c0),
        optional_array_of("lengths", lengths),
        reverse,
        Rule(cell.name),
    )


def _tensor(array: np.ndarray[Any, Any] | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if array is None else torch.from_numpy(array)


gated_forward = torch.library.custom_op(
    "crnn::gated_forward",
    run_forward,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor Waa, Tensor Wax, Tensor? b_ih, Tensor? b_hh, Tensor? a0, Tensor? c0, "
    "Tensor? lengths, bool reverse, bool keep) -> (Tensor, Tensor, Tensor)",
)
gated_backward = torch.library.custom_op(
    "crnn::gated_backward",
    run_backward,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor? da, Tensor? dc_n, Tensor a, Tensor kept, Tensor x, Tensor Waa, Tensor Wax, "
    "Tensor? a0, Tensor? c0, Tensor? lengths, bool reverse, bool need_dx) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)


@gated_forward.register_fake  # type: ignore[untyped-decorator]
def _(
    x: Tensor, Waa: Tensor, Wax: Any, b_ih: Any, b_hh: Any, a0: Any, c0: Any, lengths: Any,
    reverse: bool, keep: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    cell, n_a = cell_of(Waa), Waa.shape[1]
    rows = x.shape[:-1]
    m = lengths.shape[0] if x.dim() == 2 else x.shape[1]
    counted: Any = rows.numel()
    if keep and x.dim() == 3 and lengths is not None:  # the sum of the lengths
        counted = torch.library.get_ctx().new_dynamic_size()
    return (
        x.new_empty(*rows, n_a),
        x.new_empty((m, n_a) if "c" in cell.states else 0),
        x.new_empty(cell.kept * counted * n_a if keep else 0),
    )


@gated_backward.register_fake  # type: ignore[untyped-decorator]
def _(
    da: Any, dc_n: Any, a: Tensor, kept: Any, x: Tensor, Waa: Tensor, Wax: Tensor, a0: Any, c0: Any,
    lengths: Any, reverse: bool, need_dx: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    rows, n_a = Waa.shape
    m = lengths.shape[0] if x.dim() == 2 else x.shape[1]
    return (
        Waa.new_empty(Waa.shape),
        Wax.new_empty(Wax.shape),
        Waa.new_empty(rows),
        Waa.new_empty(rows),
        x.new_empty(x.shape if need_dx else 0),
        Waa.new_empty(m, n_a),
        Waa.new_empty((m, n_a) if "c" in cell_of(Waa).states else 0),
    )


# As they are called: past one layer of Python.
forward_op = torch.ops.crnn.gated_forward.default
backward_op = torch.ops.crnn.gated_backward.default
