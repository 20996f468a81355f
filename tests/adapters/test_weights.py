"""Weights converted from and to torch and Keras give the same predictions on both sides."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from pages import run_python

import crnn

T, M, N_X, N_A, N_Y = 7, 5, 3, 16, 4
CLOSE = {"float32": 1e-6, "float64": 1e-12}
KINDS = list(itertools.product([1, 2], ["forward", "bidirectional"], ["last", "all"]))


def inputs(dtype):
    return np.random.default_rng(2).standard_normal((T, M, N_X)).astype(dtype)


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch


class TestTorch:
    def modules(self, torch, num_layers=1, bidirectional=False, dtype="float32", **options):
        width = N_A * (1 + bidirectional)
        bias = options.pop("head_bias", True)
        cell = options.pop("cell", torch.nn.RNN)
        rnn = cell(N_X, N_A, num_layers, bidirectional=bidirectional, **options)
        head = torch.nn.Linear(width, N_Y, bias=bias)
        return torch.nn.ModuleDict({"rnn": rnn, "head": head}).to(getattr(torch, dtype))

    def answers(self, torch, modules, x, steps):
        with torch.no_grad():
            output, h_n = modules["rnn"](torch.from_numpy(x))
            h_n = h_n[0] if isinstance(h_n, tuple) else h_n  # an LSTM's is a pair
            if steps == "last":  # the top layer: forward, backward
                output = torch.cat(list(h_n[-2 if modules["rnn"].bidirectional else -1 :]), dim=-1)
            return modules["head"](output).numpy()

    def test_last_bidirectional_output_is_the_last_step_of_steps_all(self, torch):
        """``out[-1]`` is not ``h_n``: the backward direction has read one step there."""
        theirs, x = self.modules(torch, bidirectional=True), inputs("float32")
        y_hat = self.answers(torch, theirs, x, "all")[-1]
        last, every = (
            crnn.RNN.from_torch_state_dict(theirs.state_dict(), steps=steps, loss="mse")
            for steps in ("last", "all")
        )
        np.testing.assert_allclose(every.predict(x)[-1], y_hat, rtol=0, atol=1e-6)
        assert np.abs(last.predict(x) - y_hat).max() > 0.1

    @pytest.mark.parametrize(("num_layers", "direction", "steps"), KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    def test_predictions_agree_and_weights_round_trip(
        self, torch, num_layers, direction, steps, dtype, activation
    ):
        options = {
            "num_layers": num_layers,
            "bidirectional": direction == "bidirectional",
            "nonlinearity": activation,
            "dtype": dtype,
        }
        theirs, x = self.modules(torch, **options), inputs(dtype)
        mine = crnn.RNN.from_torch_state_dict(
            theirs.state_dict(), activation=activation, steps=steps, loss="mse"
        )
        assert mine.config.dtype == dtype
        y_hat = self.answers(torch, theirs, x, steps)
        np.testing.assert_allclose(mine.predict(x), y_hat, rtol=0, atol=CLOSE[dtype])

        other = self.modules(torch, **options)
        state = {key: torch.from_numpy(a) for key, a in mine.to_torch_state_dict().items()}
        other.load_state_dict(state)
        back = self.answers(torch, other, x, steps)
        np.testing.assert_allclose(back, y_hat, rtol=0, atol=CLOSE[dtype])

    @pytest.mark.parametrize(("num_layers", "direction", "steps"), KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("cell", ["GRU", "LSTM"])
    def test_gated_cells_agree_and_round_trip(
        self, torch, num_layers, direction, steps, dtype, cell
    ):
        options = {
            "num_layers": num_layers,
            "bidirectional": direction == "bidirectional",
            "dtype": dtype,
            "cell": getattr(torch.nn, cell),
        }
        theirs, x = self.modules(torch, **options), inputs(dtype)
        mine = crnn.RNN.from_torch_state_dict(theirs.state_dict(), steps=steps, loss="mse")
        assert mine.config.cell == cell.lower()
        y_hat = self.answers(torch, theirs, x, steps)
        np.testing.assert_allclose(mine.predict(x), y_hat, rtol=0, atol=CLOSE[dtype])

        other = self.modules(torch, **options)
        state = {key: torch.from_numpy(a) for key, a in mine.to_torch_state_dict().items()}
        other.load_state_dict(state)
        back = self.answers(torch, other, x, steps)
        np.testing.assert_allclose(back, y_hat, rtol=0, atol=CLOSE[dtype])

    def test_modules_without_biases(self, torch):
        x = inputs("float32")
        for bias, head_bias in itertools.product([True, False], repeat=2):
            theirs = self.modules(torch, bias=bias, head_bias=head_bias)
            mine = crnn.RNN.from_torch_state_dict(theirs.state_dict(), loss="mse")
            y_hat = self.answers(torch, theirs, x, "last")
            np.testing.assert_allclose(mine.predict(x), y_hat, rtol=0, atol=1e-6)
            state = mine.to_torch_state_dict(ba=bias, by=head_bias)
            theirs.load_state_dict({key: torch.from_numpy(a) for key, a in state.items()})

    def test_nested_modules(self, torch):
        class Net(torch.nn.Module):
            def __init__(self, parts):
                super().__init__()
                self.encoder, self.fc = parts["rnn"], parts["head"]

        parts = self.modules(torch)
        wrapped = torch.nn.ModuleDict({"module": Net(parts)})  # the keys of DistributedDataParallel
        mine = crnn.RNN.from_torch_state_dict(wrapped.state_dict(), loss="mse")
        x = inputs("float32")
        y_hat = self.answers(torch, parts, x, "last")
        np.testing.assert_allclose(mine.predict(x), y_hat, rtol=0, atol=1e-6)
        state = mine.to_torch_state_dict(rnn="module.encoder", head="module.fc")
        wrapped.load_state_dict({key: torch.from_numpy(a) for key, a in state.items()})

    def test_probabilities_are_the_softmax_of_the_linear_layer(self, torch):
        theirs, x = self.modules(torch), inputs("float32")
        mine = crnn.RNN.from_torch_state_dict(theirs.state_dict())
        logits = torch.from_numpy(self.answers(torch, theirs, x, "last"))
        np.testing.assert_allclose(mine.predict_proba(x), logits.softmax(-1), rtol=0, atol=1e-6)

    def test_other_rnns_and_tensors_with_gradients_are_refused(self, torch):
        lstm = torch.nn.LSTM(3, 4, proj_size=2)
        lstm = torch.nn.ModuleDict({"rnn": lstm, "head": torch.nn.Linear(2, 2)})
        with pytest.raises(ValueError, match=r"got the unknown 'rnn\.weight_hr_l0'"):
            crnn.RNN.from_torch_state_dict(lstm.state_dict())
        with pytest.raises(TypeError, match=r"rnn.weight_ih_l0'\]: .*pass its \.detach\(\)"):
            crnn.RNN.from_torch_state_dict(dict(self.modules(torch).named_parameters()))
        narrow = self.modules(torch, dtype="bfloat16").state_dict()
        with pytest.raises(TypeError, match=r"weight_ih_l0'\]: .* Tensor \(dtype torch.bfloat16"):
            crnn.RNN.from_torch_state_dict(narrow)


@pytest.fixture(scope="module")
def keras():
    os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported
    pytest.importorskip("jax")
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "jax":
        pytest.skip("Keras was imported before, on another backend")
    return keras


# Emitted inside Keras, in `get_weights`.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
class TestKeras:
    def model(self, keras, num_layers, direction, steps, head="linear", **options):
        options = {"dropout": 0.1, **options}  # adds a random state, which is not a weight
        keras.utils.set_random_seed(0)
        cell = options.pop("cell", keras.layers.SimpleRNN)
        layers = [keras.Input((T, N_X))]
        for k in range(num_layers):
            every = steps == "all" or k + 1 < num_layers
            layer = cell(
                N_A,
                return_sequences=every,
                go_backwards=direction == "reverse" and k == 0,
                bias_initializer="glorot_normal" if options.get("use_bias", True) else "zeros",
                **options,
            )
            both = direction == "bidirectional"
            layers.append(keras.layers.Bidirectional(layer) if both else layer)
        dense = keras.layers.Dense(N_Y, activation=head, use_bias=options.get("use_bias", True))
        return keras.Sequential([*layers, dense])

    def answers(self, theirs, x, direction, steps):
        y_hat = np.asarray(theirs(x.swapaxes(0, 1), training=False))
        if steps == "last":
            return y_hat
        y_hat = y_hat.swapaxes(0, 1)
        return y_hat[::-1] if direction == "reverse" else y_hat

    @pytest.mark.parametrize(
        ("num_layers", "direction", "steps"),
        [
            (1, "forward", "last"),
            (2, "forward", "all"),
            (1, "reverse", "last"),
            (2, "reverse", "all"),
            (2, "bidirectional", "last"),
            (2, "bidirectional", "all"),
        ],
    )
    @pytest.mark.parametrize("cell", ["SimpleRNN", "GRU", "LSTM"])
    def test_predictions_agree_and_weights_round_trip(
        self, keras, num_layers, direction, steps, cell
    ):
        options = {"cell": getattr(keras.layers, cell)}
        theirs, x = self.model(keras, num_layers, direction, steps, **options), inputs("float32")
        mine = crnn.RNN.from_keras_weights(
            theirs.get_weights(), direction=direction, steps=steps, loss="mse"
        )
        assert mine.config.num_layers == num_layers
        y_hat = self.answers(theirs, x, direction, steps)
        # Answers are up to 1.4; in float32 the two differ by up to 9 units in the last place.
        np.testing.assert_allclose(mine.predict(x), y_hat, rtol=1e-6, atol=1e-6)

        theirs.set_weights([np.zeros_like(a) for a in theirs.get_weights()])
        theirs.set_weights(mine.to_keras_weights())
        back = self.answers(theirs, x, direction, steps)
        np.testing.assert_allclose(back, y_hat, rtol=1e-6, atol=1e-6)

    def test_relu_softmax_and_no_biases(self, keras):
        theirs = self.model(
            keras, 1, "forward", "last", "softmax", activation="relu", use_bias=False
        )
        x = inputs("float32")
        mine = crnn.RNN.from_keras_weights(theirs.weights, activation="relu")  # Variables
        y_hat = self.answers(theirs, x, "forward", "last")
        np.testing.assert_allclose(mine.predict_proba(x), y_hat, rtol=0, atol=1e-6)
        theirs.set_weights(mine.to_keras_weights(ba=False, by=False))

    def test_the_page(self, keras, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        run_python(Path(__file__).parents[2] / "docs" / "keras.md")

    def test_a_gru_of_the_other_equation_is_refused(self, keras):
        options = {"cell": keras.layers.GRU, "reset_after": False}
        theirs = self.model(keras, 1, "forward", "last", **options)
        with pytest.raises(ValueError, match=r"weights\[2\]: .* no equation for reset_after=False"):
            crnn.RNN.from_keras_weights(theirs.get_weights())
