"""The layers of a graph, from the bottom one to the output layer, and the model that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto

from crnn._engine import validate
from crnn._network.losses import chosen
from crnn.model import Config
from crnn.onnx import states
from crnn.onnx.graph import Graph
from crnn.onnx.inputs import Inputs
from crnn.onnx.links import LOSS_OF_LINK
from crnn.onnx.numbers import Rows
from crnn.onnx.parts import Cell, Followed, Linear
from crnn.reference import Array

_ENDS = {
    "softmax": "a softmax",
    "sigmoid": "a sigmoid",
    "mean and deviation": "means and standard deviations",
}


@dataclass
class Read:
    """The result of reading the graph once, from the bottom layer to the output layer."""

    layers: list[list[Cell]]
    linear: Linear
    table: Array | None  # in which the integers of x are looked up

    def config(self, loss: Any) -> Config:
        """The configuration; the loss is the graph's own by default."""
        cells, linear = self.layers[0], self.linear
        loss = LOSS_OF_LINK[linear.link] if loss is None else loss
        if linear.link not in ("linear", chosen(loss).link):
            raise ValueError(
                f"loss: expected {LOSS_OF_LINK[linear.link]!r}, the graph ends with "
                f"{_ENDS[linear.link]}, got {validate.shown(loss)}"
            )
        one = "reverse" if cells[0].reverse else "forward"
        return Config(
            n_x=cells[0].Wax.shape[1] if self.table is None else len(self.table),
            n_a=cells[0].Waa.shape[1],
            n_y=len(linear.by),
            num_layers=len(self.layers),
            direction="bidirectional" if len(cells) == 2 else one,
            activation=cells[0].activation,
            steps=linear.steps,
            loss=loss,
            dtype=cells[0].Waa.dtype.name,
            cell=cells[0].kind,
        )

    def parameters(self) -> dict[str, Array]:
        """The parameters by crnn's names."""
        found = {"Wya": self.linear.Wya, "by": self.linear.by}
        cells = [cell for layer in self.layers for cell in layer]
        for cell, recurrence in zip(cells, self.config(None).recurrences(), strict=True):
            Wax = cell.Wax
            if self.table is not None and recurrence.layer == 0:
                Wax = Wax @ self.table.T
            own = {"Waa": cell.Waa, "Wax": Wax, "ba": cell.ba}
            found |= recurrence.named(own if cell.baa is None else {**own, "baa": cell.baa})
        return found

    def dtypes(self) -> set[np.dtype[Any]]:
        """Of all weights and the table."""
        arrays = [self.linear.Wya, self.linear.by, *([] if self.table is None else [self.table])]
        arrays += [cell.Waa for cells in self.layers for cell in cells]
        return {a.dtype for a in arrays}

    def same(self, other: Read) -> bool:
        """Whether both readings gave the same model."""
        theirs = other.parameters()
        return self.config(None) == other.config(None) and all(
            np.array_equal(value, theirs[name], equal_nan=True)
            for name, value in self.parameters().items()
        )


def read(model: ModelProto, inputs: Inputs, probe: tuple[int, int]) -> Read:
    """Follow the graph with an input of the probe's sizes, or of its own sizes if fixed."""
    shape = tuple(
        size if size is not None else probe[axis] for axis, size in enumerate(inputs.shape)
    )
    lengths = None
    known = {}
    if inputs.lengths is not None:
        T, m = shape[1 - inputs.m_axis], shape[inputs.m_axis]
        lengths = T - 1 - np.arange(m) % (T - 1) if T > 1 else np.ones(m, int)
        known[inputs.lengths] = lengths
    sizes = dict(zip(inputs.names, shape[:2], strict=True))
    most = model.ByteSize()
    initial = {value.name: states.shape_of(value, sizes, most) for value in inputs.states}
    graph = Graph(model, inputs.x, inputs.dtype is None, shape, known, lengths, initial)
    y_hat, *others = (output.name for output in model.graph.output)
    linear = _output_layer(graph, graph.values[y_hat])
    layers, table = _layers(linear)
    cells = [cell for layer in layers for cell in layer]
    states.check(graph, cells, {name: graph.values[name] for name in others})
    found = Read(layers, linear, table)
    dtypes = sorted(str(dtype) for dtype in {*inputs.dtypes(), *found.dtypes()})
    if len(dtypes) > 1:
        raise ValueError(f"{inputs.x}: expected the dtype of all weights, got {', '.join(dtypes)}")
    return found


def _output_layer(graph: Graph, output: Any) -> Linear:
    """The output layer whose answers, in their original order, are the graph's output."""
    if isinstance(output, Followed):
        numbers = output.numbers
        rows = graph.ledger.owner(int(numbers.max()))  # those past an example's length are 0
        if rows is not None and isinstance(rows.of, Linear):
            if rows.of.steps != "all":
                orders, expected, valid = [numbers], rows.numbers, np.ones((graph.m, 1), bool)
            else:
                orders = [numbers, numbers.swapaxes(0, 1)] if numbers.ndim == 3 else []
                expected = rows.numbers.reshape(graph.T, graph.m, rows.width)
                valid = graph.valid[..., None]
            for found in orders:
                if found.shape == expected.shape and not ((found != expected) & valid).any():
                    return rows.of
    raise ValueError(
        "output: expected the output layer's answers, one per example or per step and example"
    )


def _layers(linear: Linear) -> tuple[list[list[Cell]], Array | None]:
    """The cells by layer, from the bottom, and the table of the input."""
    layers: list[list[Cell]] = []
    below: list[Rows] = linear.below
    while isinstance(below[0].of, Cell):
        cells = [rows.of for rows in below]
        layers.insert(0, cells)
        if [cell.reverse for cell in cells] not in ([False], [True], [False, True]):
            raise ValueError(
                "RNN: expected one direction, or forward and reverse side by side, in every layer"
            )
        if any(cell.below != cells[0].below for cell in cells):
            raise ValueError("RNN: expected both directions to read the same layer")
        below = cells[0].below
    kinds = {
        (len(cells), cells[0].reverse, cell.Waa.shape, cell.activation, cell.kind)
        for cells in layers
        for cell in cells
    }
    if len(kinds) != 1:
        raise ValueError(
            "RNN: expected one direction, hidden_size, activation and operator in all layers"
        )
    return layers, below[0].of.table
