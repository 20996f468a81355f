"""ONNX graphs whose states are inputs and outputs: streams in another runtime, and the reader."""

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

import crnn  # noqa: E402
from crnn.check import tolerance  # noqa: E402
from crnn.onnx import backend, from_onnx, to_onnx  # noqa: E402

T, m, n_x, n_a, n_y = 6, 3, 4, 5, 2
CELLS = ("vanilla", "gru", "lstm")
DIRECTIONS = ("forward", "reverse", "bidirectional")


def model_of(cell, **options):
    return crnn.RNN(n_x, n_a, n_y, cell=cell, rng=1, **options)


def session_of(proto):
    return runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def names_of(values):
    return [value.name for value in values]


def flat(state):
    """The arrays of a state, in the order of the graph's inputs."""
    return [array for item in state for array in (item if isinstance(item, tuple) else (item,))]


def nested(model, arrays):
    """The opposite of `flat`."""
    k = len(model.config.kind.states)
    return [
        a if k == 1 else (a, *arrays[i + 1 : i + k]) for i, a in enumerate(arrays) if i % k == 0
    ]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def initial_of(proto):
    count = sum(value.name[:2] in ("a0", "c0") for value in proto.graph.input)
    return [draw(m, n_a, seed=k) for k in range(count)]


def same(found, expected, steps=T):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance("float32", steps))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_one_step_at_a_time_is_a_stream_and_the_whole_sequence(cell, num_layers, steps):
    model = model_of(cell, num_layers=num_layers, steps=steps)
    x, stream = draw(T, m, n_x), model.stream(m)
    session = session_of(to_onnx(model, state=True))
    inputs = names_of(session.get_inputs())[1:]
    state = [np.zeros((m, n_a), "float32") for _ in inputs]
    answers = []
    for t in range(T):
        y_hat, *state = session.run(
            None, {"x": x[t : t + 1], **dict(zip(inputs, state, strict=True))}
        )
        answers.append(y_hat if steps == "last" else y_hat[0])
        same([answers[-1], *state], [stream.step(x[t]), *flat(stream.state)], t + 1)
    whole = model.predict_proba(x)
    same(answers if steps == "all" else answers[-1:], whole if steps == "all" else [whole])


@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_of_symbols(cell):
    model = model_of(cell, steps="all")
    session = session_of(to_onnx(model, integers=True, state=True))
    stream = model.stream()
    inputs = names_of(session.get_inputs())[1:]
    state = [np.zeros((1, n_a), "float32") for _ in inputs]
    for symbol in (3, 0, 2):
        y_hat, *state = session.run(
            None, {"x": np.array([[symbol]]), **dict(zip(inputs, state, strict=True))}
        )
        same([y_hat[0]], [stream.step(symbol)])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("steps", ["last", "all", "mean"])
@pytest.mark.parametrize("lengths", [None, np.array([6, 2, 4], "int32")])
def test_states_are_those_of_predict(cell, direction, steps, lengths):
    model = model_of(cell, num_layers=2, direction=direction, steps=steps)
    proto = to_onnx(model, lengths=lengths is not None, state=True)
    x, initial = draw(T, m, n_x), initial_of(proto)
    given = {"x": x} if lengths is None else {"x": x, "lengths": lengths}
    session = session_of(proto)
    inputs = names_of(session.get_inputs())[len(given) :]
    found = session.run(None, given | dict(zip(inputs, initial, strict=True)))
    y_hat, state = model.predict_proba(
        x, lengths=lengths, a0=nested(model, initial), return_state=True
    )
    same(found, [y_hat, *flat(state)])


@pytest.mark.parametrize("cell", CELLS)
def test_the_backend_runs_float64(cell):
    model = model_of(cell, dtype="float64", direction="bidirectional")
    proto = to_onnx(model, state=True)
    x, initial = draw(T, m, n_x).astype(float), [a.astype(float) for a in initial_of(proto)]
    found = backend.prepare(proto).run([x, *initial])
    y_hat, state = model.predict_proba(x, a0=nested(model, initial), return_state=True)
    for a, b in zip(found, [y_hat, *flat(state)], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance("float64", T))


def test_names_and_shapes():
    graph = to_onnx(model_of("lstm", num_layers=2), lengths=True, state=True).graph
    assert names_of(graph.input) == ["x", "lengths", "a0_l0", "c0_l0", "a0_l1", "c0_l1"]
    assert names_of(graph.output) == ["y_hat", "a_n_l0", "c_n_l0", "a_n_l1", "c_n_l1"]
    for value in [*graph.input[2:], *graph.output[1:]]:
        dims = value.type.tensor_type.shape.dim
        assert (dims[0].dim_param, dims[1].dim_value, len(dims)) == ("m", n_a, 2)
    names = names_of(to_onnx(model_of("gru", direction="bidirectional"), state=True).graph.input)
    assert names == ["x", "a0_l0", "a0_l0_reverse"]


def test_a_trained_initial_state_is_an_input():
    model = model_of("lstm", initial_state="trained")
    for name, value in (("a0", 0.5), ("c0", -0.25)):
        model.parameters[name] = np.full(n_a, value)
    with pytest.raises(ValueError, match="unless state=True makes the initial state an input"):
        to_onnx(model)
    proto = to_onnx(model, state=True)
    begin = {k: np.tile(model.parameters[k], (m, 1)).astype("float32") for k in ("a0", "c0")}
    x = draw(T, m, n_x)
    same(session_of(proto).run(["y_hat"], {"x": x, **begin}), [model.predict_proba(x)])
    assert from_onnx(proto).config.initial_state == "zeros"


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_leaky_cell_whose_leak_is_1(activation):
    """It is written as the vanilla cell: its states are too with one equation, not the other."""
    model = model_of("leaky", leak=1, activation=activation, initial_state="trained")
    model.parameters["a0"] = np.linspace(-1, 1, n_a)
    x, stream = draw(1, m, n_x), model.stream(m)
    state = np.tile(model.parameters["a0"], (m, 1))
    found = session_of(to_onnx(model, state=True)).run(None, {"x": x, "a0": state})
    same(found, [stream.step(x[0]), *stream.state], 1)
    current = model_of("leaky", leak=1, activation=activation, equation="current")
    assert to_onnx(current).graph.node[0].op_type == "RNN"
    with pytest.raises(ValueError, match="expected equation='rate' with state=True, got 'current'"):
        to_onnx(current, state=True)


def test_the_flag_is_checked():
    with pytest.raises(TypeError, match="state: expected True or False, got 'yes'"):
        to_onnx(model_of("gru"), state="yes")


# Reading.


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("flags", [{}, {"integers": True}, {"lengths": True}])
def test_what_was_written_is_read(cell, direction, steps, flags):
    model = model_of(cell, num_layers=2, direction=direction, steps=steps)
    again = from_onnx(to_onnx(model, state=True, **flags))
    assert again.config == model.config
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], value)


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_a_model_of_torch_with_its_state_is_read(operator):
    """Its states are (layers, m, n_a), and are cut in the graph."""
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = getattr(torch.nn, operator)(n_x, n_a, num_layers=2)
            self.linear = torch.nn.Linear(n_a, n_y)

        def forward(self, x, *state):
            a, state = self.cell(x, state if operator == "LSTM" else state[0])
            return self.linear(a), state

    torch.manual_seed(0)
    module, x = Model().eval(), torch.from_numpy(draw(T, m, n_x))
    count = 2 if operator == "LSTM" else 1
    state = tuple(torch.from_numpy(draw(2, m, n_a, seed=k + 1)) for k in range(count))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x, *state), file, dynamo=False)
    model = from_onnx(file.getvalue())
    expected, _ = module(x, *state)
    layers = [tuple(part[layer].numpy() for part in state) for layer in range(2)]
    a0 = layers if operator == "LSTM" else [layer[0] for layer in layers]
    same([model.predict_proba(x.numpy(), a0=a0)], [expected.detach().numpy()])


def refused(message, change, cell="lstm"):
    proto = to_onnx(model_of(cell, num_layers=2), state=True)
    change(proto.graph)
    with pytest.raises(ValueError, match=message):
        from_onnx(proto)


def test_states_in_another_order_are_refused():
    """Whoever feeds outputs back as inputs would otherwise exchange the layers."""

    def exchange(graph):
        second, third = graph.output[1].name, graph.output[3].name
        graph.output[1].name, graph.output[3].name = third, second

    refused("the states after the last step, in the order of the inputs", exchange)


def test_other_uses_of_states_are_refused():
    def inputs_of(graph, operator):
        return [node.input for node in graph.node if node.op_type == operator]

    def twice(graph):
        above, below = inputs_of(graph, "GRU")[::-1]
        above[5] = below[5]

    def half(graph):
        inputs_of(graph, "LSTM")[1][6] = ""

    def lower_only(graph):
        inputs_of(graph, "GRU")[1][5] = ""
        del graph.input[2]
        del graph.output[2]
        unused = [n for n in graph.node if {"a0_l1", "a_n_l1"} & {*n.input, *n.output}]
        for node in unused:
            graph.node.remove(node)

    def another_axis(graph):
        graph.input[1].type.tensor_type.shape.dim[0].dim_param = "k"

    refused("states that one layer and direction each begins from", twice, "gru")
    refused("an input of the graph for both or neither", half)
    refused("all layers to begin from inputs, or all from zeros", lower_only, "gru")
    refused("got an axis named 'k'", another_axis)
