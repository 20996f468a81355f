"""ONNX: writing, reading and running models, compared with ONNX Runtime, torch and onnx."""

import doctest
import errno
import importlib
import io
import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from pages import run_python  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import backend, from_onnx, rnn, to_onnx, writer  # noqa: E402

runtime.set_default_logger_severity(4)  # the exceptions suffice for what is refused on purpose

ROOT = Path(__file__).parents[2]
DIRECTIONS = ("forward", "reverse", "bidirectional")
T, m, n_x, n_y = 7, 5, 3, 4
LENGTHS = np.array([7, 1, 4, 6, 2], "int32")


def session(proto):
    return runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def equal_up_to_rounding(y, expected, limit=1e-6):
    """Whether two results differ by at most ``limit`` times the largest number."""
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    return np.abs(y - expected).max() <= limit * max(1, np.abs(expected).max())


def model_of(**config):
    """A model with random parameters, including biases, that keep relu's states of order 1."""
    model = crnn.RNN(n_x, 6, n_y, rng=1, **config)
    rng = np.random.default_rng(2)
    for parameter in model.parameters.values():
        parameter *= 0.8
        parameter += (0.1 * rng.standard_normal(parameter.shape)).astype(parameter.dtype)
    model.metadata["trained on"] = "noise"
    return model


def inputs_of(integers, lengths, dtype="float32"):
    """x and lengths; beyond an example's length, x holds values that must not be read."""
    rng = np.random.default_rng(3)
    if integers:
        x, padding = rng.integers(0, n_x, (T, m)), n_x + 7
    else:
        x, padding = rng.standard_normal((T, m, n_x)).astype(dtype), np.nan
    if lengths:
        x[np.arange(T)[:, None] >= LENGTHS] = padding
    return {"x": x, "lengths": LENGTHS} if lengths else {"x": x}


KINDS = list(itertools.product((False, True), repeat=2))  # integers, lengths


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_models_run_in_onnxruntime_and_the_backend_and_round_trip(
    direction, num_layers, activation, steps, loss
):
    model = model_of(
        direction=direction, num_layers=num_layers, activation=activation, steps=steps, loss=loss
    )
    for integers, lengths in KINDS:
        proto = to_onnx(model, integers=integers, lengths=lengths)
        given = inputs_of(integers, lengths)
        expected = model.predict_proba(**given)
        (y_hat,) = session(proto).run(None, given)
        assert equal_up_to_rounding(y_hat, expected)
        assert equal_up_to_rounding(backend.run_model(proto, given)[0], expected)
        if lengths and steps == "all":
            past = np.arange(T)[:, None] >= LENGTHS
            assert (y_hat[past] == 0).all()
        back = from_onnx(proto)
        assert back.config == model.config
        assert back.metadata == model.metadata
        for name, parameter in model.parameters.items():
            assert np.array_equal(back.parameters[name], parameter), name


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("steps", ["last", "all"])
def test_float64_runs_only_in_the_backend(direction, steps):
    model = model_of(direction=direction, steps=steps, num_layers=2, dtype="float64")
    for integers, lengths in KINDS:
        proto = to_onnx(model, integers=integers, lengths=lengths)
        given = inputs_of(integers, lengths, "float64")
        assert equal_up_to_rounding(
            backend.run_model(proto, given)[0], model.predict_proba(**given), 1e-14
        )
        assert from_onnx(proto).config == model.config
    # docs/onnx.md says so, and is to be changed once ONNX Runtime has such a kernel.
    with pytest.raises(Exception, match="NOT_IMPLEMENTED"):
        session(to_onnx(model))


def test_time_and_examples_are_symbolic_axes():
    model = model_of(direction="bidirectional", steps="all")
    running = session(to_onnx(model, lengths=True))
    for T, m in ((1, 1), (2, 1), (1, 3), (30, 2)):
        x = np.random.default_rng(T).standard_normal((T, m, n_x)).astype("float32")
        lengths = np.full(m, T, "int32")
        (y_hat,) = running.run(None, {"x": x, "lengths": lengths})
        assert equal_up_to_rounding(y_hat, model.predict_proba(x, lengths))


def test_metadata_of_written_models():
    model = model_of(num_layers=2, steps="all")
    proto = to_onnx(model, lengths=True)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", 22)]
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*proto.graph.input, *proto.graph.output]
    }
    assert shapes == {"x": ["T", "m", n_x], "lengths": ["m"], "y_hat": ["T", "m", n_y]}
    properties = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(properties["crnn.config"]) == model.config.entries()
    assert properties["trained on"] == "noise"
    meta = session(proto).get_modelmeta()
    assert meta.custom_metadata_map["trained on"] == "noise"
    assert meta.producer_name == "crnn"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    model = model_of()
    proto = to_onnx(model, path)
    assert onnx.load(path) == proto
    assert from_onnx(path).config == from_onnx(str(path)).config == model.config
    assert from_onnx(path.read_bytes()).config == model.config

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        to_onnx(model_of(steps="all"), path)
    assert onnx.load(path) == proto
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_to_onnx_refuses_wrong_arguments(monkeypatch):
    with pytest.raises(TypeError, match=r"model: expected a crnn\.RNN, got Config"):
        to_onnx(model_of().config)
    for name in ("integers", "lengths"):
        with pytest.raises(TypeError, match=f"{name}: expected True or False, got 1"):
            to_onnx(model_of(), **{name: 1})
    model = model_of()
    model.metadata["epochs"] = 3
    with pytest.raises(TypeError, match="metadata: expected strings by strings, got 'epochs': 3"):
        to_onnx(model)
    model.metadata = {"crnn.config": ""}
    with pytest.raises(ValueError, match=r"metadata: 'crnn\.config' is the name"):
        to_onnx(model)
    monkeypatch.setattr(writer, "LARGEST", 100)
    with pytest.raises(ValueError, match="model: expected at most 100 bytes of parameters, got"):
        to_onnx(model_of())


# Other exporters.


def exported(module, x, **options):
    """A module as exported by torch's TorchScript exporter."""
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    with warnings.catch_warnings():  # it is deprecated, and warns for the size of each tensor
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (x,), file, dynamo=False, input_names=["x"], **options)
    return file.getvalue()


def torch_model(head, bidirectional=False, embedding=False, **options):
    torch = pytest.importorskip("torch")
    n_a, directions = 5, 1 + bidirectional

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.look_up = torch.nn.Embedding(n_y, n_x) if embedding else torch.nn.Identity()
            self.rnn = torch.nn.RNN(n_x, n_a, bidirectional=bidirectional, **options)
            self.linear = torch.nn.Linear(directions * n_a, 2)

        def forward(self, x):
            y, h = self.rnn(self.look_up(x))
            return self.linear(head(y, h))

    torch.manual_seed(0)
    return Model()


def last_of_output(y, h):
    return y[-1]


def last_of_batch_first(y, h):
    return y[:, -1]


def last_states(y, h):
    return h[-1]


def last_of_both(y, h):
    import torch

    return torch.cat([h[-2], h[-1]], dim=1)


def last_by_view(y, h):
    h = h.view(-1, 2, *h.shape[1:])[-1]  # layers, directions, m, n_a
    return h.transpose(0, 1).reshape(h.shape[1], -1)


def every_step(y, h):
    return y


TORCH = {
    "the output's last step": (last_of_output, {}),
    "examples first": (last_of_batch_first, {"batch_first": True}),
    "the last state, relu, three layers": (last_states, {"num_layers": 3, "nonlinearity": "relu"}),
    "no biases": (last_states, {"bias": False}),
    "both directions": (last_of_both, {"num_layers": 2, "bidirectional": True}),
    "both directions, by view": (last_by_view, {"num_layers": 2, "bidirectional": True}),
    "every step": (every_step, {"num_layers": 2, "bidirectional": True}),
    "every step, examples first": (every_step, {"bidirectional": True, "batch_first": True}),
    "an embedding": (last_states, {"embedding": True}),
}


@pytest.mark.parametrize("sizes", ["fixed", "symbolic"])
@pytest.mark.parametrize("name", TORCH)
def test_models_exported_by_torch_are_read(name, sizes):
    torch = pytest.importorskip("torch")
    head, options = TORCH[name]
    module = torch_model(head, **options)
    x = torch.randint(0, n_y, (T, m)) if "embedding" in options else torch.randn(T, m, n_x)
    given = x.swapaxes(0, 1) if options.get("batch_first") else x
    axes = {"dynamic_axes": {"x": {0: "a", 1: "b"}}} if sizes == "symbolic" else {}
    model = from_onnx(exported(module, given, **axes))
    expected = module(given).detach().numpy()
    if model.config.steps == "all" and options.get("batch_first"):
        expected = expected.swapaxes(0, 1)
    assert equal_up_to_rounding(model.predict_proba(x.numpy()), expected)
    # With another number of steps and examples than in the export.
    longer = np.concatenate([x.numpy(), x.numpy()])
    assert model.predict_proba(longer, np.full(m, T)).shape[-1] == 2


@pytest.mark.parametrize("batch_first", [False, True])
def test_batch_first_is_detected_if_T_equals_m(batch_first):
    torch = pytest.importorskip("torch")
    module = torch_model(every_step, batch_first=batch_first)
    x = torch.randn(m, m, n_x)
    y_hat = from_onnx(exported(module, x)).predict_proba(
        x.swapaxes(0, 1).numpy() if batch_first else x.numpy()
    )
    expected = module(x).detach().numpy()
    assert equal_up_to_rounding(y_hat, expected.swapaxes(0, 1) if batch_first else expected)


@pytest.mark.parametrize("options", [{"opset_version": 9}, {"do_constant_folding": False}])
def test_old_and_verbose_graphs_are_read(options):
    torch = pytest.importorskip("torch")
    module = torch_model(every_step, bidirectional=True, num_layers=2)
    x = torch.randn(T, m, n_x)
    model = from_onnx(exported(module, x, **options))
    assert equal_up_to_rounding(model.predict_proba(x.numpy()), module(x).detach().numpy())


def test_loss_follows_from_a_softmax_or_the_argument():
    torch = pytest.importorskip("torch")
    module, x = torch_model(last_states), torch.randn(T, m, n_x)
    written = exported(module, x)
    assert from_onnx(written).config.loss == "mse"
    probabilities = torch.softmax(module(x), -1).detach().numpy()
    model = from_onnx(written, loss="cross_entropy")
    assert equal_up_to_rounding(model.predict_proba(x.numpy()), probabilities)
    ends_with_softmax = exported(torch.nn.Sequential(module, torch.nn.Softmax(-1)), x)
    model = from_onnx(ends_with_softmax)
    assert model.config.loss == "cross_entropy"
    assert equal_up_to_rounding(model.predict_proba(x.numpy()), probabilities)
    with pytest.raises(ValueError, match="loss: expected 'cross_entropy', the graph ends with"):
        from_onnx(ends_with_softmax, loss="mse")
    with pytest.raises(ValueError, match=r"loss: expected one of .* got 'nll'"):
        from_onnx(written, loss="nll")


def test_torch_graphs_that_read_other_states_are_refused():
    torch = pytest.importorskip("torch")
    x = torch.randn(T, m, n_x)
    with pytest.raises(ValueError, match=r"Gemm.*each direction's after its last valid step"):
        from_onnx(exported(torch_model(last_of_output, bidirectional=True), x))
    with pytest.raises(ValueError, match=r"Gemm.*each direction's after its last valid step"):
        from_onnx(exported(torch_model(lambda y, h: y[-2]), x))
    with pytest.raises(ValueError, match=r"Gemm.*expected the mean or the maximum of the states"):
        from_onnx(exported(torch_model(lambda y, h: y.sum(0)), x))
    with pytest.raises(ValueError, match=r"ReduceMean.*expected every valid step of each example"):
        from_onnx(exported(torch_model(lambda y, h: y[1:].mean(0)), x))
    with pytest.raises(ValueError, match=r"ReduceMean.*axes: expected that of the steps"):
        from_onnx(exported(torch_model(lambda y, h: y.mean(-1, keepdim=True) + h), x))
    with pytest.raises(ValueError, match="X: the graph has a single step"):
        from_onnx(exported(torch_model(last_states), x[:1]))


def test_unrolled_graphs_of_torchs_dynamo_exporter_are_refused():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            torch_model(last_states).eval(), (torch.randn(T, m, n_x),), dynamo=True, verbose=False
        )
    with pytest.raises(ValueError, match=r"no RNN, GRU or LSTM node in the graph \(torch\.onnx"):
        from_onnx(program.model_proto)


# Graphs made by hand.


def draw(*shape, dtype="float32"):
    rng = np.random.default_rng([7, *shape])
    return (0.5 * rng.standard_normal(shape)).astype(dtype)


def graph_of(nodes, constants, outputs=None, inputs=None):
    """A model of the nodes; by default x is (T, m, 3) and y has two axes."""
    outputs = outputs or {"y": 2}
    inputs = inputs or {"x": (TensorProto.FLOAT, ["T", "m", n_x])}
    values = [helper.make_tensor_value_info(name, *type_) for name, type_ in inputs.items()]
    graph = helper.make_graph(
        nodes, "g", values,
        [value_of(name, rank) for name, rank in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 22), helper.make_opsetid("other", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def value_of(name, rank):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def constants(D=1, n_a=4, dtype="float32"):
    return {
        "W": draw(D, n_a, n_x, dtype=dtype),
        "R": draw(D, n_a, n_a, dtype=dtype),
        "B": draw(D, 2 * n_a, dtype=dtype),
        "V": draw(D * n_a, 2, dtype=dtype),
        "axis_0": np.array([0]),
        "axis_1": np.array([1]),
    }


RECURRENCE = node("RNN", "x W R B", "Y Y_h", hidden_size=4)
SQUEEZED = [RECURRENCE, node("Squeeze", "Y_h axis_0", "a")]


def test_separate_nodes_per_direction_become_one_layer():
    both = constants(D=2)
    parts = {f"{name}{d}": both[name][d : d + 1] for name in "WRB" for d in range(2)}
    nodes = [
        node("RNN", "x W0 R0 B0", "Y0", hidden_size=4),
        node("RNN", "x W1 R1 B1", "Y1", hidden_size=4, direction="reverse"),
        node("Concat", "Y0 Y1", "Y", axis=3),
        node("Squeeze", "Y axis_1", "a"),
        node("MatMul", "a V", "y"),
    ]
    proto = graph_of(nodes, {**both, **parts}, {"y": 3})
    model = from_onnx(proto)
    assert model.config.direction == "bidirectional"
    x = draw(T, m, n_x)
    assert equal_up_to_rounding(model.predict_proba(x), session(proto).run(None, {"x": x})[0])


def test_the_batchwise_layout_is_read():
    nodes = [
        node("RNN", "x W R B", "Y Y_h", hidden_size=4, layout=1),
        node("Squeeze", "Y_h axis_1", "a"),
        node("MatMul", "a V", "y"),
    ]
    inputs = {"x": (TensorProto.FLOAT, ["m", "T", n_x])}
    proto = graph_of(nodes, constants(), inputs=inputs)
    x = draw(m, T, n_x)
    expected = backend.run_model(proto, x)[0]
    assert equal_up_to_rounding(from_onnx(proto).predict_proba(x.swapaxes(0, 1)), expected)


def test_foreign_metadata_is_kept_and_a_wrong_configuration_refused():
    proto = graph_of([*SQUEEZED, node("MatMul", "a V", "y")], constants())
    helper.set_model_props(proto, {"author": "somebody"})
    assert from_onnx(proto).metadata == {"author": "somebody"}
    proto = to_onnx(model_of())
    for entry in proto.metadata_props:
        if entry.key == "crnn.config":
            entry.value = entry.value.replace('"n_a": 6', '"n_a": 7')
    with pytest.raises(ValueError, match=r"metadata_props: crnn\.config is .*7.*graph's is .*6"):
        from_onnx(proto)
    helper.set_model_props(proto, {"crnn.config": "[]"})
    with pytest.raises(ValueError, match=r"metadata_props: crnn\.config is \[\]"):
        from_onnx(proto)
    values = to_onnx(model_of(loss="mse"))
    assert from_onnx(values, loss="cross_entropy").config.loss == "cross_entropy"


REFUSED = {
    "clip: crnn.RNN has none": [node("RNN", "x W R B", "Y Y_h", hidden_size=4, clip=1.0)],
    "activations: crnn has Tanh and Relu, got Sigmoid": [
        node("RNN", "x W R B", "Y Y_h", hidden_size=4, activations=["Sigmoid"])
    ],
    "initial_h: crnn.RNN starts from zeros": [
        helper.make_node("RNN", ["x", "W", "R", "B", "", "h0"], ["Y", "Y_h"], hidden_size=4)
    ],
    "sequence_lens: expected the graph's input": [
        node("RNN", "x W R B three", "Y Y_h", hidden_size=4)
    ],
    "no such operator": [RECURRENCE, node("Tanh", "Y_h", "y")],
    "Sigmoid: expected logits of an output layer": [RECURRENCE, node("Sigmoid", "Y_h", "y")],
    "no operators of the domain other": [RECURRENCE, node("RNN", "Y_h", "y", domain="other")],
    "output: expected the output layer's answers": [RECURRENCE, node("Identity", "Y_h", "y")],
    "expected a constant of one number per output": [
        *SQUEEZED, node("MatMul", "a V", "z"), node("Add", "z square", "y")
    ],
    "transA: expected 0": [*SQUEEZED, node("Gemm", "a V", "y", transA=1)],
    "axis: expected that of the outputs": [
        *SQUEEZED, node("MatMul", "a V", "z"), node("Softmax", "z", "y", axis=0)
    ],
    "MatMul: expected the states of the top layer": [
        node("MatMul", "x square", "z"), node("RNN", "z W R B", "Y Y_h", hidden_size=4)
    ],
    "X: expected the input or the states of the layer below": [
        node("Concat", "x x", "z", axis=2), node("RNN", "z W6 R B", "Y Y_h", hidden_size=4)
    ],
    "X: expected the input or the states of the layer below, in order": [  # a skip connection
        RECURRENCE, node("Squeeze", "Y axis_1", "b"), node("Concat", "b x", "z", axis=2),
        node("RNN", "z W7 R B", "Y2 Y_h2", hidden_size=4),
    ],
    "X: expected 6 inputs, as W has columns, got 3": [
        node("RNN", "x W6 R B", "Y Y_h", hidden_size=4)
    ],
    "expected a matrix for 4 states, got 8 rows": [*SQUEEZED, node("MatMul", "a V2", "y")],
    "expected states times a constant matrix": [*SQUEEZED, node("MatMul", "V a", "y")],
    "X: expected every step and example in its original order": [
        node("Slice", "x minus_1 minus_99 axis_0 minus_1", "z"),
        node("RNN", "z W R B", "Y Y_h", hidden_size=4),
    ],
    "to read the same layer": [
        RECURRENCE, node("Squeeze", "Y axis_1", "b"),
        node("RNN", "b R R B", "Y2", hidden_size=4, direction="reverse"),
        node("Squeeze", "Y2 axis_1", "c"), node("Concat", "b c", "a", axis=2),
        node("MatMul", "a V2", "y"),
    ],
    "one direction, hidden_size, activation and operator": [
        RECURRENCE, node("Squeeze", "Y axis_1", "b"),
        node("RNN", "b R R B", "Y2 Y_h2", hidden_size=4, activations=["Relu"]),
        node("Squeeze", "Y_h2 axis_0", "a"), node("MatMul", "a V", "y"),
    ],
    "in every layer": [
        *SQUEEZED, node("Concat", "a a a", "b", axis=1), node("MatMul", "b V3", "y")
    ],
    "GRU: linear_before_reset: expected 1, the equation of crnn's GRU, got 0": [
        node("GRU", "x W3 R3", "Y Y_h", hidden_size=4)
    ],
    "LSTM: clip: crnn has none": [
        node("LSTM", "x W4 R4", "Y Y_h Y_c", hidden_size=4, clip=3.0)
    ],
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)  # the message says what is wrong with the graph
def test_unsupported_graphs_are_refused(message):
    more = {
        "h0": np.ones((1, 3, 4), "float32"), "three": np.array([3, 3, 3], "int32"),
        "square": draw(n_x, n_x), "minus_1": np.array([-1]), "minus_99": np.array([-99]),
        "V2": draw(8, 2), "V3": draw(12, 2), "W4": draw(1, 16, n_x), "R4": draw(1, 16, 4),
        "W3": draw(1, 12, n_x), "R3": draw(1, 12, 4),
            "W6": draw(1, 4, 6), "W7": draw(1, 4, 7),
    }  # fmt: skip
    nodes = REFUSED[message]
    outputs = {nodes[-1].output[0]: 2}
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the message is checked below
        from_onnx(graph_of(nodes, {**constants(), **more}, outputs))
    assert message in str(refusal.value)


def test_graphs_with_other_inputs_or_outputs_are_refused():
    head = [*SQUEEZED, node("MatMul", "a V", "y")]
    with pytest.raises(ValueError, match=r"outputs: expected one, y_hat, got \['y', 'Y_h'\]"):
        from_onnx(graph_of(head, constants(), {"y": 2, "Y_h": 3}))
    x = {"x": (TensorProto.FLOAT, ["T", "m", n_x])}
    h0 = {"h0": (TensorProto.FLOAT, [1, "m", 4])}
    with pytest.raises(ValueError, match="h0: expected the inputs x"):
        from_onnx(graph_of(head, constants(), inputs={**x, **h0}))
    with pytest.raises(ValueError, match="x: expected a known n_x"):
        from_onnx(graph_of(head, constants(), inputs={"x": (TensorProto.FLOAT, ["T", "m", "n"])}))
    half = [
        helper.make_node("RNN", ["x", "W", "R"], ["Y", "y"], hidden_size=4),
    ]
    inputs = {"x": (TensorProto.FLOAT16, ["T", "m", n_x])}
    proto = graph_of(half, constants(dtype="float16"), inputs=inputs)
    with pytest.raises(ValueError, match="W: expected float32 or float64, got float16"):
        from_onnx(proto)


def test_a_graph_that_reads_a_fixed_step_is_refused():
    """Step 4 is the last of the five steps first probed, but not for any other length."""
    nodes = [
        RECURRENCE,
        node("Squeeze", "Y axis_1", "b"),
        node("Gather", "b four", "a", axis=0),
        node("MatMul", "a V", "y"),
    ]
    with pytest.raises(ValueError, match=r"MatMul.*after its last valid step"):
        from_onnx(graph_of(nodes, {**constants(), "four": np.array(4)}))


def test_from_onnx_refuses_other_objects_and_files(tmp_path):
    with pytest.raises(TypeError, match="model: expected a ModelProto, bytes or a path, got int"):
        from_onnx(3)
    with pytest.raises(ValueError, match="model: not valid ONNX"):
        from_onnx(b"nothing of the kind")
    written = to_onnx(model_of()).SerializeToString()
    with pytest.raises(ValueError, match="model: not valid ONNX"):
        from_onnx(written[: len(written) // 2])
    with pytest.raises(OSError, match="absent"):
        from_onnx(tmp_path / "absent.onnx")


# The operator.


def operator(direction, lengths, bias=True, initial=True, dtype="float32", **attributes):
    """An RNN node, also as a model for ONNX Runtime, and its inputs by name."""
    D, n_a = 1 + (direction == "bidirectional"), 4
    arrays = {
        "X": 2 * draw(T, m, n_x, dtype=dtype),
        "W": draw(D, n_a, n_x, dtype=dtype),
        "R": draw(D, n_a, n_a, dtype=dtype),
        "B": draw(D, 2 * n_a, dtype=dtype) if bias else None,
        "lens": None if lengths is None else np.array(lengths, "int32"),
        "h0": draw(D, m, n_a, dtype=dtype) if initial else None,
    }
    inputs = [name if value is not None else "" for name, value in arrays.items()]
    made = helper.make_node(
        "RNN", inputs, ["Y", "Y_h"], direction=direction, hidden_size=n_a, **attributes
    )
    return made, {name: value for name, value in arrays.items() if value is not None}


def run_in_onnxruntime(made, arrays):
    inputs = {
        name: (helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in arrays.items()
    }
    return session(graph_of([made], {}, {"Y": 4, "Y_h": 3}, inputs)).run(None, arrays)


@pytest.mark.parametrize("lengths", [None, [7, 1, 4, 6, 2], [3, 0, 7, 0, 1], [0] * 5])
@pytest.mark.parametrize("clip", [None, 0.0, 0.3, 1.5, 50.0])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_operator_agrees_with_onnxruntime_for_lengths_and_clip(direction, clip, lengths):
    """Outputs are 0 beyond a length, and everywhere for a length of 0, whatever initial_h is."""
    D = 1 + (direction == "bidirectional")
    for first, bias, initial in itertools.product(("Tanh", "Relu"), (False, True), (False, True)):
        attributes = {"activations": [first, "Relu"][:D]}
        if clip is not None:
            attributes["clip"] = clip
        made, arrays = operator(direction, lengths, bias, initial, **attributes)
        for y, expected in zip(
            backend.run_node(made, arrays), run_in_onnxruntime(made, arrays), strict=True
        ):
            assert equal_up_to_rounding(y, expected)


def onnx_equation(X, W, R, B, lens, h0, reverse, clip):
    """One direction of tanh by ONNX's equation, step by step for each example."""
    Y, Y_h = np.zeros((T, m, len(R))), np.zeros((m, len(R)))
    for i, n in enumerate(lens):
        h = h0[i]
        for t in range(n)[:: -1 if reverse else 1]:
            h = np.tanh(np.clip(X[t, i] @ W.T + h @ R.T + sum(np.split(B, 2)), -clip, clip))
            Y[t, i] = Y_h[i] = h
    return Y, Y_h


@pytest.mark.parametrize("clip", [0.2, 0.7, 4.0])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_clip_agrees_with_the_equation_of_onnx(direction, clip):
    """In float64, to a few rounding errors per step, so that an approximation would fail."""
    made, arrays = operator(direction, LENGTHS, dtype="float64", clip=clip)
    X, lens = arrays["X"], arrays["lens"]
    rest = [arrays[name][0] for name in ("W", "R", "B")]
    c = np.float32(clip)  # attributes of nodes are
    expected = onnx_equation(X, *rest, lens, arrays["h0"][0], direction == "reverse", c)
    Y, Y_h = backend.run_node(made, arrays)
    assert equal_up_to_rounding(Y[:, 0], expected[0], 1e-14)
    assert equal_up_to_rounding(Y_h[0], expected[1], 1e-14)


def test_an_inactive_clip_needs_one_call(monkeypatch):
    calls = []

    def counted(*arguments, **options):
        calls.append(len(arguments[0]))
        return crnn.rnn_forward(*arguments, **options)

    monkeypatch.setattr(rnn, "rnn_forward", counted)
    backend.run_node(*operator("forward", None, clip=50.0))
    assert calls == [T]
    calls.clear()
    made, arrays = operator("forward", None, initial=False, clip=0.9)
    arrays["X"][:3] *= 0.01  # too small to reach the limit before step 3
    arrays["B"][:] = 0
    arrays["X"][3:] *= 100
    backend.run_node(made, arrays)
    assert calls == [T, 1, 1, 1]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_batchwise_layout_is_the_transpose_of_the_default(direction):
    """ONNX Runtime has no layout 1."""
    for clip in ({}, {"clip": 0.3}):
        made, arrays = operator(direction, LENGTHS, **clip)
        Y, Y_h = backend.run_node(made, arrays)
        made, _ = operator(direction, LENGTHS, layout=1, **clip)
        batchwise = dict(arrays, X=arrays["X"].swapaxes(0, 1), h0=arrays["h0"].swapaxes(0, 1))
        Y_1, Y_h_1 = backend.run_node(made, batchwise)
        assert np.array_equal(Y_1, Y.transpose(2, 0, 1, 3))
        assert np.array_equal(Y_h_1, Y_h.swapaxes(0, 1))


@pytest.mark.parametrize("asked", [["Y"], ["", "Y_h"], ["Y", ""], ["Y", "Y_h"]])
def test_outputs_are_optional(asked):
    made, arrays = operator("bidirectional", LENGTHS)
    both = dict(zip(["Y", "Y_h"], run_in_onnxruntime(made, arrays), strict=True))
    del made.output[:]
    made.output.extend(asked)
    found = backend.run_node(made, arrays)
    names = [name for name in asked if name]
    assert len(found) == len(names)
    for name in names:
        assert equal_up_to_rounding(found[name], both[name])


def test_an_omitted_output_is_not_used_as_an_omitted_input():
    """onnx's evaluator stores an output called "" where it looks for inputs called ""."""
    nodes = [
        helper.make_node("RNN", ["x", "W", "R"], ["", "Y_h"], hidden_size=4),
        helper.make_node("RNN", ["Y_h", "R", "R", "", ""], ["", "y"], hidden_size=4),
    ]
    proto = graph_of(nodes, constants(), {"y": 3})
    x = draw(T, m, n_x)
    assert equal_up_to_rounding(
        backend.run_model(proto, x)[0], session(proto).run(None, {"x": x})[0]
    )


def test_zero_steps_or_examples_agree_with_onnxruntime():
    made, arrays = operator("bidirectional", None)
    for empty in ({"X": arrays["X"][:0]}, {"X": arrays["X"][:, :0], "h0": arrays["h0"][:, :0]}):
        given = {**arrays, **empty}
        for y, expected in zip(
            backend.run_node(made, given), run_in_onnxruntime(made, given), strict=True
        ):
            assert y.shape == expected.shape
            assert (y == 0).all()


def test_an_rnn_inside_an_if_branch_runs_in_crnn():
    """onnx's own RNN has no relu."""
    recurrence = node("RNN", "x W R B", "Y y", hidden_size=4, activations=["Relu"])
    branches = {
        f"{name}_branch": helper.make_graph(nodes, name, [], [value_of("y", 3)])
        for name, nodes in {
            "then": [recurrence],
            "else": [node("Slice", "x axis_0 axis_1 axis_0", "y")],
        }.items()
    }
    proto = graph_of([helper.make_node("If", ["yes"], ["y"], **branches)], {
        **constants(), "yes": np.array(True)
    }, {"y": 3})  # fmt: skip
    x = draw(T, m, n_x)
    assert equal_up_to_rounding(
        backend.run_model(proto, x)[0], session(proto).run(None, {"x": x})[0]
    )


def test_unsupported_attributes_and_inputs_of_the_operator_are_refused():
    _, arrays = operator("forward", None)

    def refused(error, message, change=None, **attributes):
        altered, _ = operator("forward", None, **attributes)
        with pytest.raises(error, match=message):
            backend.run_node(altered, {**arrays, **(change or {})})

    sigmoid = {"activations": ["Sigmoid"]}
    refused(NotImplementedError, "activations: crnn has Tanh and Relu, got Sigmoid", **sigmoid)
    refused(ValueError, "clip: expected a number >= 0, got -1", clip=-1.0)
    refused(ValueError, "layout: expected 0 or 1, got 2", layout=2)
    refused(ValueError, "W: expected shape .* 1 directions, got", {"W": draw(2, 4, n_x)})
    refused(ValueError, "W: expected float32 or float64, got float16",
            {"W": draw(1, 4, n_x, dtype="float16")})  # fmt: skip
    refused(ValueError, "hidden_size: expected 5, the rows of W, got 4", {"W": draw(1, 5, n_x)})
    refused(ValueError, r"R: expected float32 of shape \(1, 4, 4\)", {"R": draw(1, 4, 5)})
    refused(ValueError, "B: expected float32", {"B": draw(1, 8, dtype="float64")})
    refused(ValueError, "X: expected float32 of shape", {"X": draw(T, m, 2)})
    refused(ValueError, "X: expected three axes", {"X": draw(T, n_x)})
    refused(ValueError, "initial_h: expected float32 of shape", {"h0": draw(1, 2, 4)})
    for lengths, message in (
        ([8, 1, 1, 1, 1], r"sequence_lens: expected integers in 0\.\.7, got \[8"),
        ([-1, 1, 1, 1, 1], r"sequence_lens: expected integers in 0\.\.7, got \[-1"),
        ([1, 1], r"sequence_lens: expected integers of shape \(5,\)"),
    ):
        altered, with_lengths = operator("forward", lengths)
        with pytest.raises(ValueError, match=message):
            backend.run_node(altered, with_lengths)
    with pytest.raises(ValueError, match=r"direction: expected one of .*'up'"):
        backend.run_node(*operator("up", None))
    with pytest.raises(ValueError, match="activations: expected one per direction"):
        backend.run_node(*operator("bidirectional", None, activations=["Relu"]))


def test_backend_refuses_wrong_arguments():
    proto = to_onnx(model_of())
    assert backend.supports_device("CPU")
    assert not backend.supports_device("CUDA")
    with pytest.raises(ValueError, match="device: expected 'CPU', got 'CUDA'"):
        backend.prepare(proto, "CUDA")
    with pytest.raises(TypeError, match="prepare: expected no keywords"):
        backend.prepare(proto, fast=True)
    with pytest.raises(TypeError, match="run: expected no keywords"):
        backend.prepare(proto).run(draw(T, m, n_x), fast=True)
    with pytest.raises(ValueError, match=r"inputs: expected 1, \['x'\], got 2"):
        backend.run_model(proto, [draw(T, m, n_x)] * 2)
    with pytest.raises(ValueError, match=r"inputs: expected \['x'\], got \['X'\]"):
        backend.run_model(proto, {"X": draw(T, m, n_x)})
    with pytest.raises(ValueError, match="model: not valid ONNX"):
        backend.prepare(graph_of([node("RNN", "x", "y")], {}))
    with pytest.raises(ValueError, match="node: not valid ONNX"):
        backend.run_node(node("RNN", "x", "y"), [draw(T, m, n_x)])
    with pytest.raises(TypeError, match="run_node: expected opset_version alone"):
        backend.run_node(RECURRENCE, [], fast=True)
    foreign = graph_of([node("Softmax", "x", "y", domain="other")], {}, {"y": 3})
    with pytest.raises(NotImplementedError, match="'Softmax' from domain 'other'"):
        backend.prepare(foreign)
    assert not backend.is_compatible(foreign)
    assert backend.is_compatible(proto)


def test_onnx_operator_tests_pass():
    """Without onnx's own runner, which would first build the tests of all operators."""
    import onnx.backend.test.case.node.rnn  # noqa: F401 - the import registers its cases
    from onnx.backend.test.case.node import _NodeTestCases
    from onnx.backend.test.runner import Runner

    cases = {case.name: case for case in _NodeTestCases if "rnn" in case.name}
    assert {"test_simple_rnn_defaults", "test_rnn_seq_length"} < set(cases)
    for case in cases.values():
        ready = backend.prepare(case.model, "CPU")
        for inputs, expected in case.data_sets:
            Runner.assert_similar_outputs(expected, ready.run(inputs), case.rtol, case.atol)


@pytest.mark.parametrize(
    "name",
    ["", ".backend", ".directions", ".gated", ".graph", ".numbers", ".reader", ".rnn", ".writer"],
)
def test_docstring_examples_run(name):
    assert doctest.testmod(importlib.import_module("crnn.onnx" + name)).failed == 0


def test_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(ROOT / "docs" / "onnx.md")


def test_dropout_is_not_part_of_an_exported_graph():
    """It acts in training only; reading the model back restores it."""
    models = [crnn.RNN(2, 3, 2, num_layers=2, dropout=p, rng=0) for p in (0, 0.5)]
    graphs = [to_onnx(model).graph.SerializeToString() for model in models]
    assert graphs[0] == graphs[1]
    assert from_onnx(to_onnx(models[1])).config.dropout == 0.5
