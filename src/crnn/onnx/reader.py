"""ONNX to crnn: models of crnn's own and of other exporters."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, checker, helper

import crnn
from crnn.onnx.graph import Cell, Followed, Graph, Linear
from crnn.onnx.numbers import Rows
from crnn.onnx.writer import CONFIG
from crnn.reference import Array

#: Sizes that stand for symbolic axes: the graph is read twice, and must say the same.
_PROBES = ((5, 3), (7, 4))


def from_onnx(
    model: ModelProto | bytes | str | os.PathLike[str], *, loss: str | None = None
) -> crnn.RNN:
    """Read a model: layers of ONNX's operator RNN, and an output layer.

    Parameters
    ----------
    model : onnx.ModelProto, bytes, or path
        From `to_onnx` or any other exporter. Its first axes may be (T, m) or (m, T), fixed or
        symbolic; x may be integers that are one-hot rows or rows of a table (an embedding, which
        becomes part of Wax).
    loss : {"cross_entropy", "mse"}, optional
        By default cross entropy where the graph ends with a softmax, else mse. "cross_entropy" says
        that a graph without a softmax ends with logits.

    Returns
    -------
    crnn.RNN
        It reads (T, m, n_x) or (T, m), time first, whatever the graph's order. Its metadata are the
        model's metadata_props.

    Raises
    ------
    ValueError
        Where the model is not valid ONNX, or is no crnn.RNN: the message names the node, the
        attribute or the input that does not fit.
    TypeError
        Where `model` is of another type.
    OSError
        Where the file cannot be read.

    Notes
    -----
    A crnn.RNN starts from zeros, answers from the last valid state of each direction or at every
    step, and has one activation and one hidden size; graphs with an initial_h that is not zero,
    with clip, with other activations or more outputs are refused. So are graphs without the
    operator: torch writes it only with ``torch.onnx.export(..., dynamo=False)``.

    Examples
    --------
    >>> import crnn
    >>> from crnn.onnx import from_onnx, to_onnx
    >>> model = crnn.RNN(3, 8, 2, num_layers=2, direction="bidirectional", rng=0)
    >>> from_onnx(to_onnx(model)).config == model.config
    True
    """
    if loss not in (None, "cross_entropy", "mse"):
        raise ValueError(f"loss: expected 'cross_entropy' or 'mse', got {loss!r}")
    proto = _loaded(model)
    inputs = _Inputs.of(proto)
    if len(proto.graph.output) != 1:
        names = [output.name for output in proto.graph.output]
        raise ValueError(f"outputs: expected one, y_hat, got {names}")
    if not any(node.op_type == "RNN" for node in proto.graph.node):
        raise ValueError(
            "no RNN node in the graph (torch.onnx.export writes one with dynamo=False; without it "
            "the steps are unrolled)"
        )
    first, second = (_read(proto, inputs, probe) for probe in _PROBES)
    if not first.same(second):
        raise ValueError("the graph depends on the sizes of its input beyond what an RNN does")
    read = first.model(loss)
    _take_metadata(read, proto)
    return read


def _loaded(model: Any) -> ModelProto:
    try:
        if isinstance(model, (str, os.PathLike)):
            proto = onnx.load(model)
        elif isinstance(model, bytes):
            proto = onnx.load_model_from_string(model)
        elif isinstance(model, ModelProto):
            proto = model
        else:
            raise TypeError(
                f"model: expected a ModelProto, bytes or a path, got {type(model).__name__}"
            )
        checker.check_model(proto)
    except (DecodeError, checker.ValidationError) as error:
        raise ValueError(f"model: not valid ONNX: {error}") from None
    return proto


@dataclass
class _Inputs:
    """What goes into the graph."""

    x: str
    symbols: bool
    shape: list[int | None]  # of x; None where it is symbolic
    lengths: str | None
    m_axis: int  # of x, where there are lengths

    @classmethod
    def of(cls, model: ModelProto) -> _Inputs:
        """Find x by its axes, and lengths, or say which input is neither."""
        constants = {tensor.name for tensor in model.graph.initializer}
        x, lengths = None, None
        for value in model.graph.input:
            if value.name in constants:
                continue
            tensor = value.type.tensor_type
            integers = helper.tensor_dtype_to_np_dtype(tensor.elem_type).kind in "iu"
            rank = len(tensor.shape.dim)
            if x is None and rank == (2 if integers else 3):
                x = value
            elif lengths is None and integers and rank == 1:
                lengths = value
            else:
                raise ValueError(
                    f"{value.name}: expected the inputs x, floats (T, m, n_x) or integers (T, m), "
                    f"and perhaps lengths, integers (m,); got {rank} axes"
                )
        if x is None:
            raise ValueError("inputs: expected x, floats (T, m, n_x) or integers (T, m)")
        dims = list(x.type.tensor_type.shape.dim)
        shape = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
        symbols = len(shape) == 2
        if not symbols and shape[2] is None:
            raise ValueError(f"{x.name}: expected a known n_x, got a symbolic third axis")
        m_axis = 1
        if lengths is not None and lengths.type.tensor_type.shape.dim[0] == dims[0] != dims[1]:
            m_axis = 0
        return cls(x.name, symbols, shape, lengths.name if lengths is not None else None, m_axis)


@dataclass
class _Read:
    """What one reading of the graph found, from the bottom layer to the output layer."""

    layers: list[list[Cell]]
    linear: Linear
    table: Array | None

    def same(self, other: _Read) -> bool:
        """Whether the other reading found the same."""
        mine, theirs = self.model(None), other.model(None)
        return mine.config == theirs.config and all(
            np.array_equal(value, theirs.parameters[name], equal_nan=True)
            for name, value in mine.parameters.items()
        )

    def model(self, loss: str | None) -> crnn.RNN:
        """Build the model."""
        cells, linear = self.layers[0], self.linear
        if loss == "mse" and linear.softmax:
            raise ValueError("loss: expected 'cross_entropy' of a graph that ends with a softmax")
        direction = (
            "bidirectional" if len(cells) == 2 else "reverse" if cells[0].reverse else "forward"
        )
        first_Wax = [cell.Wax if self.table is None else cell.Wax @ self.table.T for cell in cells]
        model = crnn.RNN(
            first_Wax[0].shape[1],
            len(cells[0].Waa),
            len(linear.by),
            num_layers=len(self.layers),
            direction=direction,
            activation=cells[0].activation,
            steps=linear.steps,
            loss=loss or ("cross_entropy" if linear.softmax else "mse"),
            dtype=cells[0].Waa.dtype,
            rng=0,
        )
        flat = [cell for layer in self.layers for cell in layer]
        for k, (cell, place) in enumerate(zip(flat, model.config.cells(), strict=True)):
            model.parameters["Waa" + place.suffix] = cell.Waa
            model.parameters["Wax" + place.suffix] = first_Wax[k] if k < len(cells) else cell.Wax
            model.parameters["ba" + place.suffix] = cell.ba
        model.parameters["Wya"] = linear.Wya
        model.parameters["by"] = linear.by
        return model


def _read(model: ModelProto, inputs: _Inputs, probe: tuple[int, int]) -> _Read:
    """Follow the graph for an input of the probe's sizes, or of its own where they are fixed."""
    shape = tuple(
        size if size is not None else probe[axis] for axis, size in enumerate(inputs.shape)
    )
    lengths = None
    known = {}
    if inputs.lengths is not None:
        T, m = shape[1 - inputs.m_axis], shape[inputs.m_axis]
        lengths = T - np.arange(m) % T  # from T down, and once more
        known[inputs.lengths] = lengths
    graph = Graph(model, inputs.x, inputs.symbols, shape, known, lengths)
    linear = _output_layer(graph, graph.values[model.graph.output[0].name])
    layers, table = _layers(linear)
    return _Read(layers, linear, table)


def _output_layer(graph: Graph, output: Any) -> Linear:
    """The output layer whose answers, each at its place, are the graph's output."""
    if isinstance(output, Followed) and output.numbers.size:
        numbers = output.numbers
        rows = graph.ledger.owner(int(numbers.max()))
        if rows is not None and isinstance(rows.of, Linear):
            if rows.of.steps == "last" and np.array_equal(numbers, rows.numbers):
                return rows.of
            n = graph.lengths
            every_step = rows.of.steps == "all" and numbers.ndim == 3
            expected = rows.numbers.reshape(graph.T, graph.m, -1) if every_step else np.zeros(0)
            for found in (numbers, numbers.swapaxes(0, 1)) if every_step else ():
                if found.shape == expected.shape:
                    valid = np.arange(graph.T)[:, None] < (graph.T if n is None else n)
                    valid = np.broadcast_to(valid, expected.shape[:2])
                    if np.array_equal(found[valid], expected[valid]):
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
        (tuple(c.reverse for c in cells), cells[0].Waa.shape, c.activation, c.Waa.dtype)
        for cells in layers
        for c in cells
    }
    if len(kinds) != 1 or len({c.Waa.shape for cells in layers for c in cells}) != 1:
        raise ValueError(
            "RNN: expected one direction, hidden size and activation for all layers, "
            f"got {len(kinds)} kinds"
        )
    return layers, below[0].of.table


def _take_metadata(read: crnn.RNN, model: ModelProto) -> None:
    """Copy metadata_props; the configuration among them must be the graph's."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    config = properties.pop(CONFIG, None)
    if config is not None:
        try:
            said = json.loads(config)
        except ValueError:
            said = config
        found = asdict(read.config)
        if said != found:
            raise ValueError(f"metadata_props: {CONFIG!r} says {said}, the graph is {found}")
    read.metadata.update(properties)
