"""The states that a graph takes as inputs and gives as outputs: their names, and how they are read.

The reader follows them like x: each gets numbers (see `crnn.onnx.numbers`), which show where a cell
begins and which cell's final state an output is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ValueInfoProto

from crnn._network.config import Recurrence
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn.onnx.graph import Graph

BEFORE, AFTER = "0", "_n"  # the first step, the last step

#: One state of one direction: the k-th (m, n_a) of an input (m, n_a) or (k, m, n_a).
Place = tuple[str, int]


def state_names(recurrence: Recurrence, when: str) -> list[str]:
    """The names of a recurrence's states before or after the steps: "a0", "c_n_l1", ..."""
    return [state + when + recurrence.suffix for state in recurrence.cell.states]


@dataclass(frozen=True)
class Start:
    """A state that is an input; its rows are numbered by place and example."""

    name: str


def shape_of(value: ValueInfoProto, sizes: Mapping[str, int], most: int) -> tuple[int, ...]:
    """The shape of an input of states, whose symbolic axes have the names of x's axes.

    `most` is the number of bytes of the model, whose weights have more numbers than a state.
    """
    shape = []
    for dim in value.type.tensor_type.shape.dim:
        size = dim.dim_value if dim.HasField("dim_value") else sizes.get(dim.dim_param)
        if size is None:
            raise ValueError(
                f"{value.name}: expected a state, whose examples have the name that they have in "
                f"x, got an axis named {dim.dim_param!r}"
            )
        shape.append(size)
    if min(shape) < 1 or shape[-1] * math.prod(shape[:-2]) > most:
        raise ValueError(
            f"{value.name}: expected states (m, n_a) or (layers, m, n_a) of the graph's nodes, got "
            f"{shape}"
        )
    return tuple(shape)


def begun(
    graph: Graph, operator: str, batch_first: bool, D: int, initial: Sequence[Any]
) -> list[tuple[Place, ...]]:
    """Where each of the D directions of a node begins, by its states; none for zeros."""
    names = ("initial_h", "initial_c")[: 2 if operator == "LSTM" else 1]
    found = []
    for name, value in zip_longest(names, initial[: len(names)]):
        numbers = getattr(value, "numbers", None)  # None: a constant
        if numbers is not None:
            each = numbers.swapaxes(0, 1) if batch_first else numbers  # (D, m, n_a)
            found.append([_place(graph, name, direction) for direction in each])
        elif value is not None and value.any():
            raise ValueError(f"{name}: crnn.RNN starts from zeros, or from an input of the graph")
    if found and len(found) != len(names):
        raise ValueError("initial_h, initial_c: expected an input of the graph for both or neither")
    return list(zip(*found, strict=True)) if found else [()] * D


def _place(graph: Graph, name: str, numbers: Array) -> Place:
    """The input's state that these numbers (m, n_a) are."""
    rows = graph.ledger.whole_rows(numbers) or []
    if len(rows) == 1 and isinstance(rows[0][0].of, Start):
        which, m = rows[0][1], len(numbers)
        k = int(which[0]) // m
        if np.array_equal(which, k * m + np.arange(m)):
            return rows[0][0].of.name, k
    raise ValueError(f"{name}: expected an input's states of all examples in their order")


def check(graph: Graph, cells: Sequence[Any], outputs: Mapping[str, Any]) -> None:
    """Check that every cell has its own state, and that outputs return them in the same order.

    Parameters
    ----------
    graph : Graph
    cells : sequence of Cell
        Of all layers and directions.
    outputs : dict of values
        The graph's outputs after y_hat.
    """
    inputs = [(name, k) for name, count in graph.starts.items() for k in range(count)]
    owners = {place: (cell, s) for cell in cells for s, place in enumerate(cell.starts)}
    if len(owners) != sum(len(cell.starts) for cell in cells) or set(owners) != set(inputs):
        raise ValueError(
            f"inputs: expected states that one layer and direction each begins from, got "
            f"{[*graph.starts]}"
        )
    if inputs and not all(cell.starts for cell in cells):
        raise ValueError(
            "initial_h: expected all layers to begin from inputs, or all from zeros; some do"
        )
    returned = [item for name, value in outputs.items() for item in _finals(graph, name, value)]
    wanted = [owners[place] for place in inputs]
    if outputs and [(id(c), s) for c, s in returned] != [(id(c), s) for c, s in wanted]:
        raise ValueError(
            f"outputs: expected y_hat and then the states after the last step, in the order of the "
            f"inputs, or y_hat alone, got {[*outputs]} after it"
        )


def _finals(graph: Graph, name: str, value: Any) -> list[tuple[Any, int]]:
    """The cells whose final states an output (m, n_a) or (k, m, n_a) is, and which states."""
    numbers = getattr(value, "numbers", None)
    if numbers is None or numbers.ndim not in (2, 3):
        raise ValueError(f"{name}: expected states after the last step")
    found = []
    for each in numbers if numbers.ndim == 3 else numbers[None]:
        final = graph.final_state(each)
        if final is None:
            raise ValueError(f"{name}: expected states after the last step")
        found.append(final)
    return found
