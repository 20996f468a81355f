"""The operators RNN, GRU and LSTM in a graph: each direction becomes a `Cell`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from crnn.onnx import gated, rnn, states
from crnn.onnx.numbers import Rows
from crnn.onnx.parts import Cell, Followed, Input, LastCell
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph


def recurrence(
    graph: Graph,
    node: NodeProto,
    X: Any,
    W: Any,
    R: Any,
    B: Any = None,
    sequence_lens: Any = None,
    *initial: Any,
) -> tuple[Array, ...]:
    """Y, Y_h and Y_c."""
    if any(isinstance(value, Followed) for value in (W, R, B)):
        raise ValueError("W, R, B: expected constants")
    module: Any = rnn if node.op_type == "RNN" else gated
    batch_first, kinds = module.cells_of(node, W, R, B)
    if not isinstance(X, Followed):
        raise ValueError("X: expected the input or the states of the layer below")
    x = X.numbers.swapaxes(0, 1) if batch_first else X.numbers  # (T, m, n)
    if x.shape[2] != W.shape[2]:
        raise ValueError(f"X: expected {W.shape[2]} inputs, as W has columns, got {x.shape[2]}")
    below = _below(graph, x)
    _check_lengths(graph, sequence_lens)
    starts = states.begun(graph, node.op_type, batch_first, len(kinds), initial)
    every, last, last_c = [], [], []
    for kind, start in zip(kinds, starts, strict=True):
        cell = Cell(below, **kind, starts=start)
        n_a = cell.Waa.shape[1]
        rows = graph.ledger.rows(graph.T * graph.m, n_a, cell)
        every.append(rows.numbers.reshape(graph.T, graph.m, n_a))
        last.append(rows.numbers[graph.final_rows(cell)])
        last_c.append(graph.ledger.rows(graph.m, n_a, LastCell(cell)).numbers)
    Y = np.stack(every, axis=1)  # (T, D, m, n_a)
    Y_h, Y_c = np.stack(last), np.stack(last_c)  # (D, m, n_a)
    if batch_first:
        Y, Y_h, Y_c = Y.transpose(2, 0, 1, 3), Y_h.swapaxes(0, 1), Y_c.swapaxes(0, 1)
    return Y, Y_h, Y_c


def _below(graph: Graph, x: Array) -> list[Rows]:
    """What X (T, m, n) consists of: the input, or states of cells, in their original order."""
    T, m = x.shape[:2]
    if T == 1:
        raise ValueError("X: the graph has a single step: export it with several, or a symbolic T")
    found = graph.ledger.whole_rows(x) or []
    kinds = [type(rows.of) for rows, _ in found]
    if kinds != [Input] and set(kinds) != {Cell}:
        raise ValueError("X: expected the input or the states of the layer below, in order")
    in_order = np.arange(T * m).reshape(T, m)
    if kinds == [Input]:
        if (T, m) != graph.sizes or not np.array_equal(found[0][1], in_order):
            in_order = np.arange(T * m).reshape(m, T).T  # x has its examples first
        graph.T, graph.m = T, m
    if (T, m) != (graph.T, graph.m) or any((which != in_order).any() for _, which in found):
        raise ValueError("X: expected every step and example in its original order")
    return [rows for rows, _ in found]


def _check_lengths(graph: Graph, sequence_lens: Any) -> None:
    """Check that the node's lengths are those of the graph's input, or all T without one."""
    every_step = np.full(graph.m, graph.T)
    expected = every_step if graph.lengths is None else graph.lengths
    given = every_step if sequence_lens is None else sequence_lens
    if isinstance(given, Followed) or not np.array_equal(given, expected):
        raise ValueError("sequence_lens: expected the graph's input of lengths, or none")


#: By operator. These have several outputs, all others one.
READERS: dict[str, Callable[..., tuple[Array, ...]]] = dict.fromkeys(
    ("RNN", "GRU", "LSTM"), recurrence
)
