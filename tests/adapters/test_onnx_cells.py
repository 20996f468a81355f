"""The operators GRU and LSTM, compared with ONNX Runtime, torch, their equations and onnx."""

import io
import itertools
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from fixtures import load  # noqa: E402
from onnx import helper  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import backend, from_onnx, to_onnx  # noqa: E402

T, m, n_x, n_a = 7, 5, 3, 4
GATES = {"GRU": 3, "LSTM": 4}
OUTPUTS = {"GRU": ["Y", "Y_h"], "LSTM": ["Y", "Y_h", "Y_c"]}
DIRECTIONS = ("forward", "reverse", "bidirectional")
#: Attributes under which an operator has another equation.
FORMS = [("GRU", {"linear_before_reset": 0}), ("GRU", {"linear_before_reset": 1}), ("LSTM", {})]


def operator(kind, direction="forward", lengths=None, optional=True, dtype="float32", **attributes):
    """A node and its inputs by name."""
    D, rows = 1 + (direction == "bidirectional"), GATES[kind] * n_a
    shapes = {"X": (T, m, n_x), "W": (D, rows, n_x), "R": (D, rows, n_a)}
    if optional:
        shapes |= {"B": (D, 2 * rows), "initial_h": (D, m, n_a)}
        shapes |= {"initial_c": (D, m, n_a)} if kind == "LSTM" else {}
    rng = np.random.default_rng(5)
    arrays = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    if lengths is not None:
        arrays["sequence_lens"] = np.array(lengths, "int32")
    names = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c"]
    names = [name if name in arrays else "" for name in names[: 6 + (kind == "LSTM")]]
    made = helper.make_node(
        kind, names, OUTPUTS[kind], direction=direction, hidden_size=n_a, **attributes
    )
    return made, arrays


def run_in_onnxruntime(made, arrays):
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in arrays.items()
    ]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in made.output]
    proto = helper.make_model(
        helper.make_graph([made], "g", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 22)],
        ir_version=10,
    )
    return runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    ).run(None, arrays)


def assert_equal(found, expected, limit=2e-6):
    assert len(found) == len(expected)
    for y, e in zip(found, expected, strict=True):
        assert y.shape == e.shape
        assert y.dtype == e.dtype
        assert np.abs(y - e).max() <= limit


@pytest.mark.parametrize("lengths", [None, [7, 1, 4, 6, 2], [3, 0, 7, 0, 1]])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("kind", "attributes"), FORMS)
def test_operators_agree_with_onnxruntime(kind, attributes, direction, lengths):
    for optional in (False, True):
        made, arrays = operator(kind, direction, lengths, optional, **attributes)
        assert_equal(backend.run_node(made, arrays), run_in_onnxruntime(made, arrays))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("kind", "attributes"), FORMS)
def test_batchwise_layout_is_the_transpose_of_the_default(kind, attributes, direction):
    made, arrays = operator(kind, direction, [7, 1, 4, 6, 2], **attributes)
    Y, *final = backend.run_node(made, arrays)
    made, _ = operator(kind, direction, [7, 1, 4, 6, 2], layout=1, **attributes)
    swapped = {n: a.swapaxes(0, 1) for n, a in arrays.items() if n == "X" or "initial" in n}
    found = backend.run_node(made, {**arrays, **swapped})
    assert_equal(found, [Y.transpose(2, 0, 1, 3), *(v.swapaxes(0, 1) for v in final)], 0)


def test_the_two_resets_are_never_mistaken_for_each_other():
    for direction in DIRECTIONS:
        both = [
            backend.run_node(*operator("GRU", direction, linear_before_reset=after))
            for after in (0, 1)
        ]
        assert np.abs(both[0].Y - both[1].Y).max() > 0.1
        default = backend.run_node(*operator("GRU", direction))
        assert np.array_equal(default.Y, both[0].Y)


@pytest.mark.parametrize("kind", GATES)
def test_layers_exported_by_torch_run(kind):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(n_x, n_a, num_layers=2, bidirectional=True).eval()
    x, file = torch.randn(T, m, n_x), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), file, dynamo=False)
    y, h = module(x)
    expected = [y, *(h if kind == "LSTM" else [h])]
    found = backend.run_model(onnx.load_from_string(file.getvalue()), x.numpy())
    assert_equal(found, [value.detach().numpy() for value in expected])


@pytest.mark.parametrize(("kind", "attributes"), FORMS)
def test_float64_agrees_with_the_equations_of_onnx(kind, attributes):
    made, arrays = operator(kind, dtype="float64", **attributes)
    W, R, B, h = (arrays[name][0] for name in ("W", "R", "B", "initial_h"))
    c = arrays["initial_c"][0] if kind == "LSTM" else None
    Wb, Rb = np.split(B, 2)

    def f(z):
        return 1 / (1 + np.exp(-z))

    for x in arrays["X"]:
        u, v = np.split(x @ W.T + Wb, GATES[kind], 1), np.split(h @ R.T + Rb, GATES[kind], 1)
        if kind == "LSTM":
            i, o, forget = (f(u[k] + v[k]) for k in range(3))
            c = forget * c + i * np.tanh(u[3] + v[3])
            h = o * np.tanh(c)
        else:
            z, r = f(u[0] + v[0]), f(u[1] + v[1])
            if attributes["linear_before_reset"]:
                n = np.tanh(u[2] + r * v[2])
            else:
                n = np.tanh(u[2] + (r * h) @ R[2 * n_a :].T + Rb[2 * n_a :])
            h = (1 - z) * n + z * h
    _, *final = backend.run_node(made, arrays)
    assert_equal(final, [h[None]] if c is None else [h[None], c[None]], 1e-14)


def test_zero_steps_and_chosen_outputs():
    for kind, chosen in itertools.product(GATES, (["Y"], ["", "Y_h"])):
        made, arrays = operator(kind)
        whole = backend.run_node(made, arrays)
        del made.output[:]
        made.output.extend(chosen)
        (found,) = backend.run_node(made, arrays)
        assert np.array_equal(found, getattr(whole, chosen[-1]))
        (empty,) = backend.run_node(made, {**arrays, "X": arrays["X"][:0]})
        assert not empty.any()


def test_what_crnn_lacks_is_refused_by_name():
    def refused(error, message, kind, change=None, **attributes):
        made, arrays = operator(kind, **attributes)
        with pytest.raises(error, match=message):
            backend.run_node(made, {**arrays, **(change or {})})

    for kind in GATES:
        refused(NotImplementedError, f"{kind}: clip: crnn has none, got 1", kind, clip=1.0)
        relu = ["Sigmoid", "Relu", "Tanh"][: len(GATES) + (kind == "LSTM")]
        refused(NotImplementedError, f"{kind}: activations: crnn has", kind, activations=relu)
        refused(ValueError, f"{kind}: layout: expected 0 or 1, got 2", kind, layout=2)
        refused(ValueError, f"{kind}: X: expected float32 of shape", kind,
                {"X": np.zeros((T, m, 2), "float32")})  # fmt: skip
        made, arrays = operator(kind, lengths=[8, 1, 1, 1, 1])
        with pytest.raises(ValueError, match=rf"{kind}: sequence_lens: .* 0\.\.7, got \[8"):
            backend.run_node(made, arrays)
    refused(NotImplementedError, "LSTM: input_forget", "LSTM", input_forget=1)
    made, arrays = operator("LSTM", lengths=[7] * m)
    made.input.append("P")
    with pytest.raises(NotImplementedError, match="LSTM: P: crnn has no peepholes"):
        backend.run_node(made, {**arrays, "P": np.zeros((1, 3 * n_a), "float32")})


def test_onnx_operator_tests_pass():
    """All of onnx's own, except that peepholes are refused by name."""
    import onnx.backend.test.case.node.gru
    import onnx.backend.test.case.node.lstm  # noqa: F401 - the import registers its cases
    from onnx.backend.test.case.node import _NodeTestCases
    from onnx.backend.test.runner import Runner

    cases = {
        case.name: case
        for case in _NodeTestCases
        if case.name.startswith(("test_gru_", "test_lstm_"))
    }
    assert {"test_gru_seq_length", "test_lstm_bidirectional"} < set(cases)
    with pytest.raises(NotImplementedError, match="LSTM: P: crnn has no peepholes"):
        backend.prepare(cases.pop("test_lstm_with_peepholes").model, "CPU")
    for case in cases.values():
        ready = backend.prepare(case.model, "CPU")
        for inputs, expected in case.data_sets:
            Runner.assert_similar_outputs(expected, ready.run(inputs), case.rtol, case.atol)


@pytest.mark.parametrize("case", load("onnxruntime"))
def test_operators_give_the_stored_outputs_of_onnxruntime(case):
    """Those of tests/fixtures, whose version may be older than the one that is installed."""
    arrays = load("onnxruntime")[case]
    names = [name for name in arrays if name[0] != "Y"]
    made = helper.make_node(
        case.partition("_")[0].upper(), names, [name for name in arrays if name[0] == "Y"],
        direction="bidirectional", hidden_size=4,
        **({"linear_before_reset": int(case == "gru")} if "gru" in case else {}),
    )  # fmt: skip
    found = backend.run_node(made, {name: arrays[name] for name in names})
    assert_equal(found, [arrays[name] for name in made.output])


class TestKeras:
    """The stored outputs of Keras, through ONNX."""

    def case(self, name):
        arrays = load("keras")[name]
        weights = [arrays[key] for key in sorted(arrays) if key.startswith("weights")]
        return weights, arrays["x"], arrays["y_hat"]

    @pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
    def test_models(self, cell):
        weights, x, y_hat = self.case(cell)
        model = crnn.RNN.from_keras_weights(
            weights, direction="bidirectional", steps="all", loss="mse"
        )
        session = runtime.InferenceSession(
            to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        assert_equal(session.run(None, {"x": x}), [y_hat])

    def test_a_gru_with_reset_after_false(self):
        """ONNX's default; the gates of both have the same order."""
        (W, R, b, Wya, by), x, y_hat = self.case("gru_reset_before_alone")
        arrays = {"X": x, "W": W.T[None], "R": R.T[None], "B": np.pad(b, (0, len(b)))[None]}
        made = helper.make_node("GRU", [*arrays], ["Y"], hidden_size=len(R))
        for run in (backend.run_node, run_in_onnxruntime):
            (Y,) = run(made, arrays)
            assert_equal([Y[:, 0] @ Wya + by], [y_hat])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
class TestModels:
    """Models of crnn, written and read."""

    def model(self, cell, **options):
        rnn = crnn.RNN(n_x, n_a, 2, cell=cell, rng=0, **options)
        rng = np.random.default_rng(1)
        for value in rnn.parameters.values():
            value[...] = rng.standard_normal(value.shape)
        return rnn

    @pytest.mark.parametrize(
        ("direction", "num_layers", "steps"),
        list(itertools.product(DIRECTIONS, (1, 2), ("last", "all"))),
    )
    @pytest.mark.parametrize("ragged", [False, True])
    def test_onnxruntime_gives_the_models_answers(self, cell, direction, num_layers, steps, ragged):
        rnn = self.model(cell, direction=direction, num_layers=num_layers, steps=steps)
        written = to_onnx(rnn, lengths=ragged)
        x = np.random.default_rng(2).standard_normal((T, m, n_x)).astype("float32")
        feed = {"x": x}
        lengths = None
        if ragged:
            lengths = np.array([7, 1, 3, 7, 5])
            feed["lengths"] = lengths.astype("int32")
        session = runtime.InferenceSession(
            written.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (y_hat,) = session.run(None, feed)
        np.testing.assert_allclose(y_hat, rnn.predict_proba(x, lengths), rtol=0, atol=2e-6)
        read = from_onnx(written)
        assert read.config == rnn.config
        for name, value in rnn.parameters.items():
            np.testing.assert_array_equal(read.parameters[name], value)

    def test_torchs_exports_are_read(self, cell):
        """torch names Y_c among the outputs of an LSTM even if nothing reads it."""
        torch = pytest.importorskip("torch")

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = getattr(torch.nn, cell.upper())(n_x, n_a, 2, bidirectional=True)
                self.head = torch.nn.Linear(2 * n_a, 2)

            def forward(self, x):
                return self.head(self.rnn(x)[0])

        torch.manual_seed(0)
        theirs, file = Model().eval(), io.BytesIO()
        x = torch.randn(T, m, n_x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(theirs, (x,), file, dynamo=False)
        mine = from_onnx(file.getvalue())
        assert mine.config.cell == cell
        with torch.no_grad():
            expected = theirs(x).numpy()
        np.testing.assert_allclose(mine.predict(x.numpy()), expected, rtol=0, atol=2e-6)


class TestLeaky:
    """ONNX has no operator for it, but a leak of 1 gives the vanilla cell."""

    @pytest.mark.parametrize("options", [{"leak": 0.5}, {"leak": [1, 1, 1, 0.5]},
                                         {"leak": 1, "noise": 0.1}], ids=str)  # fmt: skip
    def test_it_is_refused(self, options):
        with pytest.raises(ValueError, match=r"or 'leaky' with leak 1 and noise 0, got 'leaky'"):
            to_onnx(crnn.RNN(n_x, n_a, 2, cell="leaky", rng=0, **options))

    @pytest.mark.parametrize("leak", [1, [1.0] * n_a], ids=str)
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    @pytest.mark.parametrize("equation", ["rate", "current"])
    def test_with_a_leak_of_1_it_is_written_as_vanilla(self, equation, activation, leak):
        options = {"num_layers": 2, "direction": "bidirectional", "activation": activation}
        leaky = crnn.RNN(n_x, n_a, 2, cell="leaky", leak=leak, equation=equation, rng=0, **options)
        for value in leaky.parameters.values():
            value += 0.1
        written = to_onnx(leaky)
        assert {node.op_type for node in written.graph.node} >= {"RNN", "Softmax"}
        x = np.random.default_rng(2).standard_normal((T, m, n_x)).astype("float32")
        session = runtime.InferenceSession(
            written.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        y_hat = leaky.predict_proba(x)
        assert_equal(session.run(None, {"x": x}), [y_hat])
        vanilla = from_onnx(written)
        assert vanilla.config == crnn.RNN(n_x, n_a, 2, rng=0, **options).config
        assert_equal([vanilla.predict_proba(x)], [y_hat])


def test_masks_and_signs_are_not_part_of_a_graph():
    """They say how to train; the weights that they left are written as any others are."""
    constrained = {"masks": {"Waa": 1 - np.eye(n_a)}, "signs": {"Waa": [1, 1, 1, -1]}}
    model = crnn.RNN(n_x, n_a, 2, rng=0, **constrained)
    read = from_onnx(to_onnx(model), loss="cross_entropy")
    assert read.config == crnn.RNN(n_x, n_a, 2, rng=0).config
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(read.parameters[name], value)
