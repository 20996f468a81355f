"""Floating-point operations of the operators, for `torch.utils.flop_counter.FlopCounterMode`.

The same products are counted as for torch's own RNN: forward those with x and with the states, and
backward one for each gradient. The product for the state before the first step is counted if da0 is
wanted.
"""

from __future__ import annotations

from math import prod
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from crnn.torch import gated
from crnn.torch.ops import backward_op, forward_op

Shape = tuple[int, ...]


@register_flop_formula(forward_op.overloadpacket)  # type: ignore[untyped-decorator]
def _forward(x: Shape, Waa: Shape, Wax: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(x[:-1]) * (prod(Waa) + prod(Wax))


@register_flop_formula(backward_op.overloadpacket, get_raw=True)  # type: ignore[untyped-decorator]
def _backward(
    da: Tensor,
    a: Tensor,
    x: Tensor,
    Waa: Tensor,
    Wax: Tensor,
    a0: Tensor | None,
    lengths: Any,
    reverse: bool,
    relu: bool,
    need_dx: bool,
    need_da0: bool = True,
    **_: Any,
) -> int:
    rows: int = prod(x.shape[:-1])
    m: int = x.shape[1] if x.dim() == 3 else len(lengths)
    if reverse and x.dim() == 2 and type(lengths) is Tensor:
        m = int((lengths == lengths[0]).sum())  # the longest: the others join at later steps
    through_states = rows if need_da0 else rows - m
    of_x = 2 * rows if need_dx else rows
    n_a, n_x = Wax.shape
    return int(2 * n_a * (n_a * (rows + through_states) + n_x * of_x))


@register_flop_formula(gated.forward_op.overloadpacket)  # type: ignore[untyped-decorator]
def _gated_forward(x: Shape, Waa: Shape, Wax: Shape, *_: Any, **__: Any) -> int:
    return _forward(x, Waa, Wax)  # type: ignore[no-any-return]


@register_flop_formula(gated.backward_op.overloadpacket)  # type: ignore[untyped-decorator]
def _gated_backward(
    da: Any,
    dc_n: Any,
    a: Shape,
    kept: Shape,
    x: Shape,
    Waa: Shape,
    Wax: Shape,
    a0: Any,
    c0: Any,
    lengths: Any,
    reverse: bool,
    need_dx: bool,
    **_: Any,
) -> int:
    rows = prod(x[:-1])
    return 2 * rows * (2 * prod(Waa) + (2 if need_dx else 1) * prod(Wax))
