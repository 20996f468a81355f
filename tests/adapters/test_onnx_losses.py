"""ONNX: what the graphs of each loss compute, and the loss that is read from them."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import numpy_helper  # noqa: E402

import crnn  # noqa: E402
from crnn.onnx import from_onnx, to_onnx  # noqa: E402

T, M, N_X = 7, 5, 3
LENGTHS = np.array([7, 1, 4, 6, 2], "int32")
LOSSES = [
    ("binary_cross_entropy", 1), ("binary_cross_entropy", 3), ("mae", 2), (crnn.Huber(0.5), 2),
    (crnn.Quantiles((0.1, 0.9)), 4), ("gaussian_nll", 4),
]  # fmt: skip


def model_of(loss, n_y, steps="last"):
    model = crnn.RNN(N_X, 6, n_y, loss=loss, steps=steps, cell="lstm", rng=0)
    model.parameters["by"] = np.linspace(-1, 1, n_y)
    return model


@pytest.mark.parametrize(("loss", "n_y"), LOSSES)
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("lengths", [False, True])
def test_graphs_compute_predict_proba_and_keep_the_loss(loss, n_y, steps, lengths):
    model = model_of(loss, n_y, steps)
    proto = to_onnx(model, lengths=lengths)
    given = {"x": np.random.default_rng(0).standard_normal((T, M, N_X)).astype("float32")}
    if lengths:
        given["lengths"] = LENGTHS
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (y_hat,) = session.run(None, given)
    np.testing.assert_allclose(y_hat, model.predict_proba(**given), atol=1e-6, rtol=1e-6)
    back = from_onnx(proto)
    assert back.config == model.config
    np.testing.assert_array_equal(back.predict_proba(**given), model.predict_proba(**given))


def without_metadata(model):
    proto = to_onnx(model)
    del proto.metadata_props[:]
    return proto


def test_without_metadata_the_graphs_end_decides():
    for loss, n_y, found in (
        ("binary_cross_entropy", 1, "binary_cross_entropy"),
        ("huber", 2, "mse"),
        ("gaussian_nll", 2, "gaussian_nll"),
    ):
        assert from_onnx(without_metadata(model_of(loss, n_y))).config.loss == found
    values = without_metadata(model_of("mse", 2))
    for loss in ("mae", "cross_entropy", "binary_cross_entropy", crnn.Quantiles((0.1, 0.9))):
        assert from_onnx(values, loss=loss).config.loss == loss


def test_torchs_sigmoid_is_read():
    torch = pytest.importorskip("torch")
    import io
    import warnings

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = torch.nn.GRU(N_X, 5), torch.nn.Linear(5, 1)

        def forward(self, x):
            return torch.sigmoid(self.head(self.rnn(x)[1][0]))

    module, file, x = Model().eval(), io.BytesIO(), torch.randn(T, M, N_X)
    with warnings.catch_warnings():  # the exporter is deprecated
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), file, dynamo=False, input_names=["x"])
    model = from_onnx(file.getvalue())
    assert model.config.loss == "binary_cross_entropy"
    np.testing.assert_allclose(model.predict_proba(x), module(x).detach(), atol=1e-6)


def test_what_does_not_fit_is_refused():
    labels = to_onnx(model_of("binary_cross_entropy", 2))
    for loss in ("mse", "cross_entropy", "gaussian_nll"):
        with pytest.raises(ValueError, match="loss: expected 'binary_cross_entropy', the graph"):
            from_onnx(labels, loss=loss)
    with pytest.raises(
        ValueError, match="loss: expected 'gaussian_nll', the graph ends with means"
    ):
        from_onnx(to_onnx(model_of("gaussian_nll", 2)), loss="mse")
    for entry in labels.metadata_props:
        entry.value = entry.value.replace("binary_cross_entropy", "mae")
    with pytest.raises(ValueError, match=r"metadata_props: crnn\.config is .*mae.*binary"):
        from_onnx(labels)


@pytest.mark.parametrize(
    ("constant", "value"), [("half", [0.0, 0.4]), ("are_deviations", [True, False])]
)
def test_other_products_and_choices_of_the_logits_are_refused(constant, value):
    proto = without_metadata(model_of("gaussian_nll", 2))
    for tensor in proto.graph.initializer:
        if tensor.name == constant:
            dtype = numpy_helper.to_array(tensor).dtype
            tensor.CopyFrom(numpy_helper.from_array(np.array(value, dtype), constant))
    with pytest.raises(ValueError, match=r"expected half of|expected the means and then"):
        from_onnx(proto)


def squared(logits, y):
    e = logits - y
    return (e**2).sum(axis=1), 2 * e


def test_a_loss_of_ones_own_is_given_to_the_reader_again():
    model = model_of(squared, 2)
    proto = to_onnx(model)
    with pytest.raises(ValueError, match=r"loss of its own, .*squared, which no file can hold"):
        from_onnx(proto)
    assert from_onnx(proto, loss=squared).config == model.config


class Doubled(crnn.Loss):
    def __call__(self, logits, y):
        return squared(2 * logits, y)

    def y_hat(self, logits):
        return 2 * logits


def test_a_y_hat_of_ones_own_has_no_graph():
    with pytest.raises(ValueError, match=r"model: expected a loss of crnn's, .*Doubled"):
        to_onnx(model_of(Doubled(), 2))
