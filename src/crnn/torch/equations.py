"""The cells in torch's own operations: slow, and differentiable any number of times.

Double backward, torch.func and forward mode go through these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from crnn.torch.gated import cell_of

__all__ = ["equations", "gated_equations", "gated_states", "states", "steps"]

#: The states after a step, from z = Wax x + b_ih, the states before it, W' = Waa' and b_hh.
Step = Callable[[Tensor, tuple[Tensor, ...], Tensor, Tensor | None], tuple[Tensor, ...]]


def _tanh(
    z: Tensor, before: tuple[Tensor, ...], WaaT: Tensor, _: Tensor | None
) -> tuple[Tensor, ...]:
    return (torch.addmm(z, before[0], WaaT).tanh(),)


def _relu(
    z: Tensor, before: tuple[Tensor, ...], WaaT: Tensor, _: Tensor | None
) -> tuple[Tensor, ...]:
    return (torch.addmm(z, before[0], WaaT).relu(),)


def _gru(
    z: Tensor, before: tuple[Tensor, ...], WaaT: Tensor, b_hh: Tensor | None
) -> tuple[Tensor, ...]:
    (a,) = before
    of_state = a @ WaaT if b_hh is None else torch.addmm(b_hh, a, WaaT)
    z_r, z_z, z_n = z.chunk(3, -1)
    s_r, s_z, s_n = of_state.chunk(3, -1)
    update = (z_z + s_z).sigmoid()
    new = (z_n + (z_r + s_r).sigmoid() * s_n).tanh()
    return (new + update * (a - new),)


def _lstm(
    z: Tensor, before: tuple[Tensor, ...], WaaT: Tensor, b_hh: Tensor | None
) -> tuple[Tensor, ...]:
    a, c = before
    z = torch.addmm(z, a, WaaT)
    z_i, z_f, z_g, z_o = (z if b_hh is None else z + b_hh).chunk(4, -1)
    c = z_f.sigmoid() * c + z_i.sigmoid() * z_g.tanh()
    return z_o.sigmoid() * c.tanh(), c


def equations(*inputs: Any) -> Tensor:
    """`crnn.torch.ops.rnn_forward`."""
    return _of_padded(*_of_rnn(*inputs))[0]


def gated_equations(*inputs: Any) -> tuple[Tensor, Tensor]:
    """`crnn.torch.gated.gated_forward`, without `keep`: a, and an LSTM's c_n."""
    a, *c_n = _of_padded(*_of_gated(*inputs))
    return a, c_n[0] if c_n else a.new_empty(0)


def states(*inputs: Any) -> list[Tensor]:
    """The states of each step that `equations` gives, of x (T, m, n_x) or packed rows."""
    return _states(*_of_rnn(*inputs))[0]


def gated_states(*inputs: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The same for `gated_equations`, and an LSTM's c_n in a list."""
    return _states(*_of_gated(*inputs))


def _of_rnn(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    ba: Tensor | None,
    a0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
    relu: bool,
) -> tuple[Any, ...]:
    """The arguments of `_states` from those of the operator."""
    return _relu if relu else _tanh, x, Waa, Wax, ba, None, (a0,), lengths, reverse


def _of_gated(
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    a0: Tensor | None,
    c0: Tensor | None,
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Any, ...]:
    gru = cell_of(Waa).name == "gru"
    first = (a0,) if gru else (a0, c0)
    return _gru if gru else _lstm, x, Waa, Wax, b_ih, b_hh, first, lengths, reverse


def _of_padded(
    step: Step,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    first: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[Tensor, ...]:
    """The states of all steps, (T, m, n_a) or (rows, n_a), and the last of every other state."""
    if x.dim() == 3 and lengths is not None:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices
        first = tuple(None if s is None else s[order] for s in first)
        a, *last = _of_padded(
            step, packed.data, Waa, Wax, b_ih, b_hh, first, lengths[order], reverse
        )
        packed = PackedSequence(a, packed.batch_sizes, order, back)
        a = pad_packed_sequence(packed, total_length=x.shape[0])[0]
        return a, *(s[back] for s in last)
    each, last = _states(step, x, Waa, Wax, b_ih, b_hh, first, lengths, reverse)
    return torch.stack(each) if lengths is None else torch.cat(each), *last


def _states(
    step: Step,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    b_ih: Tensor | None,
    b_hh: Tensor | None,
    given: tuple[Tensor | None, ...],
    lengths: Tensor | None,
    reverse: bool,
) -> tuple[list[Tensor], list[Tensor]]:
    z = steps(torch.nn.functional.linear(x, Wax, b_ih), lengths)
    zeros = x.new_zeros(z[0].shape[0], Waa.shape[1])
    first = tuple(zeros if s is None else s for s in given)
    WaaT, each = Waa.T, list(z)
    m = z[-1 if reverse else 0].shape[0]
    now = tuple(s[:m] for s in first)
    ended: list[tuple[Tensor, ...]] = []  # the states of examples whose steps are over
    for t in reversed(range(len(z))) if reverse else range(len(z)):
        m, before = z[t].shape[0], now[0].shape[0]
        if m < before:
            ended.append(tuple(s[m:] for s in now))
            now = tuple(s[:m] for s in now)
        elif m > before:  # examples that are read from this step on
            now = tuple(torch.cat([s, f[before:m]]) for s, f in zip(now, first, strict=True))
        now = step(z[t], now, WaaT, b_hh)
        each[t] = now[0]
    ended.append(now)
    last = [torch.cat(parts) for parts in list(zip(*reversed(ended), strict=True))[1:]]
    return each, last


def steps(rows: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
    """Each step of an array (T, m, features), or of packed rows.

    Not by indexing: the gradient of rows[t] is an array of zeros as large as all rows, for each t.
    That of unbind or split is one array for all steps. (That of a stack is indexed again.)
    """
    if lengths is None:
        return tuple(rows.unbind(0))
    packed = lengths.numpy(force=True)  # (m,), falling
    batch_sizes = (packed > np.arange(packed[0])[:, None]).sum(1)  # (T,)
    return tuple(rows.split(batch_sizes.tolist()))
