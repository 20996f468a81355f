"""Writes models as ONNX graphs of RNN, GRU or LSTM nodes and an output layer."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
from onnx import ModelProto, checker, helper

import crnn
from crnn import files
from crnn._engine import validate
from crnn.model import Config
from crnn.onnx.nodes import model_of

CONFIG = "crnn.config"  # the entry of metadata_props for the configuration
LARGEST = 2**31 - 2**20  # bytes of parameters: protobuf limits a file to 2^31


def to_onnx(
    model: crnn.RNN,
    path: str | os.PathLike[str] | None = None,
    *,
    integers: bool = False,
    lengths: bool = False,
    state: bool = False,
) -> ModelProto:
    """Write a model as an ONNX graph that computes its `predict_proba`.

    Parameters
    ----------
    model : crnn.RNN
    path : path, optional
        Also write a file. It is renamed from a temporary name when complete, so `path` never has
        a part of a model.
    integers : bool, optional
        Whether x is integers (T, m) that stand for one-hot rows, or floats (T, m, n_x).
    lengths : bool, optional
        Whether the graph has a second input, the number of steps of each example.
    state : bool, optional
        Whether the states before the first step are inputs and those after the last step outputs.
        A runtime can then read a sequence in parts, or one step at a time, as `RNN.stream` does.

    Returns
    -------
    onnx.ModelProto
        Of opset 22, checked. Its inputs are ``x``, of the model's dtype and shape (T, m, n_x) or
        int64 (T, m), and ``lengths``, int32 (m,); T and m are symbolic. Its output is ``y_hat``,
        (m, n_y) or (T, m, n_y), exactly 0 past an example's length. With `state`, there are also
        the inputs ``a0`` and the outputs ``a_n``, and ``c0`` and ``c_n`` of an LSTM, (m, n_a) each;
        of several layers or directions they have the suffixes of the parameters: ``a0_l0``,
        ``a0_l0_reverse``, ``a0_l1``. The entries of `model.metadata` are the metadata_props, beside
        the configuration as JSON.

    Raises
    ------
    TypeError
        If `model` is not a crnn.RNN, a flag is not True or False, or metadata are not strings.
    ValueError
        If the parameters are too large for ONNX (2 GB), or the model's metadata have the entry
        "crnn.config", or its loss has a `y_hat` of its own, or its cell is leaky, with a leak below
        1 or noise, or, with `state`, the equation "current"; or, without `state`, its initial state
        is trained.
    OSError
        If the file cannot be written; what is at `path` is left unchanged.

    Notes
    -----
    Cells are the operators RNN, GRU (with ``linear_before_reset=1``) and LSTM. A leaky cell whose
    leak is 1 is written, and read again, as the vanilla cell that it computes. ONNX Runtime runs
    float32 models. Its CPU provider has none of these operators for float64 and refuses such a
    model; `crnn.onnx.backend` runs both.

    A trained initial state is not in the graph: the caller begins with it, or with zeros.

    Examples
    --------
    >>> import crnn
    >>> from crnn.onnx import to_onnx
    >>> graph = to_onnx(crnn.RNN(3, 8, 2, direction="bidirectional", rng=0)).graph
    >>> [node.op_type for node in graph.node]
    ['RNN', 'Transpose', 'Reshape', 'Gemm', 'Softmax']
    >>> graph = to_onnx(crnn.RNN(3, 8, 2, cell="lstm", rng=0), state=True).graph
    >>> [value.name for value in graph.input], [value.name for value in graph.output]
    (['x', 'a0', 'c0'], ['y_hat', 'a_n', 'c_n'])
    """
    if not isinstance(model, crnn.RNN):
        raise TypeError(f"model: expected a crnn.RNN, got {type(model).__name__}")
    for name, flag in (("integers", integers), ("lengths", lengths), ("state", state)):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name}: expected True or False, got {flag!r}")
    config = _in_onnx(model.config, bool(state))
    metadata = _metadata_props(model, config)
    size = sum(parameter.nbytes for parameter in model.parameters.values())
    if size > LARGEST:
        raise ValueError(f"model: expected at most {LARGEST} bytes of parameters, got {size}")
    flags = (bool(integers), bool(lengths), bool(state))
    written = model_of(config, model.parameters, *flags)
    helper.set_model_props(written, metadata)
    checker.check_model(written, full_check=True)
    if path is not None:
        files.write(path, written.SerializeToString())
    return written


def _in_onnx(config: Config, state: bool) -> Config:
    """The configuration with a cell that ONNX has: with a leak of 1, a leaky cell is vanilla.

    Masks, signs and whether the initial state is trained are left out: they say how to train, and a
    graph only computes answers.
    """
    if config.initial_state != "zeros" and not state:
        raise ValueError(
            f"model: expected initial_state='zeros', got {config.initial_state!r}: the graph that "
            "to_onnx writes begins at 0, unless state=True makes the initial state an input"
        )
    if config.objective.link is None:
        raise ValueError(
            f"model: expected a loss of crnn's, or one without y_hat of its own, got "
            f"{validate.shown(config.loss)}, whose y_hat is a function in Python"
        )
    config = replace(config, masks=None, signs=None, initial_state="zeros")
    if config.cell != "leaky":
        return config
    if state and config.equation != "rate":
        raise ValueError(
            f"model: expected equation='rate' with state=True, got {config.equation!r}, whose "
            "states before the activation no operator of ONNX gives"
        )
    if config.noise or np.any(config.rule.leak != 1):
        raise ValueError(
            "model: expected the cell 'vanilla', 'gru' or 'lstm', or 'leaky' with leak 1 and noise "
            f"0, got 'leaky' with leak {validate.shown(config.leak)} and noise {config.noise:g}, "
            "for which ONNX has no operator"
        )
    return replace(config, cell="vanilla", leak=None, equation="rate")


def _metadata_props(model: crnn.RNN, config: Config) -> dict[str, str]:
    for key, value in model.metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata: expected strings by strings, got {key!r}: {value!r}")
    if CONFIG in model.metadata:
        raise ValueError(f"metadata: {CONFIG!r} is the name of the configuration in ONNX")
    return {**model.metadata, CONFIG: json.dumps(config.entries())}
