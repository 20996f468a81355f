"""The integers of x: how a graph makes them the rows that the first layer reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from crnn.onnx.directions import given_attributes
from crnn.onnx.parts import Followed, Input, Symbols
from crnn.onnx.tensors import dtype_of
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph


def one_hot(graph: Graph, node: NodeProto, indices: Any, depth: Any, values: Any) -> Array:
    """One-hot rows."""
    which = _symbols(graph, indices)
    axis = given_attributes(node).get("axis", -1)
    if axis not in (-1, which.ndim) or [*values] != [0, 1]:
        raise ValueError("expected rows of 0 and 1 along the last axis")
    return _rows_of_input(graph, which, int(np.ravel(depth)[0]), None)


def gather(graph: Graph, node: NodeProto, table: Any, indices: Any) -> Array:
    """Rows of a table: an embedding."""
    which = _symbols(graph, indices)
    axis = given_attributes(node).get("axis", 0)
    if isinstance(table, Followed) or table.ndim != 2 or axis != 0:
        raise ValueError("expected rows of a constant table")
    return _rows_of_input(graph, which, table.shape[1], table)


def cast(graph: Graph, node: NodeProto, value: Any) -> Array:
    """The same integers in another dtype."""
    kind = dtype_of("to", given_attributes(node)["to"]).kind
    _symbols(graph, value)
    if kind not in "iu":
        raise ValueError("expected the integers of x to stay integers")
    return value.numbers  # type: ignore[no-any-return]


def _symbols(graph: Graph, indices: Any) -> Array:
    """The index of the integer of x at each position."""
    if not isinstance(indices, Followed):
        raise ValueError("expected indices that are the integers of x, got constants")
    found = graph.ledger.whole_rows(indices.numbers[..., None])
    if found is None or not isinstance(found[0][0].of, Symbols):
        raise ValueError("expected indices that are the integers of x")
    return found[0][1]


def _rows_of_input(graph: Graph, which: Array, n_x: int, table: Array | None) -> Array:
    rows = graph.ledger.rows(graph.sizes[0] * graph.sizes[1], n_x, Input(table))
    return rows.numbers[which]


#: By operator.
READERS: dict[str, Callable[..., Array]] = {"Cast": cast, "Gather": gather, "OneHot": one_hot}
