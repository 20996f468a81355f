"""The output layer of a graph: ``Wya a + by``, and which of its answers count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from crnn.onnx import links, pools
from crnn.onnx.directions import given_attributes
from crnn.onnx.numbers import LOWEST
from crnn.onnx.parts import Cell, Followed, Linear
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph


def gemm(graph: Graph, node: NodeProto, A: Any, B: Any, C: Any = None) -> Array:
    """``alpha A B + beta C``."""
    given = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0, **given_attributes(node)}
    if given["transA"]:
        raise ValueError("transA: expected 0")
    B = B if isinstance(B, Followed) or not given["transB"] else B.T
    logits = matmul(graph, node, A, B, given["alpha"])
    return logits if C is None else add(graph, node, Followed(logits), C, given["beta"])


def matmul(graph: Graph, node: NodeProto, A: Any, B: Any, alpha: float = 1.0) -> Array:
    """``Wya a``."""
    if not isinstance(A, Followed) or isinstance(B, Followed) or B.ndim != 2:
        raise ValueError("expected states times a constant matrix")
    if len(B) != A.numbers.shape[-1]:
        raise ValueError(f"expected a matrix for {A.numbers.shape[-1]} states, got {len(B)} rows")
    found = graph.ledger.whole_rows(A.numbers)
    if found is None or not all(isinstance(rows.of, (Cell, pools.Pool)) for rows, _ in found):
        raise ValueError("expected the states of the top layer, the directions side by side")
    if any(isinstance(rows.of, pools.Pool) for rows, _ in found):
        below, steps, which = pools.features(graph, found)
    else:
        below = [rows for rows, _ in found]
        steps, which = graph.places(found)
    Wya = B.T if alpha == 1.0 else B.T * B.dtype.type(alpha)
    linear = Linear(below, steps, Wya, np.zeros(len(Wya), Wya.dtype))
    count = graph.T * graph.m if steps == "all" else graph.m
    return graph.ledger.rows(count, len(Wya), linear).numbers[which]


def add(graph: Graph, node: NodeProto, a: Any, b: Any, beta: float = 1.0) -> Array:
    """``Wya a + by``."""
    value, constant = (a, b) if isinstance(a, Followed) else (b, a)
    rows, which = graph.answers(value, "Wya a<t>")
    if (
        isinstance(constant, Followed)
        or constant.size not in (1, rows.width)
        or constant.shape[:-1] != (1,) * (constant.ndim - 1)
        or constant.ndim > which.ndim + 1
    ):
        raise ValueError("expected a constant of one number per output")
    if constant.dtype != rows.of.by.dtype:
        raise ValueError(f"expected {rows.of.by.dtype} as in Wya, got {constant.dtype}")
    by = rows.of.by + constant.dtype.type(beta) * constant.reshape(-1)
    return graph.ledger.rows(rows.count, rows.width, replace(rows.of, by=by)).numbers[which]


def where(graph: Graph, node: NodeProto, condition: Any, a: Any, b: Any) -> Array:
    """Zeros or -inf past an example's length; or standard deviations among means."""
    if isinstance(b, Followed) and not isinstance(condition, Followed):
        return links.where(graph, node, condition, a, b)
    constants = not isinstance(condition, Followed) and not isinstance(b, Followed)
    if constants and np.isneginf(b).all():
        return np.where(condition, a.numbers, LOWEST)
    if not constants or b.any():
        raise ValueError(
            "expected values of the model where a constant condition holds, else 0 or -inf"
        )
    return np.where(condition, a.numbers, 0)


#: By operator.
READERS: dict[str, Callable[..., Array]] = {
    "Add": add, "Gemm": gemm, "MatMul": matmul, "Where": where,
}  # fmt: skip
