"""The nodes of the graph that `to_onnx` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import crnn
from crnn._network.config import Config, Recurrence
from crnn.onnx.states import AFTER, BEFORE, state_names
from crnn.reference import Array
from crnn.weights.gates import ONNX, recurrent_bias, reordered

OPSET = 22
IR_VERSION = 10  # released with opset 22, so that no newer runtime is needed


def model_of(
    config: Config, parameters: Mapping[str, Array], integers: bool, lengths: bool, state: bool
) -> ModelProto:
    """The model without metadata. The cell is one that ONNX has; the flags are `to_onnx`'s."""
    return _Nodes(config, parameters, integers, lengths, state).model()


class _Nodes:
    """The graph, node by node. Each method adds nodes and returns the name of their result."""

    def __init__(
        self,
        config: Config,
        parameters: Mapping[str, Array],
        integers: bool,
        lengths: bool,
        state: bool,
    ):
        self.config, self.parameters = config, dict(parameters)
        self.integers, self.lengths, self.state = integers, lengths, state
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def model(self) -> ModelProto:
        x = self.one_hot() if self.integers else "x"
        for layer in range(self.config.num_layers - 1):
            x = self.states(layer, self.recurrence(x, layer, every=True)[0])
        self.output_layer(self.features(x, self.config.num_layers - 1))
        graph = helper.make_graph(
            self.nodes, "crnn", self.inputs(), self.outputs(), initializer=self.constants
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
        return [x, *([lengths] if self.lengths else []), *self.ends(BEFORE)]

    def outputs(self) -> list[Any]:
        rows = ["T", "m"] if self.config.every_step else ["m"]
        y_hat = helper.make_tensor_value_info("y_hat", self.real, [*rows, self.config.n_y])
        return [y_hat, *self.ends(AFTER)]

    def ends(self, when: str) -> list[Any]:
        """The states (m, n_a) before or after the steps, if the graph has them."""
        shape = ["m", self.config.n_a]
        return [
            helper.make_tensor_value_info(name, self.real, shape)
            for recurrence in self.config.recurrences()
            for name in (state_names(recurrence, when) if self.state else ())
        ]

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
        recurrences = [r for r in config.recurrences() if r.layer == layer]
        directions = [r.of(self.parameters) for r in recurrences]

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
        if self.lengths or self.state:
            inputs.append("lengths" if self.lengths else "")
        a, name = "a" + suffix, operator + suffix
        Y, Y_h = f"{a}_directions" if every else "", f"{a}_final" if final or self.state else ""
        outputs = [Y, Y_h] if Y_h else [Y]
        if self.state:
            inputs += self.begun(recurrences)
            outputs += [f"c{suffix}_final"] if operator == "LSTM" else []
        if operator == "RNN":
            attributes["activations"] = [config.activation.capitalize()] * len(directions)
        self.nodes.append(
            helper.make_node(
                operator, inputs, outputs, name=name, direction=config.direction,
                hidden_size=config.n_a, **attributes,
            )
        )  # fmt: skip
        if self.state:
            self.ended(recurrences, outputs[1:])
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

    def begun(self, recurrences: Sequence[Recurrence]) -> list[str]:
        """initial_h, and initial_c of an LSTM: the states of the inputs (D, m, n_a)."""
        found = []
        for names in zip(*(state_names(r, BEFORE) for r in recurrences), strict=True):
            axis = self.integers_of(f"{names[0]}_axis", [0])
            each = [self.add("Unsqueeze", [name, axis], f"{name}_direction") for name in names]
            both = f"{names[0]}_directions"
            found.append(each[0] if len(each) == 1 else self.add("Concat", each, both, axis=0))
        return found

    def ended(self, recurrences: Sequence[Recurrence], finals: Sequence[str]) -> None:
        """The outputs (m, n_a) of Y_h, and of Y_c of an LSTM."""
        for d, recurrence in enumerate(recurrences):
            for name, final in zip(state_names(recurrence, AFTER), finals, strict=True):
                self.add("Gather", [final, self.integers_of(f"{name}_place", d)], name, axis=0)

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
