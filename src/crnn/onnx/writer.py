"""Writes models as ONNX graphs of RNN, GRU or LSTM nodes and an output layer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

import crnn
from crnn import files
from crnn._engine import validate
from crnn.model import Config
from crnn.reference import Array
from crnn.weights.gates import ONNX, recurrent_bias, reordered

OPSET = 22
IR_VERSION = 10  # released with opset 22, so that no newer runtime is needed
CONFIG = "crnn.config"  # the entry of metadata_props for the configuration
LARGEST = 2**31 - 2**20  # bytes of parameters: protobuf limits a file to 2^31


def to_onnx(
    model: crnn.RNN,
    path: str | os.PathLike[str] | None = None,
    *,
    integers: bool = False,
    lengths: bool = False,
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

    Returns
    -------
    onnx.ModelProto
        Of opset 22, checked. Its inputs are ``x``, of the model's dtype and shape (T, m, n_x) or
        int64 (T, m), and ``lengths``, int32 (m,); T and m are symbolic. Its output is ``y_hat``,
        (m, n_y) or (T, m, n_y), exactly 0 past an example's length. The entries of
        `model.metadata` are its metadata_props, beside the configuration as JSON.

    Raises
    ------
    TypeError
        If `model` is not a crnn.RNN, a flag is not True or False, or metadata are not strings.
    ValueError
        If the parameters are too large for ONNX (2 GB), or the model's metadata have the entry
        "crnn.config", or its loss has a `y_hat` of its own, or its cell is leaky, with a leak below
        1 or noise, or its initial state is trained.
    OSError
        If the file cannot be written; what is at `path` is left unchanged.

    Notes
    -----
    Cells are the operators RNN, GRU (with ``linear_before_reset=1``) and LSTM. A leaky cell whose
    leak is 1 is written, and read again, as the vanilla cell that it computes. ONNX Runtime runs
    float32 models. Its CPU provider has none of these operators for float64 and refuses such a
    model; `crnn.onnx.backend` runs both.

    Examples
    --------
    >>> import crnn
    >>> from crnn.onnx import to_onnx
    >>> graph = to_onnx(crnn.RNN(3, 8, 2, direction="bidirectional", rng=0)).graph
    >>> [node.op_type for node in graph.node]
    ['RNN', 'Transpose', 'Reshape', 'Gemm', 'Softmax']
    """
    if not isinstance(model, crnn.RNN):
        raise TypeError(f"model: expected a crnn.RNN, got {type(model).__name__}")
    for name, flag in (("integers", integers), ("lengths", lengths)):
        if not isinstance(flag, (bool, np.bool_)):
            raise TypeError(f"{name}: expected True or False, got {flag!r}")
    config = _in_onnx(model.config)
    metadata = _metadata_props(model, config)
    size = sum(parameter.nbytes for parameter in model.parameters.values())
    if size > LARGEST:
        raise ValueError(f"model: expected at most {LARGEST} bytes of parameters, got {size}")
    written = _Writer(config, model.parameters, bool(integers), bool(lengths)).model()
    helper.set_model_props(written, metadata)
    checker.check_model(written, full_check=True)
    if path is not None:
        files.write(path, written.SerializeToString())
    return written


def _in_onnx(config: Config) -> Config:
    """The configuration with a cell that ONNX has: with a leak of 1, a leaky cell is vanilla.

    Masks and signs are left out: they say how to train, and a graph only computes answers.
    """
    if config.initial_state != "zeros":
        raise ValueError(
            f"model: expected initial_state='zeros', got {config.initial_state!r}: the graph that "
            "to_onnx writes begins at 0"
        )
    if config.objective.link is None:
        raise ValueError(
            f"model: expected a loss of crnn's, or one without y_hat of its own, got "
            f"{validate.shown(config.loss)}, whose y_hat is a function in Python"
        )
    config = replace(config, masks=None, signs=None)
    if config.cell != "leaky":
        return config
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


class _Writer:
    """The graph, node by node. Each method adds nodes and returns the name of their result."""

    def __init__(
        self, config: Config, parameters: Mapping[str, Array], integers: bool, lengths: bool
    ):
        self.config, self.parameters = config, dict(parameters)
        self.integers, self.lengths = integers, lengths
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        x = self.one_hot() if self.integers else "x"
        for layer in range(self.config.num_layers - 1):
            x = self.states(layer, self.recurrence(x, layer, every=True)[0])
        self.output_layer(self.features(x, self.config.num_layers - 1))
        graph = helper.make_graph(
            self.nodes, "crnn", self.inputs(), [self.output()], initializer=self.constants
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="crnn",
            producer_version=crnn.__version__,
        )

    def inputs(self) -> list[Any]:
        if self.integers:
            x = helper.make_tensor_value_info("x", TensorProto.INT64, ["T", "m"])
        else:
            x = helper.make_tensor_value_info("x", self.real, ["T", "m", self.config.n_x])
        lengths = helper.make_tensor_value_info("lengths", TensorProto.INT32, ["m"])
        return [x, lengths] if self.lengths else [x]

    def output(self) -> Any:
        rows = ["T", "m"] if self.config.every_step else ["m"]
        return helper.make_tensor_value_info("y_hat", self.real, [*rows, self.config.n_y])

    @property
    def real(self) -> int:
        return int(helper.np_dtype_to_tensor_dtype(self.config.np_dtype))

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, value: Array) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def integers_of(self, name: str, values: Sequence[int] | int) -> str:
        return self.constant(name, np.array(values, np.int64))

    def one_hot(self) -> str:
        """Rows (T, m, n_x) with a single 1."""
        depth = self.integers_of("n_x", self.config.n_x)
        values = self.constant("off_on", np.array([0, 1], self.config.np_dtype))
        return self.add("OneHot", ["x", depth, values], "x_rows", axis=-1)

    def recurrence(
        self, x: str, layer: int, every: bool = False, final: bool = False
    ) -> tuple[str, str]:
        """The node of a layer: its states (T, D, m, n_a) and final ones (D, m, n_a), if wanted."""
        config, suffix = self.config, f"_l{layer}"
        directions = [r.of(self.parameters) for r in config.recurrences() if r.layer == layer]

        def stacked(name: str) -> Array:  # one per direction
            return np.stack([self.in_order(own[name]) for own in directions])

        operator, attributes = self.operator()
        biases = [
            np.concatenate([self.in_order(b) for b in (own["ba"], recurrent_bias(own))])
            for own in directions
        ]
        inputs = [
            x,
            self.constant("W" + suffix, stacked("Wax")),  # (D, gates n_a, n_in)
            self.constant("R" + suffix, stacked("Waa")),  # (D, gates n_a, n_a)
            self.constant("B" + suffix, np.stack(biases)),  # (D, 2 gates n_a)
        ]
        if self.lengths:
            inputs.append("lengths")
        a, name = "a" + suffix, operator + suffix
        Y, Y_h = f"{a}_directions" if every else "", f"{a}_final" if final else ""
        if operator == "RNN":
            attributes["activations"] = [config.activation.capitalize()] * len(directions)
        self.nodes.append(
            helper.make_node(
                operator, inputs, [Y, Y_h] if final else [Y], name=name,
                direction=config.direction, hidden_size=config.n_a, **attributes,
            )
        )  # fmt: skip
        return Y, Y_h

    def states(self, layer: int, directions: str, axis: int = 1, name: str = "a") -> str:
        """States (..., m, width) from those of all directions, whose axis is 0 or 1."""
        a, of = f"{name}_l{layer}", self.config
        if of.num_directions == 1:
            return self.add("Squeeze", [directions, self.integers_of(f"{a}_axis", [axis])], a)
        order = [0, 2, 1, 3] if axis == 1 else [1, 0, 2]
        rows = self.add("Transpose", [directions], f"{a}_rows", perm=order)  # (..., m, D, n_a)
        shape = self.integers_of(f"{a}_shape", [0] * (axis + 1) + [of.width])  # 0 keeps a size
        return self.add("Reshape", [rows, shape], a)

    def features(self, x: str, layer: int) -> str:
        """What the output layer reads: (T, m, width), or (m, features) for one answer."""
        parts = self.config.parts
        if parts == ("last",):
            return self.states(layer, self.recurrence(x, layer, final=True)[1], axis=0)
        Y, Y_h = self.recurrence(x, layer, every=True, final="last" in parts)
        a = self.states(layer, Y)
        if not parts:
            return a
        found = [
            self.states(layer, Y_h, axis=0, name="last") if part == "last" else self.pool(part, a)
            for part in parts
        ]
        return found[0] if len(found) == 1 else self.add("Concat", found, "features", axis=1)

    def pool(self, part: str, a: str) -> str:
        """The mean or the maximum (m, width) of states (T, m, width) over the valid steps."""
        axes, dtype = self.integers_of(f"{part}_axes", [0]), self.config.np_dtype
        if not self.lengths:
            return self.add("Reduce" + part.capitalize(), [a, axes], part, keepdims=0)
        past = self.constant(f"{part}_past", np.array(0 if part == "mean" else -np.inf, dtype))
        valid = self.add("Where", [self.counted(), a, past], f"{part}_valid")
        if part == "max":
            return self.add("ReduceMax", [valid, axes], part, keepdims=0)
        total = self.add("ReduceSum", [valid, axes], "sum", keepdims=0)
        lengths = self.add("Cast", ["lengths"], "lengths_real", to=self.real)
        count = self.add(
            "Unsqueeze", [lengths, self.integers_of("count_axis", [-1])], "count"
        )  # (m, 1)
        return self.add("Div", [total, count], part)

    def operator(self) -> tuple[str, dict[str, Any]]:
        """The operator of the cell, and the attributes that it has besides those of all."""
        if self.config.cell == "gru":  # without the attribute it would be another equation
            return "GRU", {"linear_before_reset": 1}
        return ("LSTM" if self.config.cell == "lstm" else "RNN"), {}

    def in_order(self, values: Array) -> Array:
        """Values stacked by gate, in ONNX's order."""
        return reordered(values, ONNX.get(self.config.cell, (0,)))

    def output_layer(self, features: str) -> None:
        """y_hat of the features (m, features) or (T, m, width)."""
        config = self.config
        answers = "y_hat_every_step" if self.lengths and config.every_step else "y_hat"
        link = config.objective.link
        logits = answers if link == "linear" else "logits"
        Wya, by = self.parameters["Wya"], self.constant("by", self.parameters["by"])
        if not config.every_step:
            weights = self.constant("Wya", Wya)  # (n_y, features)
            self.add("Gemm", [features, weights, by], logits, transB=1)
        else:  # Gemm takes two axes only
            weights = self.constant("Wya_transposed", Wya.T)  # (width, n_y)
            products = self.add("MatMul", [features, weights], "products")
            self.add("Add", [products, by], logits)
        if link == "softmax":
            self.add("Softmax", [logits], answers, axis=-1)
        elif link == "sigmoid":
            self.add("Sigmoid", [logits], answers)
        elif link == "mean and deviation":
            self.deviations(logits, answers)
        if answers != "y_hat":
            self.masked(answers)

    def deviations(self, logits: str, answers: str) -> None:
        """The means among the logits, and exp(v / 2) of the log variances v."""
        config = self.config
        are = np.arange(config.n_y) >= config.n_y // 2  # (n_y,)
        half = self.constant("half", (0.5 * are).astype(config.np_dtype))
        scaled = self.add("Mul", [logits, half], "half_log_variances")
        deviations = self.add("Exp", [scaled], "deviations")
        where = self.constant("are_deviations", are)
        self.add("Where", [where, deviations, logits], answers)

    def masked(self, answers: str) -> None:
        """y_hat (T, m, n_y): the answers, and 0 past an example's length."""
        nothing = self.constant("nothing", np.zeros((), self.config.np_dtype))
        self.add("Where", [self.counted(), answers, nothing], "y_hat")

    def counted(self) -> str:
        """Which steps are within an example's length: (T, m, 1)."""
        if any("counted_rows" in node.output for node in self.nodes):
            return "counted_rows"
        zero, one = self.integers_of("zero", 0), self.integers_of("one", 1)
        last_axis = self.integers_of("last_axis", [-1])
        T = self.add("Squeeze", [self.add("Shape", ["x"], "T_axis", start=0, end=1)], "T")
        steps = self.add("Range", [zero, T, one], "steps")  # (T,)
        steps = self.add("Unsqueeze", [steps, last_axis], "steps_column")  # (T, 1)
        lengths = self.add("Cast", ["lengths"], "lengths_64", to=TensorProto.INT64)
        counted = self.add("Less", [steps, lengths], "counted")  # (T, m)
        return self.add("Unsqueeze", [counted, last_axis], "counted_rows")
