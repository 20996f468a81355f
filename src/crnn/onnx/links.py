"""What a graph makes of its logits: a softmax, a sigmoid, or means and standard deviations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from crnn.onnx.directions import given_attributes
from crnn.onnx.numbers import Rows
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph

#: The loss of a graph whose metadata do not name one, by its link (see `crnn._network.losses`).
LOSS_OF_LINK = {
    "linear": "mse",
    "softmax": "cross_entropy",
    "sigmoid": "binary_cross_entropy",
    "mean and deviation": "gaussian_nll",
}


@dataclass(frozen=True)
class Deviations:
    """Half of the log variances, or their exponentials, in place of the logits' second half."""

    logits: Rows
    exponential: bool


def softmax(graph: Graph, node: NodeProto, value: Any) -> Array:
    """The probabilities of classes."""
    rows, which = graph.answers(value, "logits")
    axis = given_attributes(node).get("axis", -1 if graph.opset >= 13 else 1)
    if axis not in (-1, which.ndim):
        raise ValueError(f"axis: expected that of the outputs, the last, got {axis}")
    return _linked(graph, rows, which, "softmax")


def sigmoid(graph: Graph, node: NodeProto, value: Any) -> Array:
    """The probabilities of labels."""
    return _linked(graph, *graph.answers(value, "logits"), "sigmoid")


def mul(graph: Graph, node: NodeProto, a: Any, b: Any) -> Array:
    """Half of the log variances."""
    value, factor = _constant_second(a, b)
    rows, which = graph.answers(value, "logits")
    n = rows.width
    half = np.broadcast_to(factor, (*which.shape, n))[..., n // 2 :]
    if n % 2 or (half != 0.5).any():
        raise ValueError("expected half of the log variances, which are the logits' second half")
    return _new(graph, rows, which, Deviations(rows, False))


def exp(graph: Graph, node: NodeProto, value: Any) -> Array:
    """The standard deviations."""
    rows, which = _deviations(graph, value, False)
    return _new(graph, rows, which, replace(rows.of, exponential=True))


def where(graph: Graph, node: NodeProto, condition: Any, a: Any, b: Any) -> Array:
    """The means among the logits b, and the standard deviations."""
    rows, which = _deviations(graph, a, True)
    logits, same = graph.answers(b, "logits")
    n = rows.width
    are = np.broadcast_to(condition, (*which.shape, n))
    if (
        logits is not rows.of.logits
        or (same != which).any()
        or (are != (np.arange(n) >= n // 2)).any()
    ):
        raise ValueError("expected the means and then the standard deviations of the same logits")
    return _linked(graph, logits, which, "mean and deviation")


def _linked(graph: Graph, rows: Rows, which: Array, link: str) -> Array:
    return _new(graph, rows, which, replace(rows.of, link=link))


def _new(graph: Graph, rows: Rows, which: Array, of: Any) -> Array:
    return graph.ledger.rows(rows.count, rows.width, of).numbers[which]


def _constant_second(a: Any, b: Any) -> tuple[Any, Array]:
    value, constant = (b, a) if isinstance(a, np.ndarray) else (a, b)
    if not isinstance(constant, np.ndarray):
        raise ValueError("expected a constant and logits")
    return value, constant


def _deviations(graph: Graph, value: Any, exponential: bool) -> tuple[Rows, Array]:
    found = graph.ledger.whole_rows(value.numbers)
    if found is None or not isinstance(found[0][0].of, Deviations):
        raise ValueError("crnn.RNN has no such operator after its input")
    if found[0][0].of.exponential is not exponential:
        raise ValueError("expected exp(v / 2) of the log variances v")
    return found[0]


#: By operator. A graph of crnn's for a Gaussian has Mul, Exp and Where.
READERS: dict[str, Callable[..., Array]] = {
    "Exp": exp, "Mul": mul, "Sigmoid": sigmoid, "Softmax": softmax,
}  # fmt: skip
