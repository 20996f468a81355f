"""Answers pooled over time: their values, their gradients, and what cannot have them."""

from itertools import product

import numpy as np
import pytest
from same_bits import assert_same_bits

import crnn
import crnn.inspect
from crnn._engine import pooling

T, M, N_X, N_A, N_Y = 9, 5, 3, 4, 3
LENGTHS = np.array([9, 1, 4, 9, 6])
CELLS = {
    "vanilla": {},
    "leaky": {"cell": "leaky", "leak": 0.4},
    "current": {"cell": "leaky", "leak": 0.4, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
every_steps = pytest.mark.parametrize("steps", ["mean", "max", "pooled"])
every_direction = pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])


def model(steps, **options):
    options = {"dtype": "float64", "rng": 0, "num_layers": 2, **options}
    return crnn.RNN(N_X, N_A, N_Y, steps=steps, **options)


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def read_by_hand(steps, a, lengths):
    """The features (m, ...) of states (T, m, width) of one or two directions, in plain NumPy."""
    rows = []
    for i, length in enumerate(lengths):
        own = a[:length, i]
        n = own.shape[1] // N_A
        last = np.concatenate([own[0 if d else -1, d * N_A : (d + 1) * N_A] for d in range(n)])
        parts = {"last": last, "mean": own.mean(axis=0), "max": own.max(axis=0)}
        names = ["last", "mean", "max"] if steps == "pooled" else [steps]
        rows.append(np.concatenate([parts[name] for name in names]))
    return np.array(rows)


def slope(rnn, name, k, x, y, h=1e-5):
    """The slope of the loss over the k-th number of a parameter, by a central difference.

    h is small, so that no maximum moves to another step; the error is about h^2, and eps / h.
    """
    numbers, losses = rnn.parameters[name].reshape(-1), []
    for change in (h, -2 * h, h):
        numbers[k] += change
        losses.append(rnn.evaluate(x, y, LENGTHS)[0])
    return (losses[0] - losses[1]) / (2 * h)


@every_steps
@every_cell
class TestEveryCell:
    @pytest.mark.parametrize("direction", ["forward", "bidirectional"])
    @pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])
    def test_answers(self, steps, cell, direction, lengths):
        rnn, x = model(steps, direction=direction, loss="mse", **cell), numbers(T, M, N_X)
        a = rnn.states(x, lengths, layer=-1)
        if cell.get("equation") == "current":
            a = np.tanh(a)
        features = read_by_hand(steps, a, [T] * M if lengths is None else lengths)
        expected = features @ rnn.parameters["Wya"].T + rnn.parameters["by"]
        np.testing.assert_allclose(rnn.predict(x, lengths), expected, rtol=1e-12, atol=1e-13)

    @every_direction
    @pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
    def test_gradients_agree_with_finite_differences(self, steps, cell, direction, loss):
        rnn = model(steps, direction=direction, loss=loss, **cell)
        y = numbers(M, N_Y) if loss == "mse" else np.arange(M) % N_Y
        x = numbers(T, M, N_X)
        for name, gradient in rnn.gradients(x, y, LENGTHS)[1].items():
            for k in np.random.default_rng(2).integers(gradient.size, size=3):
                difference = slope(rnn, name, k, x, y)
                assert gradient.flat[k] == pytest.approx(difference, rel=1e-7, abs=1e-9)

    @every_direction
    @pytest.mark.parametrize("lengths", [None, 60 * LENGTHS], ids=["equal", "ragged"])
    def test_recomputed_gradients_have_the_same_bits(self, steps, cell, direction, lengths):
        rnn = model(steps, direction=direction, dtype="float32", **cell)
        x, y = numbers(60 * T, M, N_X), np.arange(M) % N_Y
        assert len(crnn.plan_memory(rnn, 60 * T, M, lengths=lengths).begins) > 1
        recomputed = rnn.gradients(x, y, lengths, memory="sqrt")
        assert_same_bits(recomputed, rnn.gradients(x, y, lengths))


@every_steps
def test_a_list_is_read_as_an_array_with_lengths_is(steps):
    rnn, x = model(steps, direction="bidirectional"), numbers(T, M, N_X)
    xs = [x[:length, i] for i, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(rnn.predict_proba(xs), rnn.predict_proba(x, LENGTHS), rtol=1e-12)


@every_steps
def test_penalties_and_weights(steps):
    """Both also reach the states, and are added to what pooling sends back."""
    rnn, x, y = model(steps), numbers(T, M, N_X), np.arange(M) % N_Y
    penalty = crnn.Penalty(rates_l2=0.3, rates_l1=0.2)
    name, at, eps = "Waa_l0", (1, 2), 1e-6
    gradient = rnn.gradients(x, y, LENGTHS, [1, 0, 2, 1, 1], penalty=penalty)[1][name][at]
    losses = []
    for change in (eps, -2 * eps):
        rnn.parameters[name][at] += change
        losses.append(rnn.gradients(x, y, LENGTHS, [1, 0, 2, 1, 1], penalty=penalty)[0])
    assert gradient == pytest.approx((losses[0] - losses[1]) / (2 * eps), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_first_of_equal_maxima_gets_the_gradient(direction):
    """relu units that are 0 at every step have T equal maxima; t = 0 is the first of them."""
    rnn = crnn.RNN(
        1, 1, 1, steps="max", loss="mse", activation="relu", direction=direction, dtype="float64",
        rng=0,
    )  # fmt: skip
    for name, value in {"Waa": 0, "Wax": 1, "ba": 0, "Wya": 1, "by": 0}.items():
        rnn.parameters[name] = value
    x = np.array([1.0, 3, 2, 3, 3]).reshape(5, 1, 1)
    norms = crnn.inspect.gradient_flow(rnn, x, [[0.0]]).norms[0]
    assert np.flatnonzero(norms).tolist() == [1]


def test_learns_from_a_burst_far_from_both_ends():
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((120, 64, 1))
    y = np.arange(64) % 2
    x[60] += 1 - 2 * y[:, None]
    rnn = crnn.RNN(1, 8, 2, steps="max", rng=0)
    rnn.fit(x, y, epochs=20, batch_size=16, optimizer=crnn.Adam(1e-2), progress=False, rng=0)
    assert rnn.evaluate(x, y)[1] > 0.95


@every_steps
def test_files_keep_it(steps, tmp_path):
    rnn, x = model(steps), numbers(T, M, N_X)
    rnn.save(tmp_path / "model.safetensors")
    loaded = crnn.load(tmp_path / "model.safetensors")
    assert loaded.config == rnn.config
    np.testing.assert_array_equal(loaded.predict_proba(x), rnn.predict_proba(x))


@every_steps
def test_weights_of_other_libraries(steps):
    """What the output layer reads is a choice of the caller's, and its width is checked."""
    rnn, x = model(steps), numbers(T, M, N_X)
    again = crnn.RNN.from_torch_state_dict(rnn.to_torch_state_dict(), steps=steps)
    np.testing.assert_array_equal(again.predict_proba(x), rnn.predict_proba(x))
    again = crnn.RNN.from_keras_weights(rnn.to_keras_weights(), steps=steps)
    np.testing.assert_array_equal(again.predict_proba(x), rnn.predict_proba(x))
    other = "pooled" if steps != "pooled" else "max"
    with pytest.raises(ValueError, match="for Wya"):
        crnn.RNN.from_torch_state_dict(rnn.to_torch_state_dict(), steps=other)


@every_steps
class TestRefused:
    def test_streams(self, steps):
        with pytest.raises(ValueError, match=f"stream: expected .* 'last' or 'all', got '{steps}'"):
            model(steps).stream()

    def test_saliency_of_another_step(self, steps):
        rnn, x = model(steps), numbers(T, N_X)
        assert crnn.inspect.saliency(rnn, x).norms.shape == (T,)
        with pytest.raises(ValueError, match=f"step: expected -1 with steps='{steps}'"):
            crnn.inspect.saliency(rnn, x, step=2)


def test_more_steps_than_can_be_numbered(monkeypatch):
    monkeypatch.setattr("crnn._network.pooling.MOST_STEPS", T - 1)
    model("mean").predict(numbers(T, M, N_X))
    with pytest.raises(ValueError, match=f"x: expected at most 8 steps with a maximum, got {T}"):
        model("max").predict(numbers(T, M, N_X))


def test_unknown_steps():
    with pytest.raises(ValueError, match="steps: expected one of 'last', 'mean', 'max', 'pooled'"):
        crnn.RNN(1, 2, 2, steps="median")


@pytest.mark.parametrize(("falling", "last_wins"), [*product((False, True), repeat=2)])
def test_kernel_sums_and_maxima(falling, last_wins):
    """Against NumPy, in one call and in two; NaN is larger than any number."""
    a = np.round(numbers(8, 3, 5), 1)  # rounded, so that some are equal
    a[4, 1, 2] = np.nan
    sums, largest, at = np.zeros((3, 5)), np.empty((3, 5)), np.full((3, 5), -1, np.intc)
    halves = [(a[5:], 5), (a[:5], 0)] if falling else [(a[:5], 0), (a[5:], 5)]
    for half, first in halves:
        pooling.pool(half, None, first, falling, last_wins, sums, largest, at)
    np.testing.assert_allclose(sums, a.sum(axis=0), rtol=1e-14)
    np.testing.assert_array_equal(largest, a.max(axis=0))
    first_t = falling == last_wins  # whether the first one in time wins
    t = a.argmax(axis=0) if first_t else 7 - a[::-1].argmax(axis=0)
    np.testing.assert_array_equal(at, t)
