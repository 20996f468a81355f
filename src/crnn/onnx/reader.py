"""Reads ONNX models that crnn or another exporter has written."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, checker

import crnn
from crnn import files
from crnn._engine import validate
from crnn._network.losses import chosen
from crnn._words import one_line
from crnn.model import Config
from crnn.onnx.graph import Cell, Followed, Graph, Linear
from crnn.onnx.links import LOSS_OF_LINK
from crnn.onnx.numbers import Rows
from crnn.onnx.tensors import dtype_of
from crnn.onnx.writer import CONFIG
from crnn.reference import Array

_ENDS = {
    "softmax": "a softmax",
    "sigmoid": "a sigmoid",
    "mean and deviation": "means and standard deviations",
}
#: Sizes for symbolic axes. The graph is read with both, and must give the same model.
_PROBES = ((5, 3), (7, 4))


def from_onnx(model: ModelProto | bytes | str | os.PathLike[str], *, loss: Any = None) -> crnn.RNN:
    """Read a model: layers of ONNX's operator RNN, GRU or LSTM, and an output layer.

    Parameters
    ----------
    model : onnx.ModelProto, bytes, or path
        From `to_onnx` or any other exporter. Its first axes may be (T, m) or (m, T), fixed or
        symbolic; x may be integers that are one-hot rows or rows of a table (an embedding, which
        becomes part of Wax).
    loss : optional
        As for `crnn.RNN`. By default that of the metadata, if crnn wrote the model; else
        "cross_entropy" if the graph ends with a softmax, "binary_cross_entropy" if it ends with a
        sigmoid, and "mse" if it has neither. The output of a graph that has neither may also be the
        logits of any other loss. A model with a loss of its own cannot be read without it.

    Returns
    -------
    crnn.RNN
        It reads (T, m, n_x) or (T, m), time first, even if the graph has another order. Its
        metadata are the model's metadata_props.

    Raises
    ------
    ValueError
        If the model is not valid ONNX, or is not a crnn.RNN: the message names the node, the
        attribute or the input that does not fit.
    TypeError
        If `model` is of another type.
    OSError
        If the file cannot be read.

    Notes
    -----
    A crnn.RNN starts from zeros, answers from the last valid state of each direction, from the mean
    or the maximum of the valid states (ReduceMean, ReduceMax), from all three side by side, or at
    every step, and has one activation and one hidden size. Graphs with an initial_h that is not
    zero, with clip, with other activations or with more outputs are refused. So is a GRU with
    ``linear_before_reset=0``, which has another equation, and a graph without these operators:
    torch writes them only with ``torch.onnx.export(..., dynamo=False)``.

    A graph that reads the last step of both directions, as torch's ``out[:, -1]``, is refused too:
    the backward direction's final state is at step 0. Export it without that selection, which gives
    ``steps="all"``, and take the last step of the answer. A softmax over one class is always 1, and
    is refused: a binary classifier with one logit ends with a sigmoid.

    Examples
    --------
    >>> import crnn
    >>> from crnn.onnx import from_onnx, to_onnx
    >>> model = crnn.RNN(3, 8, 2, num_layers=2, direction="bidirectional", rng=0)
    >>> from_onnx(to_onnx(model)).config == model.config
    True
    """
    if loss is not None:
        chosen(loss)
    proto = _loaded(model)
    inputs = _Inputs.of(proto)
    if len(proto.graph.output) != 1:
        names = [output.name for output in proto.graph.output]
        raise ValueError(f"outputs: expected one, y_hat, got {names}")
    operators = {node.op_type for node in proto.graph.node}
    if not operators & {"RNN", "GRU", "LSTM"}:
        raise ValueError(
            "no RNN, GRU or LSTM node in the graph (torch.onnx.export writes one with "
            "dynamo=False; without it the steps are unrolled)"
        )
    first, second = (_read(proto, inputs, probe) for probe in _PROBES)
    if not first.same(second):
        raise ValueError("the graph's model depends on the number of steps or examples")
    metadata, of_training = _metadata(first.config(None), proto)
    said_loss = of_training.pop("loss", None)
    config = first.config(said_loss if loss is None else loss)
    read = crnn.RNN(**{**config.arguments(), **of_training}, rng=0)
    for name, value in first.parameters().items():
        read.parameters[name] = value
    read.metadata.update(metadata)
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
        raise ValueError(f"model: not valid ONNX: {one_line(error)}") from None
    return proto


@dataclass
class _Inputs:
    """The inputs of the graph."""

    x: str
    dtype: np.dtype[Any] | None  # of x; None for integers, which stand for one-hot rows
    shape: list[int | None]  # of x; None if symbolic
    lengths: str | None
    m_axis: int  # of x, if there are lengths

    @classmethod
    def of(cls, model: ModelProto) -> _Inputs:
        """Find x and lengths by their axes; raise ValueError for an input that is neither."""
        constants = {tensor.name for tensor in model.graph.initializer}
        x, lengths = None, None
        for value in model.graph.input:
            if value.name in constants:
                continue
            tensor = value.type.tensor_type
            if not value.type.HasField("tensor_type"):
                raise ValueError(f"{value.name}: expected a tensor")
            integers = dtype_of(value.name, tensor.elem_type).kind in "iu"
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
        shape = [_size(dim) for dim in dims]
        if any(size is not None and size < 1 for size in shape):
            raise ValueError(f"{x.name}: expected axes of at least 1, got {shape}")
        dtype = None if len(shape) == 2 else dtype_of(x.name, x.type.tensor_type.elem_type)
        if dtype is not None and shape[2] is None:
            raise ValueError(f"{x.name}: expected a known n_x, got a symbolic third axis")
        if lengths is None:
            return cls(x.name, dtype, shape, None, 1)
        of_lengths = lengths.type.tensor_type.shape.dim[0]
        m_axis = 0 if of_lengths == dims[0] != dims[1] else 1
        if None not in (shape[m_axis], _size(of_lengths)) and of_lengths != dims[m_axis]:
            raise ValueError(
                f"{lengths.name}: expected {shape[m_axis]} numbers, one for each example, got "
                f"{_size(of_lengths)}"
            )
        return cls(x.name, dtype, shape, lengths.name, m_axis)


def _size(dim: Any) -> int | None:
    """The size of an axis, or None if it is symbolic."""
    return dim.dim_value if dim.HasField("dim_value") else None


@dataclass
class _Read:
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

    def same(self, other: _Read) -> bool:
        """Whether both readings gave the same model."""
        theirs = other.parameters()
        return self.config(None) == other.config(None) and all(
            np.array_equal(value, theirs[name], equal_nan=True)
            for name, value in self.parameters().items()
        )


def _read(model: ModelProto, inputs: _Inputs, probe: tuple[int, int]) -> _Read:
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
    graph = Graph(model, inputs.x, inputs.dtype is None, shape, known, lengths)
    linear = _output_layer(graph, graph.values[model.graph.output[0].name])
    layers, table = _layers(linear)
    read = _Read(layers, linear, table)
    dtypes = sorted(str(dtype) for dtype in {inputs.dtype, *read.dtypes()} - {None})
    if len(dtypes) > 1:
        raise ValueError(f"{inputs.x}: expected the dtype of all weights, got {', '.join(dtypes)}")
    return read


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


def _metadata(config: Config, model: ModelProto) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata_props without the configuration, and what no graph has: dropout and loss.

    The rest of the configuration must agree with the graph, and the loss with its end.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    for text in (*properties, *properties.values()):
        if not isinstance(text, str):  # as protobuf gives what is not UTF-8
            raise ValueError(f"metadata_props: expected UTF-8, got {validate.shown(text)}")
    text, found = properties.pop(CONFIG, "{}"), config.arguments()
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    try:
        files.check_entries(said)
    except ValueError as error:
        raise ValueError(f"metadata_props: {CONFIG} is {one_line(text)}: {error}") from None
    of_training = {name: said[name] for name in ("dropout", "loss") if name in said}
    loss = of_training.get("loss", config.loss)
    own = isinstance(loss, dict) and set(loss) == {"own"}  # whose y_hat is the logits
    fits = own or chosen(loss).link == config.objective.link
    if {**found, **said} != {**found, **of_training} or not fits:
        entries = json.dumps(config.entries())
        raise ValueError(f"metadata_props: {CONFIG} is {one_line(text)}, the graph's is {entries}")
    return properties, of_training
