"""ONNX Runtime: the operators RNN, GRU and LSTM, forward only."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.check import cells as check_cells
from crnn.reference import Array
from crnn.weights.gates import ONNX, recurrent_bias, reordered


class OnnxRuntime(Peer):
    """The operator in a session, with arrays that are bound once."""

    name = "onnxruntime"
    cells = ("vanilla", "gru", "lstm")
    packages = ("onnxruntime", "onnx")
    modules = ("onnxruntime", "onnx")

    def start(self, threads: int) -> None:
        """Import the runtime, and set the threads of its sessions."""
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        self._options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL

    def prepare(self, case: Case) -> Prepared:
        """Build the session. The weights are constants of the graph, so that it may pack them."""
        import onnxruntime

        reasons = {"training": "ONNX Runtime's operators have no gradients"}
        if case.dtype != "float32":
            reasons["forward"] = "ONNX Runtime's operators have float32 only"
            return Prepared(None, np.asarray, reasons=reasons)
        session = onnxruntime.InferenceSession(
            _model(case), self._options, providers=["CPUExecutionProvider"]
        )
        p = case.problem()
        arguments = p.arguments | (p.initial if isinstance(p, check_cells.Problem) else {})
        a = np.empty((case.T, 1, case.m, case.n_a), case.dtype)  # axis 1: directions
        values = {"x": onnxruntime.OrtValue.ortvalue_from_numpy(arguments["x"])}
        for name in ("a0", "c0"):
            if name in arguments:
                values[name] = onnxruntime.OrtValue.ortvalue_from_numpy(arguments[name][None])
        bound = onnxruntime.OrtValue.ortvalue_from_numpy(a)
        binding = session.io_binding()
        for name, value in values.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_ortvalue_output("a", bound)

        def forward() -> Any:
            session.run_with_iobinding(binding)
            return bound

        def states(result: Any) -> Array:
            numbers: Array = result.numpy()[:, 0]
            return numbers

        return Prepared(forward, states, reasons=reasons)


def _model(case: Case) -> bytes:
    """A graph of one node, as bytes."""
    from onnx import TensorProto, helper, numpy_helper

    arguments = case.problem().arguments
    ba, second = arguments["ba"], recurrent_bias(arguments)
    weights = [arguments["Wax"], arguments["Waa"], ba, second]
    if case.cell in ONNX:
        weights = [reordered(value, ONNX[case.cell]) for value in weights]
    W, R, *biases = weights
    constants = {"W": W, "R": R, "B": np.concatenate(biases)}
    options: dict[str, Any] = {"hidden_size": case.n_a}
    inputs = ["x", "W", "R", "B", "", "a0"]
    given = {"x": [case.T, case.m, case.n_x], "a0": [1, case.m, case.n_a]}
    if case.cell == "lstm":
        inputs.append("c0")
        given["c0"] = given["a0"]
    if case.cell == "gru":
        options["linear_before_reset"] = 1
    if case.cell == "vanilla":
        options["activations"] = ["Tanh"]
    real = TensorProto.FLOAT
    operator = "RNN" if case.cell == "vanilla" else case.cell.upper()
    node = helper.make_node(operator, inputs, ["a"], **options)
    graph = helper.make_graph(
        [node],
        "rnn",
        [helper.make_tensor_value_info(name, real, shape) for name, shape in given.items()],
        [helper.make_tensor_value_info("a", real, [case.T, 1, case.m, case.n_a])],
        [numpy_helper.from_array(value[None], name) for name, value in constants.items()],
    )
    # Old versions of both, which all recent releases can read.
    opset = [helper.make_opsetid("", 14)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised
