"""Dropout between layers: which units, exact gradients, and none in answers."""

import numpy as np
import pytest
from passes import CELLS, LENGTHS, N_A, N_X, N_Y, M, data
from same_bits import assert_same_bits

import crnn
from crnn._engine import kernels
from crnn._network import layers
from crnn._network.batch import Batch
from crnn._network.buffers import Buffers
from crnn._network.dropout import Dropout
from crnn._network.passes import Pass
from crnn.reference.dropout import dropout


def flat(model):
    return model._network.arena.flat.copy()


class TestKernel:
    @pytest.mark.usefixtures("table")
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n", [1, 7, 8, 9, 31, 32, 33, 100, 256, 257, 300])
    def test_every_table_drops_the_units_of_the_reference(self, n, dtype):
        x = np.random.default_rng(n).standard_normal((3, 2, n)).astype(dtype)
        y, seed = np.empty_like(x), (5 << 40) + 123
        kernels.dropout(x, y, 0.3, seed, 0, None)
        factors = dropout(seed, 3, 2, n, 0.3)
        np.testing.assert_array_equal(y == 0, factors == 0)
        np.testing.assert_allclose(y, x * factors, rtol=2 * np.finfo(dtype).eps)

    def test_steps_are_counted_as_in_a_segment(self):
        x = np.ones((5, 3, 10))
        whole, part, backwards = (np.empty_like(x) for _ in range(3))
        kernels.dropout(x, whole, 0.5, 1, 0, None)
        kernels.dropout(x[2:], part[2:], 0.5, 1, 2, None)
        np.testing.assert_array_equal(part[2:], whole[2:])
        ends = np.array([5, 3, 4], np.intp)
        kernels.dropout(x, backwards, 0.5, 1, 0, ends)
        for i, end in enumerate(ends):
            np.testing.assert_array_equal(backwards[:end, i], whole[:end, i][::-1])

    def test_in_place_and_what_is_dropped_may_be_nan(self):
        x = np.full((2, 2, 40), np.nan)
        kernels.dropout(x, x, 0.5, 1, 0, None)
        np.testing.assert_array_equal(x == 0, dropout(1, 2, 2, 40, 0.5) == 0)

    @pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
    def test_the_share(self, rate):
        factors = dropout(3, 100, 10, 100, rate)
        deviation = np.sqrt(rate * (1 - rate) / factors.size)
        assert abs(np.mean(factors == 0) - rate) < 4 * deviation

    def test_steps_examples_units_seeds_and_layers_are_independent(self):
        zeros = dropout(3, 200, 20, 40, 0.5) == 0
        for other in (
            np.roll(zeros, 1, 0), np.roll(zeros, 1, 1), np.roll(zeros, 1, 2), np.roll(zeros, 8, 2),
            dropout(4, 200, 20, 40, 0.5) == 0,
        ):  # fmt: skip
            assert abs(np.mean(zeros == other) - 0.5) < 4 * 0.5 / np.sqrt(zeros.size)
        ones, layers = np.ones((9, 9, 9)), []
        for layer in (1, 2):
            layers.append(Dropout(0.5, 0).apply(layer, ones, np.empty_like(ones)))
        assert np.any(layers[0] != layers[1])


OPTIONS = [
    {},
    {"cell": "gru", "direction": "bidirectional", "steps": "last"},
    {"cell": "lstm", "direction": "reverse", "num_layers": 3},
    {"cell": "leaky", "leak": 0.3, "equation": "current", "steps": "mean"},
]


@pytest.mark.parametrize("lengths", [None, np.array([6, 2, 4])])
@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options, lengths):
    made = {"steps": "all", "num_layers": 2, "dtype": "float64", "dropout": 0.4, **options}
    model = crnn.RNN(2, 4, 3, **made, rng=0)
    network, rng = model._network, np.random.default_rng(0)
    y = rng.integers(0, 3, (6, 3) if made["steps"] == "all" else 3)
    batch = Batch(rng.standard_normal((6, 3, 2)), y, lengths)
    gradients, scratch = network.new_arena(), network.new_arena()

    def loss():
        return network.gradients(batch, scratch.views, noise=7).loss

    network.gradients(batch, gradients.views, noise=7)
    for name, p in model.parameters.items():
        for place in [(0,) * p.ndim, tuple(n - 1 for n in p.shape)]:
            before, h = p[place], 1e-6
            p[place] = before + h
            above = loss()
            p[place] = before - h
            difference = (above - loss()) / (2 * h)
            p[place] = before
            assert gradients.views[name][place] == pytest.approx(difference, abs=1e-8), name


def test_the_layer_above_reads_what_the_reference_leaves():
    model = crnn.RNN(2, 5, 3, num_layers=2, dropout=0.4, dtype="float64", rng=0)
    x = np.random.default_rng(0).standard_normal((6, 3, 2))
    run = Pass(model.config, model.parameters, Buffers(x.dtype), dropout=Dropout(0.4, 7))
    trace = layers.forward(run, x, keep=True)
    factors = dropout((1 << 63) + 8, 6, 3, 5, 0.4)
    np.testing.assert_allclose(trace.inputs[1].x, trace.outputs[0] * factors, rtol=1e-15)
    assert np.any(factors == 0)
    below = model.states(x)[0]  # without dropout
    np.testing.assert_array_equal(trace.outputs[0], below)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", ["last", "all"])
def test_recomputed_states_drop_the_same_units(planned, cell, lengths, direction, steps):
    fitted = []
    for memory in (None, "sqrt"):
        options = CELLS[cell] | {"direction": direction, "steps": steps, "num_layers": 3}
        model = crnn.RNN(N_X, N_A, N_Y, **options, dropout=0.3, rng=0)
        x, y = data(model)
        if memory is not None:
            planned(1, 1)
        options = {"epochs": 2, "batch_size": M, "clip_norm": 1e-3, "progress": False, "rng": 0}
        history = model.fit(x, y, lengths=lengths, memory=memory, **options)
        fitted.append((history.loss, dict(model.parameters)))
    assert_same_bits(*fitted)


class TestTraining:
    X = np.random.default_rng(0).standard_normal((5, 12, 2)).astype("f4")
    Y = np.arange(12) % 3

    def fitted(self, rng=0, **options):
        model = crnn.RNN(2, 8, 3, num_layers=2, **{"dropout": 0.5, **options}, rng=0)
        model.fit(self.X, self.Y, batch_size=4, epochs=2, progress=False, rng=rng)
        return flat(model)

    def test_the_seed_of_fit_decides(self):
        np.testing.assert_array_equal(self.fitted(), self.fitted())
        assert np.any(self.fitted() != self.fitted(rng=1))
        assert np.any(self.fitted() != self.fitted(dropout=0))

    def test_answers_and_gradients_are_without_it(self):
        models = [crnn.RNN(2, 8, 3, num_layers=2, dropout=p, rng=0) for p in (0, 0.5)]
        for answer in (
            lambda model: model.predict_proba(self.X),
            lambda model: np.array(model.evaluate(self.X, self.Y)),
            lambda model: model.gradients(self.X, self.Y)[1]["Waa_l0"],
            lambda model: model.stream(2).step(self.X[0, :2]),
        ):
            np.testing.assert_array_equal(*map(answer, models))

    def test_noise_is_drawn_as_without_dropout(self):
        leaky = {"cell": "leaky", "leak": 0.5, "noise": 0.5}
        models = [crnn.RNN(2, 8, 3, num_layers=2, **leaky, dropout=p, rng=0) for p in (0, 0.5)]
        answers = [model.predict_proba(self.X, noise=True, rng=0) for model in models]
        np.testing.assert_array_equal(*answers)

    def test_train_on_batch_and_streams(self):
        model = crnn.RNN(2, 8, 3, num_layers=2, dropout=0.5, rng=0)
        rng = np.random.default_rng(0)
        losses = {model.train_on_batch(self.X, self.Y, optimizer=crnn.SGD(1e-12), rng=rng)[0]
                  for _ in range(4)}  # fmt: skip
        assert len(losses) == 4
        symbols = np.arange(300) % 3
        runs = []
        for p in (0, 0.5, 0.5):
            model = crnn.RNN(3, 8, 3, num_layers=2, steps="all", dropout=p, rng=0)
            model.fit_stream(symbols, epochs=1, batch_size=4, progress=False, rng=0)
            runs.append(flat(model))
        assert np.any(runs[0] != runs[1])
        np.testing.assert_array_equal(runs[1], runs[2])


class TestModel:
    def test_a_file_has_it_only_if_it_is_not_0(self, tmp_path):
        path = tmp_path / "model.safetensors"
        for p in (0, 0.25):
            crnn.RNN(2, 3, 2, num_layers=2, dropout=p, rng=0).save(path)
            assert (b"dropout" in path.read_bytes()) == (p > 0)
            assert crnn.load(path).config.dropout == p
        assert "dropout=0.25" in repr(crnn.load(path))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"dropout": 1}, ValueError, "dropout: expected a finite number >= 0 and < 1, got 1"),
            ({"dropout": -0.1}, ValueError, "dropout: expected a finite number >= 0 and < 1"),
            ({"dropout": "half"}, TypeError, "dropout: expected a number"),
            (
                {"dropout": 0.5, "num_layers": 1},
                ValueError,
                "dropout: expected 0 with num_layers=1",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, error, message):
        with pytest.raises(error, match=message):
            crnn.RNN(2, 3, 2, **{"num_layers": 2, **options})
