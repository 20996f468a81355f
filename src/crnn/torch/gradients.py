"""How the layers are differentiated: by their own backward, or in torch's operations.

A layer is an operator of torch (`crnn.torch.ops`, `crnn.torch.gated`), which compilers and other
tools of torch see as one node. Calling an operator made in Python takes 0.1 to 0.2 ms. So in plain
eager mode, where no tool looks, the same functions run in a `torch.autograd.Function`, which takes
a tenth of that.

Gradients of gradients, and whatever else neither can do (torch.func, forward mode), go through
`crnn.torch.equations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from crnn._engine.recurrence import Packed
from crnn.torch import gated, ops
from crnn.torch.equations import equations, gated_equations, gated_states, states, steps

__all__ = ["equations", "gated_layer", "in_plain_eager_mode", "rnn_layer"]


def in_plain_eager_mode() -> bool:
    """Whether no compiler, tracer or mode of torch wants to see operators."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    modes: int = torch._C._len_torch_dispatch_stack() + torch._C._len_torch_function_stack()
    return modes == 0


class _Version:
    """Whether a tensor is changed in place after this moment, without keeping its memory."""

    def __init__(self, tensor: Tensor) -> None:
        self._before = tensor._version
        with torch._C._DisableTorchDispatch():  # no operation of the model's: not to be counted
            self._alias = tensor.detach()  # shares the counter, and keeps it when it is emptied
            self._alias.data = tensor.new_empty(0)

    def has_changed(self) -> bool:
        return bool(self._alias._version != self._before)


def _states_to_save(ctx: Any, a: Tensor) -> Tensor:
    """The states as the backward pass needs them.

    torch allows the output of its own modules to be changed in place before the backward pass. A
    saved tensor may not be changed, so the states are saved under a counter of their own.
    """
    ctx.version = None
    if type(a) is not Tensor:  # a compiler traces, which has no changes in place
        return a
    ctx.version = _Version(a)
    return a.data


def _has_changed(ctx: Any) -> bool:
    return ctx.version is not None and ctx.version.has_changed()


def _differentiable(
    given: Sequence[Any],
    needed: Sequence[bool],
    of: Callable[..., tuple[list[Tensor], list[Tensor | None]]],
) -> list[Tensor | None]:
    """The gradients of tensors by torch's own operations, which it differentiates again.

    `of` gives results that are computed from the tensors, and the gradients of those results.
    """
    # Views, because one tensor may be computed from another (a0 from x): only the paths between
    # the views and the result count here.
    views = [None if t is None else t.view_as(t) for t in given]
    wanted = [view for view, need in zip(views, needed, strict=True) if need]
    results, upstream = of(*views)
    pairs = [(r, d) for r, d in zip(results, upstream, strict=True) if d is not None]
    found = torch.autograd.grad(
        [r for r, _ in pairs], wanted, [d for _, d in pairs], create_graph=True
    )
    gradients = iter(found)
    return [next(gradients) if need else None for need in needed]


# The vanilla cell


def _rnn_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *given, ctx.reverse, ctx.relu = inputs
    ctx.save_for_backward(*given, _states_to_save(ctx, output))


def _rnn_backward(ctx: Any, da: Tensor) -> tuple[Tensor | None, ...]:
    *given, a = ctx.saved_tensors
    x, Waa, Wax, _, a0, lengths = given
    options: tuple[Any, ...] = lengths, ctx.reverse, ctx.relu
    if torch.is_grad_enabled():  # create_graph=True: these gradients will be differentiated

        def of(*views: Any) -> tuple[list[Tensor], list[Tensor | None]]:
            if a.dim() == 3 and lengths is not None:
                return [equations(*views, *options)], [da]
            # Each state and its gradient by themselves: in a stack they would cost T^2.
            return states(*views, *options), [*steps(da, lengths)]

        found = _differentiable(given[:5], ctx.needs_input_grad[:5], of)
        return *found, None, None, None
    plain = in_plain_eager_mode()
    if _has_changed(ctx):
        a = (ops.run_forward if plain else ops.forward_op)(*given[:5], *options)
    need_dx, _, _, need_dba, need_da0 = ctx.needs_input_grad[:5]
    dWaa, dWax, dba, dx, da0 = (ops.run_backward if plain else ops.backward_op)(
        da, a, x, Waa, Wax, a0, lengths, ctx.reverse, ctx.relu, need_dx, need_da0
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


ops.rnn_forward.register_autograd(_rnn_backward, setup_context=_rnn_context)


class _RNN(torch.autograd.Function):  # type: ignore[misc]
    """`ops.rnn_forward` without the operator."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        a = ops.run_forward(*inputs)
        _rnn_context(ctx, inputs, a)
        return a

    backward = staticmethod(_rnn_backward)


def rnn_layer(*inputs: Any, packed: Packed | None = None) -> Tensor:
    """`ops.rnn_forward`, by the shorter way where there is one: only that way takes `packed`."""
    if not in_plain_eager_mode():
        a: Tensor = ops.forward_op(*inputs)
        return a
    if _needs_gradients(inputs):
        return _RNN.apply(*inputs)
    run: Any = ops.run_forward
    a = run(*inputs, packed)
    return a


# GRU and LSTM


def _gated_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *given, ctx.reverse, _keep = inputs
    a, _, kept = output
    ctx.set_materialize_grads(False)  # c_n often has no gradient
    ctx.save_for_backward(*given, _states_to_save(ctx, a), kept)


def _gated_backward(
    ctx: Any, da: Tensor | None, dc_n: Tensor | None, _dkept: Any = None
) -> tuple[Tensor | None, ...]:
    *given, a, kept = ctx.saved_tensors
    x, Waa, Wax, _, _, a0, c0, lengths = given
    options: tuple[Any, ...] = lengths, ctx.reverse
    if torch.is_grad_enabled():

        def of(*views: Any) -> tuple[list[Tensor], list[Tensor | None]]:
            if da is None or (a.dim() == 3 and lengths is not None):
                results = gated_equations(*views, *options)
                return [*results], [da, dc_n]
            each, last = gated_states(*views, *options)
            return [*each, *last], [*steps(da, lengths), *([dc_n] if last else [])]

        found = _differentiable(given[:7], ctx.needs_input_grad[:7], of)
        return *found, None, None, None
    plain = in_plain_eager_mode()
    if _has_changed(ctx):
        rerun: Any = gated.run_forward if plain else gated.forward_op
        a, _, _ = rerun(*given[:7], *options, False)
    needed = ctx.needs_input_grad[:7]
    dWaa, dWax, db_ih, db_hh, dx, da0, dc0 = (gated.run_backward if plain else gated.backward_op)(
        da, dc_n, a, kept, x, Waa, Wax, a0, c0, lengths, ctx.reverse, needed[0]
    )
    gradients = dx, dWaa, dWax, db_ih, db_hh, da0, dc0
    wanted = (d if need else None for d, need in zip(gradients, needed, strict=True))
    return *wanted, None, None, None


gated.gated_forward.register_autograd(_gated_backward, setup_context=_gated_context)


class _Gated(torch.autograd.Function):  # type: ignore[misc]
    """`gated.gated_forward` without the operator."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = gated.run_forward(*inputs)
        _gated_context(ctx, inputs, output)
        ctx.mark_non_differentiable(output[2])
        return output

    backward = staticmethod(_gated_backward)


def gated_layer(*inputs: Any, packed: Packed | None = None) -> tuple[Tensor, Tensor]:
    """a and c_n of `gated.gated_forward`, as `rnn_layer`."""
    needed = _needs_gradients(inputs)
    if not in_plain_eager_mode():
        a, c_n, _ = gated.forward_op(*inputs, needed)
    elif needed:
        a, c_n, _ = _Gated.apply(*inputs, needed)
    else:
        run: Any = gated.run_forward
        a, c_n, _ = run(*inputs, needed, packed)
    return a, c_n


def _needs_gradients(inputs: tuple[Any, ...]) -> bool:
    return torch.is_grad_enabled() and any(
        type(t) is not bool and t is not None and t.requires_grad for t in inputs
    )
