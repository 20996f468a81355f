"""crnn.RNN with each kind of cell: gradients, streams, files, initial values and noise."""

import copy
import pickle

import numpy as np
import pytest

import crnn
from crnn import check
from crnn._network import grouping

T, M, N_X, N_A, N_Y = 5, 4, 3, 6, 3
LEAK = np.linspace(0.2, 1, N_A)
CELLS = {
    "leaky": {"cell": "leaky", "leak": 0.3},
    "leaky, a leak per unit": {"cell": "leaky", "leak": LEAK},
    "current": {"cell": "leaky", "leak": LEAK, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())


def model(cell, **options):
    """A model whose biases are not zero, so that an error in their place shows."""
    rnn = crnn.RNN(N_X, N_A, N_Y, **{"dtype": "float64", "rng": 0, **cell, **options})
    rng = np.random.default_rng(5)
    for name, value in rnn.parameters.items():
        if name.startswith("b"):
            rnn.parameters[name] = rng.uniform(-0.5, 0.5, value.shape)
    return rnn


@every_cell
class TestEveryCell:
    @pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
    @pytest.mark.parametrize("steps", ["last", "all"])
    @pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
    @pytest.mark.parametrize("ragged", [False, True])
    def test_gradients_agree_with_finite_differences(self, cell, loss, steps, direction, ragged):
        rnn = model(cell, loss=loss, steps=steps, direction=direction, num_layers=2)
        rng = np.random.default_rng(1)
        x = rng.integers(0, N_X, (T, M)) if steps == "all" else rng.standard_normal((T, M, N_X))
        shape = (M,) if steps == "last" else (T, M)
        y = rng.integers(0, N_Y, shape) if loss == "cross_entropy" else rng.random((*shape, N_Y))
        lengths = np.array([5, 1, 3, 4]) if ragged else None
        error = check.model_error(rnn, x, y, lengths)
        assert error < check.FINITE_DIFFERENCE_TOLERANCE

    @pytest.mark.parametrize("symbols", [False, True])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_a_stream_gives_what_a_whole_sequence_gives(self, cell, symbols, dtype):
        rnn = model(cell, steps="all", num_layers=3, dtype=dtype)
        rng = np.random.default_rng(2)
        x = rng.integers(0, N_X, (T, M)) if symbols else rng.standard_normal((T, M, N_X))
        x = x if symbols else x.astype(dtype)
        stream = rnn.stream(m=M)
        y_hat = np.stack([stream.step(x_t) for x_t in x])
        tolerance = check.tolerance(dtype, N_A + N_X)
        np.testing.assert_allclose(y_hat, rnn.predict_proba(x), rtol=0, atol=tolerance)

    def test_a_stream_continues_from_its_state(self, cell):
        rnn = model(cell, num_layers=2)
        x = np.random.default_rng(3).standard_normal((2, M, N_X))
        first = rnn.stream(m=M)
        first.step(x[0])
        second, third = rnn.stream(m=M), pickle.loads(pickle.dumps(first))
        second.state = first.state
        expected = first.step(x[1])
        np.testing.assert_array_equal(second.step(x[1]), expected)
        np.testing.assert_array_equal(third.step(x[1]), expected)

    def test_windows_of_a_long_sequence_pass_on_the_state(self, cell):
        """With windows of 64 steps, a sequence of 150 gives the loss of one pass over it."""
        rnn = model(cell, steps="all", num_layers=2)
        symbols = np.random.default_rng(4).integers(0, N_X, 151)
        y_hat = rnn.predict_proba(symbols[:-1, None])[:, 0]  # (150, n_y)
        loss = -np.log(y_hat[np.arange(150), symbols[1:]]).mean()
        assert rnn.evaluate_stream(symbols, batch_size=1)[0] == pytest.approx(loss, rel=1e-12)

    def test_a_file_keeps_every_bit(self, cell, tmp_path):
        rnn = model(cell, dtype="float32", num_layers=2, direction="bidirectional")
        rnn.save(tmp_path / "m")
        loaded = crnn.load(tmp_path / "m")
        assert loaded.config == rnn.config
        x = np.random.default_rng(6).standard_normal((T, M, N_X))
        np.testing.assert_array_equal(loaded.predict_proba(x), rnn.predict_proba(x))
        np.testing.assert_array_equal(copy.deepcopy(rnn).predict_proba(x), rnn.predict_proba(x))

    def test_it_learns_examples(self, cell):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((12, 300, 1)).astype("float32")
        y = (x.sum(axis=0)[:, 0] > 0).astype(int)
        options = {**cell, "leak": 0.5} if "leak" in cell else cell
        rnn = crnn.RNN(1, 16, 2, rng=0, **options)
        history = rnn.fit(x, y, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
        assert history.metric[-1] > 0.9

    def test_it_learns_a_stream_and_samples_from_it(self, cell):
        options = {**cell, "leak": 0.5} if "leak" in cell else cell
        rnn = crnn.RNN(3, 16, 3, steps="all", rng=0, **options)
        symbols = np.tile([0, 1, 2, 1], 400)
        rnn.fit_stream(symbols, batch_size=4, steps=16, optimizer=crnn.Adam(1e-2), progress=False)
        drawn = rnn.sample(8, prime=[0, 1, 2, 1], temperature=0)
        np.testing.assert_array_equal(drawn, [0, 1, 2, 1, 0, 1, 2, 1])


@pytest.mark.parametrize("equation", ["rate", "current"])
def test_gradients_of_relu_agree_with_finite_differences(equation):
    """Half the units are far above 0 and half far below, so that no difference crosses 0."""
    options = {"cell": "leaky", "leak": LEAK, "activation": "relu", "equation": equation}
    rnn = model(options, num_layers=2, steps="all", loss="mse")
    for name in ("Waa_l0", "Wax_l0", "Waa_l1", "Wax_l1"):
        rnn.parameters[name] *= 0.1
    for name in ("ba_l0", "ba_l1"):
        rnn.parameters[name] = [1, -1, 2, -2, 1, -1]
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (T, M, N_X)), rng.random((T, M, N_Y))
    assert check.model_error(rnn, x, y) < check.FINITE_DIFFERENCE_TOLERANCE


def test_a_file_without_a_cell_is_vanilla(tmp_path):
    crnn.RNN(2, 3, 4, rng=0).save(tmp_path / "m")
    assert b"cell" not in (tmp_path / "m").read_bytes()
    assert crnn.load(tmp_path / "m").config.cell == "vanilla"


def test_a_leaky_cell_of_leak_1_is_the_vanilla_cell():
    x = np.random.default_rng(0).standard_normal((T, M, N_X))
    vanilla = model({}, num_layers=2)
    leaky = model({"cell": "leaky", "leak": 1.0}, num_layers=2)
    np.testing.assert_allclose(leaky.predict_proba(x), vanilla.predict_proba(x), rtol=1e-12)


class TestStates:
    def test_those_of_an_lstm_are_pairs(self):
        stream = model({"cell": "lstm"}, num_layers=2).stream(m=M)
        stream.step(np.ones((M, N_X)))
        assert [len(pair) for pair in stream.state] == [2, 2]
        a, c = stream.state[1]
        assert a.shape == c.shape == (M, N_A)
        assert (np.abs(c) > np.abs(a)).all()  # a = o tanh(c)

    @pytest.mark.parametrize(
        ("state", "error", "message"),
        [
            ([np.zeros((M, N_A))] * 3, ValueError, r"state: expected 2 pairs \(a, c\), one per"),
            (0, TypeError, r"state: expected 2 pairs \(a, c\), one per layer, got int"),
            ([0, 0], TypeError, r"state\[0\]: expected a pair \(a, c\), got int"),
            ([[np.zeros((M, N_A))] * 2, [np.zeros(2)] * 2], ValueError, r"state\[1\]\[0\]: "),
        ],
    )
    def test_others_are_refused_and_change_nothing(self, state, error, message):
        stream = model({"cell": "lstm"}, num_layers=2).stream(m=M)
        stream.step(np.ones((M, N_X)))
        before = stream.state
        with pytest.raises(error, match=message):
            stream.state = state
        np.testing.assert_array_equal(stream.state, before)


class TestInitialValues:
    @pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4)])
    def test_every_gate_is_orthogonal(self, cell, gates):
        Waa = crnn.RNN(3, 8, 2, cell=cell, dtype="float64", rng=0).parameters["Waa"]
        for W in np.split(Waa, gates):
            np.testing.assert_allclose(W @ W.T, np.eye(8), atol=1e-14)

    @pytest.mark.parametrize(
        ("options", "expected"),
        [({}, 1), ({"init": "keras"}, 1), ({"forget_bias": -2.5}, -2.5),
         ({"init": "pytorch", "forget_bias": 3}, 3)],
    )  # fmt: skip
    def test_the_forget_bias_is_that_of_the_forget_gate(self, options, expected):
        parameters = crnn.RNN(3, 8, 2, cell="lstm", num_layers=2, rng=0, **options).parameters
        for layer in ("l0", "l1"):
            i, f, g, o = np.split(parameters[f"ba_{layer}"], 4)
            np.testing.assert_array_equal(f, expected)
            if "pytorch" not in options.values():
                assert not i.any()
                assert not g.any()
                assert not o.any()

    @pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
    def test_pytorchs_are_uniform_within_its_bound(self, cell):
        n_a = 400
        parameters = crnn.RNN(300, n_a, 200, cell=cell, init="pytorch", rng=0).parameters
        bound = 1 / np.sqrt(n_a)
        for name in ("Waa", "Wax", "Wya", "by"):
            values = parameters[name]
            assert np.abs(values).max() <= bound
            assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)
        if cell == "gru":
            sums, once = np.split(parameters["ba"], [2 * n_a])
            assert np.abs(once).max() <= bound
            assert np.abs(parameters["baa"]).max() <= bound
        else:
            sums = parameters["ba"]
        # The sum of two uniform numbers has the root of two times their standard deviation.
        assert sums.std() == pytest.approx(bound * np.sqrt(2 / 3), rel=0.1)

    def test_those_of_keras_are_one_orthogonal_matrix(self):
        parameters = crnn.RNN(30, 8, 2, cell="gru", init="keras", dtype="float64", rng=0).parameters
        np.testing.assert_allclose(parameters["Waa"].T @ parameters["Waa"], np.eye(8), atol=1e-14)
        limit = np.sqrt(6 / (30 + 24))
        assert 0.95 * limit < np.abs(parameters["Wax"]).max() <= limit

    @pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
    def test_a_seed_gives_the_same_bits(self, cell):
        first, second = (crnn.RNN(3, 6, 2, rng=7, **cell).parameters for _ in range(2))
        for name, value in first.items():
            np.testing.assert_array_equal(value, second[name])


class TestNoise:
    x = np.random.default_rng(0).standard_normal((12, 40, 1))
    y = (x.sum(axis=0)[:, 0] > 0).astype(int)

    def trained(self, seed, noise=0.5, **options):
        options = {"leak": 0.5, "noise": noise, "rng": 0, **options}
        rnn = crnn.RNN(1, 8, 2, cell="leaky", **options)
        rnn.fit(self.x, self.y, epochs=2, progress=False, rng=seed)
        return rnn.parameters["Waa"].copy()

    def test_training_draws_it_from_its_own_generator(self):
        np.testing.assert_array_equal(self.trained(1), self.trained(1))
        assert (self.trained(1) != self.trained(2)).any()
        assert (self.trained(1) != self.trained(1, noise=0)).any()

    def test_every_step_has_noise_of_its_own(self):
        """With one seed for all steps, training on one example would see the same noise again."""
        steps = []
        for epochs in (1, 2):
            rnn = crnn.RNN(1, 8, 2, cell="leaky", leak=0.5, noise=0.5, loss="mse", rng=0)
            losses = rnn.fit(
                self.x[:, :1], np.ones((1, 2)), epochs=epochs, optimizer=crnn.SGD(1e-12),
                progress=False, rng=0,
            ).loss  # fmt: skip
            steps.append(losses)
        assert steps[0][0] == steps[1][0]
        assert abs(steps[1][1] - steps[1][0]) > 1e-3

    def test_answers_and_gradients_have_none(self):
        options = {"leak": 0.5, "rng": 0, "cell": "leaky"}
        noisy, calm = crnn.RNN(1, 8, 2, noise=0.5, **options), crnn.RNN(1, 8, 2, **options)
        np.testing.assert_array_equal(noisy.predict_proba(self.x), calm.predict_proba(self.x))
        assert noisy.evaluate(self.x, self.y) == calm.evaluate(self.x, self.y)
        assert noisy.gradients(self.x, self.y)[0] == calm.gradients(self.x, self.y)[0]
        x_t = self.x[0, :1]
        np.testing.assert_array_equal(noisy.stream().step(x_t), calm.stream().step(x_t))

    @pytest.mark.parametrize("equation", ["rate", "current"])
    def test_answers_have_it_if_it_is_asked_for(self, equation):
        """The answer is that of the states with the noise of the seed that rng draws."""
        leaky = {"leak": 0.5, "noise": 0.5, "equation": equation}
        rnn = crnn.RNN(1, 8, 2, cell="leaky", rng=0, loss="mse", dtype="float64", **leaky)
        p = rnn.parameters
        seed = int(np.random.default_rng(3).integers(1 << 63))
        a = crnn.leaky_forward(self.x, p["Waa"], p["Wax"], p["ba"], seed=seed, **leaky).a[-1]
        expected = (np.tanh(a) if equation == "current" else a) @ p["Wya"].T + p["by"]
        found = rnn.predict_proba(self.x, noise=True, rng=3)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_array_equal(rnn.predict(self.x, noise=True, rng=3), found)
        loss = np.square(found - 1).mean()
        assert rnn.evaluate(self.x, np.ones((40, 2)), noise=True, rng=3)[0] == pytest.approx(loss)
        assert (rnn.predict(self.x, noise=True) != rnn.predict(self.x, noise=True)).all()

    def test_groups_of_answers_have_noise_of_their_own(self, monkeypatch):
        monkeypatch.setattr(grouping, "MOST_BYTES", 1)
        rnn = crnn.RNN(1, 8, 2, cell="leaky", leak=0.5, noise=0.5, rng=0)
        same = np.repeat(self.x[:, :1], 3, axis=1)  # one group for each example
        y_hat = rnn.predict_proba(same, noise=True, rng=0)
        assert len(np.unique(y_hat[:, 0])) == 3

    @pytest.mark.parametrize("method", ["predict", "predict_proba", "evaluate"])
    def test_noise_that_cannot_be_drawn_is_refused(self, method):
        def call(options, **arguments):
            rnn = crnn.RNN(1, 8, 2, rng=0, **options)
            given = (self.x, self.y) if method == "evaluate" else (self.x,)
            return getattr(rnn, method)(*given, **arguments)

        leaky = {"cell": "leaky", "leak": 0.5}
        for options in ({}, leaky):
            with pytest.raises(ValueError, match="noise: expected False with a model whose noise"):
                call(options, noise=True)
        with pytest.raises(ValueError, match="rng: expected None without noise=True"):
            call({**leaky, "noise": 0.1}, rng=0)
        with pytest.raises(TypeError, match="noise: expected True or False, got 1"):
            call({**leaky, "noise": 0.1}, noise=1)

    def test_a_stream_of_symbols_draws_it_too(self):
        def trained(seed):
            rnn = crnn.RNN(3, 8, 3, cell="leaky", leak=0.5, noise=0.5, steps="all", rng=0)
            symbols = np.tile([0, 1, 2, 1], 50)
            rnn.fit_stream(symbols, batch_size=4, epochs=1, progress=False, rng=seed)
            return rnn.parameters["Waa"].copy()

        np.testing.assert_array_equal(trained(1), trained(1))
        assert (trained(1) != trained(2)).any()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell": "elman"}, ValueError, "cell: expected one of 'vanilla', 'leaky', 'gru', 'lstm'"),
        ({"cell": None}, ValueError, "cell: expected one of"),
        ({"cell": "gru", "activation": "relu"}, ValueError, "activation: expected 'tanh' with"),
        ({"cell": "leaky"}, TypeError, r"leak: expected a number or an array \(n_a,\), got None"),
        ({"cell": "leaky", "leak": 0}, ValueError, "leak: expected numbers > 0 and <= 1, got 0"),
        ({"cell": "leaky", "leak": [0.5, 0.5]}, ValueError, r"leak: expected a number or shape"),
        ({"cell": "leaky", "leak": "fast"}, TypeError, "leak: expected numbers"),
        ({"cell": "leaky", "leak": [0.5] * (N_A - 1) + [True]}, TypeError, "leak: .*True"),
        ({"cell": "leaky", "leak": np.nan}, ValueError, "leak: expected numbers > 0 and <= 1"),
        ({"cell": "leaky", "leak": 0.5, "noise": -1}, ValueError, "noise: expected a finite"),
        ({"cell": "leaky", "leak": 0.5, "equation": "v"}, ValueError, "equation: expected one of"),
        ({"leak": 0.5}, ValueError, "leak: expected None with cell='vanilla', got 0.5"),
        ({"leak": LEAK}, ValueError, "leak: expected None with cell='vanilla', got array"),
        ({"noise": 0.5}, ValueError, "noise: expected 0.0 with cell='vanilla', got 0.5"),
        ({"noise": False}, ValueError, "noise: expected 0.0 with cell='vanilla', got False"),
        ({"cell": "gru", "equation": "current"}, ValueError, "equation: expected 'rate' with"),
        ({"cell": "gru", "forget_bias": 1.0}, ValueError, "forget_bias: expected None with"),
        ({"cell": "lstm", "forget_bias": np.inf}, ValueError, "forget_bias: expected a finite"),
        ({"cell": "lstm", "forget_bias": -1e39}, ValueError, "forget_bias: .* finite in float32"),
        ({"cell": "leaky", "leak": 0.5, "noise": 1e39}, ValueError, "noise: .* finite in float32"),
        ({"cell": "lstm", "forget_bias": "1"}, TypeError, "forget_bias: expected a number"),
        ({"cell": "gru", "init": "torch"}, ValueError, "init: expected one of 'orthogonal', "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        crnn.RNN(N_X, N_A, N_Y, **options)


def test_float64_takes_larger_numbers_than_float32():
    lstm = crnn.RNN(N_X, N_A, N_Y, cell="lstm", forget_bias=1e39, dtype="float64")
    assert (lstm.parameters["ba"][N_A : 2 * N_A] == 1e39).all()
    assert crnn.RNN(N_X, N_A, N_Y, cell="leaky", leak=1, noise=1e39, dtype="float64").config.noise


def test_a_configuration_holds_plain_values():
    """So its repr and its file are the same, whatever types the arguments had."""
    words = {
        "direction": "reverse", "activation": "relu", "steps": "all", "loss": "mse",
        "cell": "leaky", "equation": "current",
    }  # fmt: skip
    numpys = {name: np.str_(word) for name, word in words.items()}
    config = crnn.RNN(N_X, N_A, N_Y, leak=np.float64(0.5), noise=np.float32(0.5), **numpys).config
    for name in words:
        assert type(getattr(config, name)) is str
    assert "np." not in repr(config)
