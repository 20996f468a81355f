"""What a graph makes of the states of all steps together: their mean and their maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto

from crnn._network.config import PARTS
from crnn.onnx.directions import given_attributes
from crnn.onnx.numbers import LOWEST, Rows
from crnn.onnx.parts import Cell
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph

#: What each operator gives, and the number that stands past an example's length in its input.
_OPERATORS = {"ReduceMean": ("mean", None), "ReduceMax": ("max", LOWEST), "ReduceSum": ("sum", 0)}


@dataclass(frozen=True)
class Pool:
    """The mean, the maximum or the sum of a cell's states over its valid steps, per example."""

    cell: Rows
    part: str


def reduce(graph: Graph, node: NodeProto, value: Any, axes: Any = None) -> Array:
    """The mean, the maximum or the sum of states over time."""
    given = given_attributes(node)
    axes = given.get("axes", axes)  # an attribute before opset 18, and of ReduceSum before 13
    numbers = value.numbers
    axis = None if axes is None or np.size(axes) != 1 else int(np.ravel(axes)[0])
    if axis is None or axis % numbers.ndim == numbers.ndim - 1:
        raise ValueError(f"axes: expected that of the steps, got {axes}")
    part, past = _OPERATORS[node.op_type]
    moved = np.moveaxis(numbers, axis, 0)  # (steps, ..., n)
    found, k = [], 0
    while k < moved.shape[-1]:
        cell = graph.ledger.owner(int(moved[..., k].max()))
        if cell is None or not isinstance(cell.of, Cell) or k + cell.width > moved.shape[-1]:
            raise ValueError("expected the states of a cell")
        example = _example(graph, cell, moved[..., k : k + cell.width], past)
        pool = graph.ledger.rows(graph.m, cell.width, Pool(cell, part))
        found.append(pool.numbers[example])
        k += cell.width
    pooled = np.concatenate(found, axis=-1)
    return np.expand_dims(pooled, axis) if given.get("keepdims", 1) else pooled


def _example(graph: Graph, cell: Rows, states: Array, past: int | None) -> Array:
    """Of which example the states (steps, ..., n_a) of a cell are; each valid step comes once."""
    absent = states == past if past is not None else np.zeros(states.shape, bool)
    row = ((states[..., 0] - cell.first) // cell.width).clip(0, cell.count - 1)  # (steps, ...)
    fits = np.where(absent, states, cell.numbers[row]) == states
    steps = np.where(absent[..., 0], -1, row // graph.m)  # -1 where there is none
    example: Array = np.where(absent[..., 0], -1, row % graph.m).max(axis=0)  # (...)
    same = absent[..., 0] | (row % graph.m == example)
    count = graph.valid.sum(axis=0)[example]  # (...)
    order = np.arange(len(states)).reshape(-1, *(1,) * example.ndim) - len(states) + count
    each_once = np.array_equal(np.sort(steps, axis=0), np.where(order >= 0, order, -1))
    if not (fits.all() and same.all() and each_once and count.max() <= len(states)):
        raise ValueError("expected every valid step of each example once, and no other")
    return example


def divide(graph: Graph, node: NodeProto, value: Any, count: Any) -> Array:
    """The mean: a sum divided by the number of valid steps."""
    found = graph.ledger.whole_rows(getattr(value, "numbers", np.zeros((1, 1), int)))
    if found is None or any(getattr(rows.of, "part", None) != "sum" for rows, _ in found):
        raise ValueError("crnn.RNN has no such operator after its input")
    lengths = graph.valid.sum(axis=0)
    expected = [np.repeat(lengths[which][..., None], rows.width, -1) for rows, which in found]
    whole = np.concatenate(expected, axis=-1)
    if not isinstance(count, np.ndarray) or (np.broadcast_to(count, whole.shape) != whole).any():
        raise ValueError("expected the number of valid steps of each example as divisor")
    means = [
        graph.ledger.rows(rows.count, rows.width, replace(rows.of, part="mean")).numbers[which]
        for rows, which in found
    ]
    return np.concatenate(means, axis=-1)


def features(graph: Graph, found: list[tuple[Rows, Array]]) -> tuple[list[Rows], str, Array]:
    """The cells, the `steps` of a model and the examples of features that have pools among them."""
    of = [("last" if isinstance(rows.of, Cell) else rows.of.part) for rows, _ in found]
    parts = tuple(dict.fromkeys(of))
    steps = next((steps for steps, own in PARTS.items() if own == parts), None)
    n = len(found) // max(len(parts), 1)
    cells = [rows if isinstance(rows.of, Cell) else rows.of.cell for rows, _ in found]
    if (
        steps is None
        or of != [part for part in parts for _ in range(n)]
        or any(cell is not cells[k % n] for k, cell in enumerate(cells))
    ):
        raise ValueError(
            "expected the mean or the maximum of the states over time, or the last state, the mean "
            f"and the maximum side by side, of all directions each, got {of}"
        )
    which = found[-1][1]
    for k, (_, own) in enumerate(found):
        if of[k] == "last":
            own = graph.places([found[k]])[1]
        if not np.array_equal(own, which):
            raise ValueError("expected features of the same example side by side")
    return cells[:n], steps, which


#: By operator.
READERS: dict[str, Callable[..., Array]] = {**dict.fromkeys(_OPERATORS, reduce), "Div": divide}
