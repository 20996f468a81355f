"""Trained initial states: gradients, streams, files, and other libraries that cannot hold them."""

import numpy as np
import pytest

import crnn
from crnn import check

T, M, N_X, N_A, N_Y = 5, 4, 3, 4, 3
CELLS = {
    "vanilla": {},
    "leaky": {"cell": "leaky", "leak": 0.3},
    "current": {"cell": "leaky", "leak": 0.3, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def model(cell, **options):
    """A model whose biases and initial states are not zero."""
    options = {"dtype": "float64", "rng": 0, "initial_state": "trained", **cell, **options}
    rnn = crnn.RNN(N_X, N_A, N_Y, **options)
    rng = np.random.default_rng(5)
    for name, value in rnn.parameters.items():
        if not name.startswith("W"):
            rnn.parameters[name] = rng.uniform(-0.5, 0.5, value.shape)
    return rnn


@every_cell
class TestEveryCell:
    @pytest.mark.parametrize("steps", ["last", "all"])
    @pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
    @pytest.mark.parametrize("lengths", [None, np.array([5, 1, 3, 4])], ids=["equal", "ragged"])
    def test_gradients_agree_with_finite_differences(self, cell, steps, direction, lengths):
        rnn = model(cell, steps=steps, direction=direction, num_layers=2)
        rng = np.random.default_rng(1)
        x = rng.standard_normal((T, M, N_X))
        y = rng.integers(0, N_Y, (M,) if steps == "last" else (T, M))
        assert check.model_error(rnn, x, y, lengths) < check.FINITE_DIFFERENCE_TOLERANCE

    @pytest.mark.parametrize("init", ["orthogonal", "pytorch", "keras"])
    def test_it_begins_at_zero_and_changes_no_other_initial_value(self, cell, init):
        zeros, trained = (
            crnn.RNN(N_X, N_A, N_Y, rng=0, init=init, initial_state=state, **cell).parameters
            for state in ("zeros", "trained")
        )
        for name in zeros:
            np.testing.assert_array_equal(trained[name], zeros[name])
        states = ["a0", "c0"] if cell.get("cell") == "lstm" else ["a0"]
        assert [name for name in trained if name not in zeros] == states
        assert not any(trained[name].any() for name in states)

    def test_training_changes_it(self, cell):
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((T, 64, N_X)), rng.integers(0, N_Y, 64)
        rnn = crnn.RNN(N_X, N_A, N_Y, initial_state="trained", rng=0, **cell)
        before = rnn.evaluate(x, y)[0]
        rnn.fit(x, y, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
        assert rnn.evaluate(x, y)[0] < before
        assert rnn.parameters["a0"].all()

    def test_a_stream_begins_there(self, cell):
        rnn = model(cell, steps="all", num_layers=2)
        x = np.random.default_rng(2).standard_normal((T, M, N_X))
        expected = rnn.predict_proba(x)
        stream = rnn.stream(m=M)
        for _ in range(2):
            y_hat = np.stack([stream.step(x_t) for x_t in x])
            tolerance = check.tolerance("float64", N_A + N_X)
            np.testing.assert_allclose(y_hat, expected, rtol=0, atol=tolerance)
            stream.reset()

    def test_windows_of_a_long_sequence_begin_there_once(self, cell):
        """With windows of 64 steps, a sequence of 150 gives the loss of one pass over it."""
        rnn = model(cell, steps="all", num_layers=2)
        symbols = np.random.default_rng(4).integers(0, N_X, 151)
        y_hat = rnn.predict_proba(symbols[:-1, None])[:, 0]  # (150, n_y)
        loss = -np.log(y_hat[np.arange(150), symbols[1:]]).mean()
        assert rnn.evaluate_stream(symbols, batch_size=1)[0] == pytest.approx(loss, rel=1e-12)

    def test_later_windows_have_no_gradient_for_it(self, cell):
        """The first window moves a0 by SGD; a second one of the same epoch must not."""
        symbols = np.random.default_rng(4).integers(0, N_X, 4 * 16 + 1)
        rnn = model(cell, steps="all")
        before = rnn.parameters["a0"].copy()
        x, y = (s.reshape(4, 16).T for s in (symbols[:-1], symbols[1:]))  # (16, m = 4)
        first = rnn.gradients(x[:8], y[:8])[1]["a0"]
        rnn.fit_stream(
            symbols, batch_size=4, steps=8, epochs=1, optimizer=crnn.SGD(0.1), progress=False
        )
        np.testing.assert_allclose(rnn.parameters["a0"], before - 0.1 * first, rtol=1e-12)
        assert (rnn.parameters["a0"] != before).all()

    def test_a_file_keeps_every_bit(self, cell, tmp_path):
        rnn = model(cell, dtype="float32", num_layers=2, direction="bidirectional")
        rnn.save(tmp_path / "m")
        loaded = crnn.load(tmp_path / "m")
        assert loaded.config == rnn.config
        assert "a0_l1_reverse" in loaded.parameters
        x = np.random.default_rng(6).standard_normal((T, M, N_X))
        np.testing.assert_array_equal(loaded.predict_proba(x), rnn.predict_proba(x))


def test_samples_begin_there():
    """At temperature 0 the first symbol without a prime is the answer to zeros from a0."""
    rnn = model({}, steps="all")
    for a0, expected in ((5, 0), (-5, 2)):
        rnn.parameters["Waa"] = np.eye(N_A)
        rnn.parameters["a0"] = a0
        rnn.parameters["ba"], rnn.parameters["by"] = 0, 0
        rnn.parameters["Wya"] = np.array([[1], [0], [-1]]) * np.ones(N_A)
        assert rnn.sample(1, temperature=0)[0] == expected


def test_other_libraries_refuse_what_they_cannot_hold():
    with pytest.raises(ValueError, match=r"to_torch_state_dict: .* initial_state='zeros', got 'tr"):
        model({"cell": "gru"}).to_torch_state_dict()
    with pytest.raises(ValueError, match=r"to_keras_weights: .* initial_state='zeros', got 'train"):
        model({"cell": "lstm"}).to_keras_weights()


def test_to_onnx_refuses_it():
    pytest.importorskip("onnx")
    from crnn.onnx import to_onnx

    with pytest.raises(ValueError, match="model: expected initial_state='zeros', got 'trained'"):
        to_onnx(model({}))


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="initial_state: expected one of 'zeros', 'trained', got"):
        crnn.RNN(N_X, N_A, N_Y, initial_state="learned")


@every_cell
def test_lyapunov_exponents_begin_there(cell):
    """Their sum, the mean of log |det J|, is that of a longer sequence without its first steps."""
    x = np.random.default_rng(0).standard_normal((30, N_X))
    longer = model(cell, initial_state="zeros")
    stream = longer.stream()
    for x_t in x[:10]:
        stream.step(x_t[None])
    state = np.stack(stream.state[0])[..., 0, :]  # (n_a,), or (2, n_a) of an LSTM
    begun = model(cell)
    for name, value in longer.parameters.items():
        begun.parameters[name] = value
    begun.parameters["a0"] = state[0] if state.ndim == 2 else state
    if "c0" in begun.parameters:
        begun.parameters["c0"] = state[1]
    found = crnn.inspect.lyapunov_exponents(begun, x[10:]).exponents.sum()
    expected = crnn.inspect.lyapunov_exponents(longer, x, discard=10).exponents.sum()
    assert found == pytest.approx(expected, rel=1e-9)
