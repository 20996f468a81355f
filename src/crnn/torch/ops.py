"""One layer in one direction, as an operator of PyTorch: rnn_forward beside rnn_backward.

Names and shapes are crnn's: x (T, m, n_x), Waa (n_a, n_a), Wax (n_a, n_x), ba (n_a,), a0 (m, n_a),
lengths (m,) of int64, a (T, m, n_a). NumPy sees the tensors' own memory, and PyTorch that of the
results: nothing is copied but what is not contiguous.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import crnn
from crnn.torch.threads import make_way

__all__ = ["equations", "rnn_backward", "rnn_forward"]


def _array(tensor: Tensor | None) -> Any:
    """The tensor's memory as an ndarray."""
    return None if tensor is None else tensor.numpy()


@torch.library.custom_op(
    "crnn::rnn_forward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor x, Tensor Waa, Tensor Wax, Tensor? ba, Tensor? a0, Tensor? lengths, "
    "bool reverse, bool relu) -> Tensor",
)  # type: ignore[untyped-decorator]
def rnn_forward(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    ba: Tensor | None,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
) -> Tensor:
    """`crnn.rnn_forward` on tensors: every state, (T, m, n_a)."""
    make_way(x, Waa)
    a = crnn.rnn_forward(
        x.numpy(),
        Waa.numpy(),
        Wax.numpy(),
        _array(ba),
        _array(a0),
        lengths=_array(lengths),
        reverse=reverse,
        activation="relu" if relu else "tanh",
    )
    return torch.from_numpy(a)


@rnn_forward.register_fake  # type: ignore[untyped-decorator]
def _(
    x: Tensor, Waa: Tensor, Wax: Tensor, ba: Any, a0: Any, lengths: Any, reverse: bool, relu: bool
) -> Tensor:
    return x.new_empty(x.shape[0], x.shape[1], Waa.shape[0])


@torch.library.custom_op(
    "crnn::rnn_backward",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor da, Tensor a, Tensor x, Tensor Waa, Tensor Wax, Tensor? a0, Tensor? lengths, "
    "bool reverse, bool relu, bool need_dx) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)  # type: ignore[untyped-decorator]
def rnn_backward(
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
) -> tuple[Tensor, ...]:
    """`crnn.rnn_backward` on tensors: dWaa, dWax, dba, dx, da0; dx is empty unless needed."""
    make_way(x, Waa)
    g = crnn.rnn_backward(
        da.numpy(),
        a.numpy(),
        x.numpy(),
        Waa.numpy(),
        Wax.numpy(),
        _array(a0),
        lengths=_array(lengths),
        reverse=reverse,
        activation="relu" if relu else "tanh",
        need_dx=need_dx,
    )
    return tuple(x.new_empty(0) if d is None else torch.from_numpy(d) for d in g)


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
) -> tuple[Tensor, ...]:
    m, n_a = a.shape[1:]
    return (
        Waa.new_empty(Waa.shape),
        Wax.new_empty(Wax.shape),
        Waa.new_empty(n_a),
        x.new_empty(x.shape if need_dx else 0),
        Waa.new_empty(m, n_a),
    )


# As they are called: past one layer of Python.
forward_op = torch.ops.crnn.rnn_forward.default
backward_op = torch.ops.crnn.rnn_backward.default


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:6], output)
    ctx.reverse, ctx.relu = inputs[6:]


def _backward(ctx: Any, da: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # create_graph=True: these gradients will be differentiated
        return _differentiable_gradients(ctx, da)
    x, Waa, Wax, _, a0, lengths, a = ctx.saved_tensors
    need_dx, _, _, need_dba, need_da0 = ctx.needs_input_grad[:5]
    dWaa, dWax, dba, dx, da0 = backward_op(
        da, a, x, Waa, Wax, a0, lengths, ctx.reverse, ctx.relu, need_dx
    )
    return (
        dx if need_dx else None,
        dWaa,
        dWax,
        dba if need_dba else None,
        da0 if need_da0 else None,
        None,
        None,
        None,
    )


def _differentiable_gradients(ctx: Any, da: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients through torch's own operations, which it differentiates again."""
    *tensors, lengths, _ = ctx.saved_tensors
    needed = ctx.needs_input_grad[:5]
    # Views, since one may be made from another (a0 from x): only what lies between counts here.
    x, Waa, Wax, ba, a0 = views = [None if t is None else t.view_as(t) for t in tensors]
    a = equations(x, Waa, Wax, ba, a0, lengths, ctx.reverse, ctx.relu)
    wanted = [view for view, need in zip(views, needed, strict=True) if need]
    gradients = iter(torch.autograd.grad(a, wanted, da, create_graph=True))
    return *(next(gradients) if need else None for need in needed), None, None, None


def equations(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    ba: Tensor | None,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
) -> Tensor:
    """`rnn_forward` in torch's own operations: slow, and differentiable as often as one likes."""
    T, m = x.shape[:2]
    a = x.new_zeros(m, len(Waa)) if a0 is None else a0
    valid = None if lengths is None else (torch.arange(T)[:, None] < lengths)[..., None]
    if valid is not None:
        x = torch.where(valid, x, 0)  # whatever stood there: 0 * NaN is NaN
    z = torch.nn.functional.linear(x, Wax, ba)
    states: list[Any] = [None] * T
    for t in reversed(range(T)) if reverse else range(T):
        after = z[t] + a @ Waa.T
        after = after.relu() if relu else after.tanh()
        a = after if valid is None else torch.where(valid[t], after, a)
        states[t] = a if valid is None else torch.where(valid[t], a, 0)
    return torch.stack(states)


rnn_forward.register_autograd(_backward, setup_context=_setup_context)
