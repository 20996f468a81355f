"""How the operator is differentiated: by its own backward, or in torch's operations.

`rnn_backward` computes the gradients. Gradients of gradients, and whatever else an operator made in
Python cannot do (torch.func, forward mode), go through `equations`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from crnn.torch.ops import backward_op, forward_op, rnn_forward

__all__ = ["equations"]


class _Version:
    """Whether a tensor is changed in place after this moment, without keeping its memory."""

    def __init__(self, tensor: Tensor) -> None:
        self._before = tensor._version
        with torch._C._DisableTorchDispatch():  # no operation of the model's: not to be counted
            self._alias = tensor.detach()  # shares the counter, and keeps it when it is emptied
            self._alias.data = tensor.new_empty(0)

    def has_changed(self) -> bool:
        return bool(self._alias._version != self._before)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *given, ctx.reverse, ctx.relu = inputs
    ctx.version = None
    if type(output) is Tensor:  # not while a compiler traces, which has no changes in place
        # torch allows its RNN's output to be changed in place before the backward pass. A saved
        # tensor may not be changed, so the states are saved under a counter of their own.
        ctx.version = _Version(output)
        output = output.data
    ctx.save_for_backward(*given, output)


def _backward(ctx: Any, da: Tensor) -> tuple[Tensor | None, ...]:
    if torch.is_grad_enabled():  # create_graph=True: these gradients will be differentiated
        return _differentiable_gradients(ctx, da)
    *given, a = ctx.saved_tensors
    x, Waa, Wax, _, a0, lengths = given
    if ctx.version is not None and ctx.version.has_changed():
        a = forward_op(*given, ctx.reverse, ctx.relu)
    need_dx, _, _, need_dba, need_da0 = ctx.needs_input_grad[:5]
    dWaa, dWax, dba, dx, da0 = backward_op(
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


def _differentiable_gradients(ctx: Any, da: Tensor) -> tuple[Tensor | None, ...]:
    """The same gradients through torch's own operations, which it differentiates again."""
    *tensors, lengths, a = ctx.saved_tensors
    needed = ctx.needs_input_grad[:5]
    # Views, because one tensor may be computed from another (a0 from x): only the paths between
    # the views and the result count here.
    x, Waa, Wax, ba, a0 = views = [None if t is None else t.view_as(t) for t in tensors]
    given = x, Waa, Wax, ba, a0, lengths, ctx.reverse, ctx.relu
    if a.dim() == 3 and lengths is not None:
        states, da_of_states = [equations(*given)], [da]
    else:  # each state and its gradient by themselves: in a stack they would cost T^2, see `_steps`
        states, da_of_states = _states(*given), list(_steps(da, lengths))
    wanted = [view for view, need in zip(views, needed, strict=True) if need]
    found = torch.autograd.grad(states, wanted, da_of_states, create_graph=True)
    gradients = iter(found)
    return *(next(gradients) if need else None for need in needed), None, None, None


rnn_forward.register_autograd(_backward, setup_context=_setup_context)


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
    """`rnn_forward` in torch's own operations: slow, and differentiable any number of times."""
    if x.dim() == 3 and lengths is not None:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        order = packed.sorted_indices
        a0 = None if a0 is None else a0[order]
        a = equations(packed.data, Waa, Wax, ba, a0, lengths[order], reverse, relu)
        packed = PackedSequence(a, packed.batch_sizes, order, packed.unsorted_indices)
        return pad_packed_sequence(packed, total_length=x.shape[0])[0]
    states = _states(x, Waa, Wax, ba, a0, lengths, reverse, relu)
    return torch.stack(states) if lengths is None else torch.cat(states)


def _states(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    ba: Tensor | None,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
) -> list[Tensor]:
    """The states of each step, of x (T, m, n_x) or packed rows."""
    z = _steps(torch.nn.functional.linear(x, Wax, ba), lengths)
    first = x.new_zeros(z[0].shape[0], Waa.shape[0]) if a0 is None else a0
    a, WaaT = first[: z[-1 if reverse else 0].shape[0]], Waa.T
    states = list(z)
    for t in reversed(range(len(z))) if reverse else range(len(z)):
        m, before = z[t].shape[0], a.shape[0]
        if m < before:
            a = a[:m]
        elif m > before:
            a = torch.cat([a, first[before:m]])  # examples that are read from this step on
        a = torch.addmm(z[t], a, WaaT)
        a = a.relu() if relu else a.tanh()
        states[t] = a
    return states


def _steps(rows: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    """Each step of an array (T, m, features), or of packed rows.

    Not by indexing: the gradient of rows[t] is an array of zeros as large as all rows, for each t.
    That of unbind or split is one array for all steps. (That of a stack is indexed again.)
    """
    if lengths is None:
        return tuple(rows.unbind(0))
    packed = lengths.numpy(force=True)  # (m,), falling
    batch_sizes = (packed > np.arange(packed[0])[:, None]).sum(1)  # (T,)
    return tuple(rows.split(batch_sizes.tolist()))
