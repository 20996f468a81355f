"""ONNX Runtime: the operator RNN, forward only."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.reference import Array


class OnnxRuntime(Peer):
    """The operator in a session, with arrays that are bound once."""

    name = "onnxruntime"
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

        reasons = {"training": "ONNX Runtime's RNN has no gradients"}
        if case.dtype != "float32":
            reasons["forward"] = "ONNX Runtime's RNN has float32 only"
            return Prepared(None, np.asarray, reasons=reasons)
        session = onnxruntime.InferenceSession(
            _model(case), self._options, providers=["CPUExecutionProvider"]
        )
        arguments = case.problem().arguments
        a = np.empty((case.T, 1, case.m, case.n_a), case.dtype)  # axis 1: directions
        values = {
            "x": onnxruntime.OrtValue.ortvalue_from_numpy(arguments["x"]),
            "a0": onnxruntime.OrtValue.ortvalue_from_numpy(arguments["a0"][None]),
        }
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
    both = np.concatenate([arguments["ba"], np.zeros_like(arguments["ba"])])
    constants = {"W": arguments["Wax"], "R": arguments["Waa"], "B": both}
    real = TensorProto.FLOAT
    node = helper.make_node(
        "RNN", ["x", "W", "R", "B", "", "a0"], ["a"], hidden_size=case.n_a, activations=["Tanh"]
    )
    graph = helper.make_graph(
        [node],
        "rnn",
        [
            helper.make_tensor_value_info("x", real, [case.T, case.m, case.n_x]),
            helper.make_tensor_value_info("a0", real, [1, case.m, case.n_a]),
        ],
        [helper.make_tensor_value_info("a", real, [case.T, 1, case.m, case.n_a])],
        [numpy_helper.from_array(value[None], name) for name, value in constants.items()],
    )
    # Old versions of both, which all recent releases can read.
    opset = [helper.make_opsetid("", 14)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    serialised: bytes = model.SerializeToString()
    return serialised
