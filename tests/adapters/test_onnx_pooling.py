"""ONNX: graphs whose answers are read from the mean or the maximum of the states over time."""

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import numpy_helper  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import backend, from_onnx, to_onnx  # noqa: E402

T, M, N_X = 7, 5, 3
LENGTHS = np.array([7, 1, 4, 6, 2], "int32")
X = np.random.default_rng(0).standard_normal((T, M, N_X)).astype("float32")
each_steps = pytest.mark.parametrize("steps", ["mean", "max", "pooled"])
each_lengths = pytest.mark.parametrize("lengths", [False, True])


def model_of(steps, **options):
    model = crnn.RNN(N_X, 6, 4, steps=steps, rng=0, **options)
    model.parameters["Wya"] *= 3
    return model


@each_steps
@each_lengths
@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
@pytest.mark.parametrize(
    ("direction", "num_layers"), [("forward", 2), ("reverse", 1), ("bidirectional", 2)]
)
def test_the_runtime_computes_the_models_answers(steps, lengths, cell, direction, num_layers):
    model = model_of(steps, cell=cell, direction=direction, num_layers=num_layers)
    proto = to_onnx(model, lengths=lengths)
    given = {"x": X, "lengths": LENGTHS} if lengths else {"x": X}
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y_hat,) = session.run(None, given)
    np.testing.assert_allclose(y_hat, model.predict_proba(**given), atol=2e-6)
    back = from_onnx(proto)
    assert back.config == model.config
    np.testing.assert_array_equal(back.predict_proba(**given), model.predict_proba(**given))


@each_steps
@each_lengths
def test_the_backend_computes_them_in_float64(steps, lengths):
    model = model_of(steps, dtype="float64", direction="bidirectional")
    given = [X.astype("float64"), LENGTHS][: 1 + lengths]
    (y_hat,) = backend.run_model(to_onnx(model, lengths=lengths), given)
    np.testing.assert_allclose(y_hat, model.predict_proba(*given), atol=1e-13)


@each_steps
def test_symbols(steps):
    model = model_of(steps)
    symbols = np.random.default_rng(0).integers(0, N_X, (T, M))
    proto = to_onnx(model, integers=True)
    (y_hat,) = backend.run_model(proto, [symbols])
    np.testing.assert_allclose(y_hat, model.predict_proba(symbols), atol=1e-6)
    assert from_onnx(proto).config == model.config


def side_by_side(torch, a, h, axis):
    last = torch.cat([h[0], h[1]], -1)
    return torch.cat([last, a.mean(axis), a.amax(axis)], -1)


HEADS = {
    "mean": lambda torch, a, h, axis: a.mean(axis),
    "max": lambda torch, a, h, axis: a.max(axis).values,
    "pooled": side_by_side,
}


@each_steps
@pytest.mark.parametrize("batch_first", [False, True])
def test_torch_models_that_pool_are_read(steps, batch_first):
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.GRU(N_X, 5, bidirectional=True, batch_first=batch_first)
            self.linear = torch.nn.Linear(30 if steps == "pooled" else 10, 2)

        def forward(self, x):
            a, h = self.rnn(x)
            return self.linear(HEADS[steps](torch, a, h, 1 if batch_first else 0))

    torch.manual_seed(0)
    module, file = Model().eval(), io.BytesIO()
    x = torch.from_numpy(X.swapaxes(0, 1) if batch_first else X).contiguous()
    with warnings.catch_warnings():  # the exporter is deprecated
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), file, dynamo=False, input_names=["x"],
            dynamic_axes={"x": {0: "a", 1: "b"}},
        )  # fmt: skip
    model = from_onnx(file.getvalue(), loss="mse")
    assert model.config.steps == steps
    np.testing.assert_allclose(model.predict(X), module(x).detach().numpy(), atol=1e-6)


def changed(proto, name, value):
    """The graph with other numbers in a constant."""
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            dtype = numpy_helper.to_array(tensor).dtype
            tensor.CopyFrom(numpy_helper.from_array(np.array(value, dtype), name))
    return proto


def divided(proto, by):
    """The graph with another divisor."""
    (node,) = (node for node in proto.graph.node if node.op_type == "Div")
    node.input[1] = by
    return proto


def without(proto, operator, source):
    """The graph without a node: what read its output reads `source`."""
    (node,) = (node for node in proto.graph.node if node.op_type == operator)
    for other in proto.graph.node:
        for k, name in enumerate(other.input):
            if name == node.output[0]:
                other.input[k] = source
    proto.graph.node.remove(node)
    return proto


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (
            lambda: without(to_onnx(model_of("mean"), lengths=True), "Div", "sum"),
            "Gemm: expected the mean or the maximum of the states over time",
        ),
        (
            lambda: without(to_onnx(model_of("mean"), lengths=True), "Where", "a_l0"),
            "ReduceSum: expected every valid step of each example once, and no other",
        ),
        (
            lambda: changed(to_onnx(model_of("max"), lengths=True), "max_past", 0.0),
            "ReduceMax: expected every valid step of each example once, and no other",
        ),
        (
            lambda: changed(to_onnx(model_of("max"), lengths=True), "max_past", 2.0),
            "Where: expected values of the model where a constant condition holds, else 0 or -inf",
        ),
        (
            lambda: divided(to_onnx(model_of("mean"), lengths=True), "mean_past"),
            "Div: expected the number of valid steps of each example as divisor",
        ),
        (
            lambda: changed(to_onnx(model_of("mean")), "mean_axes", [1]),
            "ReduceMean: expected every valid step of each example once, and no other",
        ),
    ],
)
def test_graphs_that_pool_otherwise_are_refused(proto, message):
    with pytest.raises(ValueError, match=message):
        from_onnx(proto())


def test_parts_in_another_order_are_refused():
    proto = to_onnx(model_of("pooled"))
    (node,) = (node for node in proto.graph.node if node.op_type == "Concat")
    node.input[:] = [node.input[k] for k in (1, 0, 2)]
    with pytest.raises(ValueError, match=r"Gemm: expected .* got \['mean', 'last', 'max'\]"):
        from_onnx(proto)
