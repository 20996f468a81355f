"""Reads ONNX models that crnn or another exporter has written."""

from __future__ import annotations

import json
import os
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, checker

import crnn
from crnn import files
from crnn._engine import validate
from crnn._network.losses import chosen
from crnn._words import one_line
from crnn.model import Config
from crnn.onnx.inputs import Inputs
from crnn.onnx.layers import read
from crnn.onnx.writer import CONFIG

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
    inputs = Inputs.of(proto)
    if len(proto.graph.output) != 1 and not inputs.states:
        names = [output.name for output in proto.graph.output]
        raise ValueError(f"outputs: expected one, y_hat, got {names}")
    operators = {node.op_type for node in proto.graph.node}
    if not operators & {"RNN", "GRU", "LSTM"}:
        raise ValueError(
            "no RNN, GRU or LSTM node in the graph (torch.onnx.export writes one with "
            "dynamo=False; without it the steps are unrolled)"
        )
    first, second = (read(proto, inputs, probe) for probe in _PROBES)
    if not first.same(second):
        raise ValueError("the graph's model depends on the number of steps or examples")
    metadata, of_training = _metadata(first.config(None), proto)
    said_loss = of_training.pop("loss", None)
    config = first.config(said_loss if loss is None else loss)
    found = crnn.RNN(**{**config.arguments(), **of_training}, rng=0)
    for name, value in first.parameters().items():
        found.parameters[name] = value
    found.metadata.update(metadata)
    return found


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
