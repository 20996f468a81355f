"""One layer in one direction, as an operator of PyTorch: rnn_forward beside rnn_backward.

Names and shapes are crnn's: x (T, m, n_x), Waa (n_a, n_a), Wax (n_a, n_x), ba (n_a,), a0 (m, n_a),
lengths (m,) of int64, a (T, m, n_a). The rows of a PackedSequence are taken as they are: x
(rows, n_x) with lengths that never rise, and then a is (rows, n_a) and dx (rows, n_x).

crnn reads and writes the tensors' own memory: only what is not contiguous is copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import crnn
from crnn._engine import sequence
from crnn._engine.recurrence import CellInputs, Packed, Rule
from crnn.torch.arrays import array_of, optional_array_of
from crnn.torch.checks import check_input, check_matrix
from crnn.torch.threads import make_way

__all__ = ["backward_op", "forward_op", "rnn_backward", "rnn_forward"]


def run_forward(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    ba: Tensor | None,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
    packed: Packed | None = None,
) -> Tensor:
    """`crnn.rnn_forward` on tensors: every state, (T, m, n_a) or (rows, n_a).

    `packed` are the weights as an earlier call packed them: see `recurrence.cell_forward`.
    """
    check_matrix("Waa", Waa)
    check_input(x, Waa)
    make_way(x, Waa)
    a = x.new_empty((*x.shape[:-1], len(Waa)))
    weights = array_of("Waa", Waa), array_of("Wax", Wax), optional_array_of("ba", ba)
    given, first = (array_of("x", x), *weights), optional_array_of("a0", a0)
    steps, activation = optional_array_of("lengths", lengths), "relu" if relu else "tanh"
    out = array_of("a", a)
    if packed is not None:
        rule = Rule("vanilla", activation)
        inputs = CellInputs(*given, None, first, None, steps, reverse, rule)
        if sequence.cell_forward(inputs, False, out, packed) is not None:
            return a
    crnn.rnn_forward(
        *given, first, lengths=steps, reverse=reverse, activation=activation, out=out
    )  # or its error
    return a


rnn_forward = torch.library.custom_op(
    "crnn::rnn_forward",
    run_forward,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor Waa, Tensor Wax, Tensor? ba, Tensor? a0, Tensor? lengths, "
    "bool reverse, bool relu) -> Tensor",
)


@rnn_forward.register_fake  # type: ignore[untyped-decorator]
def _(x: Tensor, Waa: Tensor, *_: Any) -> Tensor:
    return x.new_empty(*x.shape[:-1], Waa.shape[0])


def run_backward(
    da: Tensor,
    a: Tensor,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
    need_dx: bool,
    need_da0: bool = True,
) -> tuple[Tensor, ...]:
    """`crnn.rnn_backward` on tensors: dWaa, dWax, dba, dx, da0; dx and da0 empty unless needed."""
    check_matrix("Waa", Waa)
    check_matrix("Wax", Wax)
    check_input(x, Waa)
    make_way(x, Waa)
    (n_a, n_x), shape = Wax.shape, x.shape
    m = shape[1] if lengths is None else lengths.numel()
    shapes = (n_a, n_a), (n_a, n_x), n_a, shape if need_dx else 0, (m, n_a) if need_da0 else 0
    results = tuple(x.new_empty(size) for size in shapes)
    wanted = True, True, True, need_dx, need_da0
    arrays: list[Any] = [
        array_of("out", d) if want else None for d, want in zip(results, wanted, strict=True)
    ]
    crnn.rnn_backward(
        array_of("da", da),
        array_of("a", a),
        array_of("x", x),
        array_of("Waa", Waa),
        array_of("Wax", Wax),
        optional_array_of("a0", a0),
        lengths=optional_array_of("lengths", lengths),
        reverse=reverse,
        activation="relu" if relu else "tanh",
        out=crnn.Gradients(*arrays),
    )
    return results


rnn_backward = torch.library.custom_op(
    "crnn::rnn_backward",
    run_backward,
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor da, Tensor a, Tensor x, Tensor Waa, Tensor Wax, Tensor? a0, Tensor? lengths, "
    "bool reverse, bool relu, bool need_dx, bool need_da0=True) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)


@rnn_backward.register_fake  # type: ignore[untyped-decorator]
def _(
    da: Tensor,
    a: Tensor,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    a0: Any,
    lengths: Any,
    reverse: bool,
    relu: bool,
    need_dx: bool,
    need_da0: bool = True,
) -> tuple[Tensor, ...]:
    n_a = Waa.shape[0]
    m = lengths.shape[0] if x.dim() == 2 else x.shape[1]
    return (
        Waa.new_empty(Waa.shape),
        Wax.new_empty(Wax.shape),
        Waa.new_empty(n_a),
        x.new_empty(x.shape if need_dx else 0),
        Waa.new_empty((m, n_a) if need_da0 else 0),
    )


# As they are called: past one layer of Python.
forward_op = torch.ops.crnn.rnn_forward.default
backward_op = torch.ops.crnn.rnn_backward.default
