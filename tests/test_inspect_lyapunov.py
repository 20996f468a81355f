"""Lyapunov exponents, held against a QR decomposition in NumPy after every step, and by hand."""

import numpy as np
import pytest
from some_models import KINDS, N_X, Reference, model_of, one_unit, size, trajectory

import crnn
from crnn._engine import lyapunov
from crnn.inspect import jacobian, lyapunov_exponents

#: The most that a log of R_jj may be off by the steps between decompositions (lyapunov.pyx).
ATOL = 1e-8


def by_numpy(model, x, k, cell=0):
    """The exponents from a QR of every step, with Jacobians from the reference's backward pass."""
    own, (states, read) = Reference(model, cell), trajectory(model, x, cell)
    Q, logs = np.eye(size(model), k), np.zeros(k)
    for s, x_t in zip(states, read, strict=True):
        Q, R = np.linalg.qr(own.jacobian(s, x_t) @ Q)
        logs += np.log(np.abs(np.diag(R)))
    return np.sort(logs / len(x))[::-1]


def driving(T, n_x=N_X, seed=0):
    return np.random.default_rng(seed).normal(size=(T, n_x))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "relu" not in kind])
def test_they_equal_those_of_numpy(kind):
    model, x = model_of(kind), driving(300)
    found = lyapunov_exponents(model, x)
    expected = by_numpy(model, x, size(model))
    np.testing.assert_allclose(found.exponents, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("kind", ["relu", "rate of relu"])
def test_those_of_a_relu_that_is_on_equal_those_of_numpy(kind):
    model, x = model_of(kind), driving(200)
    model.parameters["Waa"] *= 0.5
    model.parameters["ba"] = 10  # no unit is off
    expected = by_numpy(model, x, 4)
    np.testing.assert_allclose(lyapunov_exponents(model, x).exponents, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("kind", ["tanh", "current", "gru", "lstm"])
@pytest.mark.parametrize("cell", range(4))
def test_every_layer_and_direction(kind, cell):
    model, x = model_of(kind, num_layers=2, direction="bidirectional"), driving(40)
    expected = by_numpy(model, x, size(model), cell)
    found = lyapunov_exponents(model, x, cell=cell)
    np.testing.assert_allclose(found.exponents, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("kind", ["rate", "gru", "lstm"])
def test_the_trajectory_begins_at_a_trained_state(kind):
    model, x = model_of(kind, initial_state="trained"), driving(20)
    for name in model.parameters:
        if name in ("a0", "c0"):
            model.parameters[name] = np.random.default_rng(5).uniform(-1, 1, 4)
    expected = by_numpy(model, x, size(model))
    found = lyapunov_exponents(model, x)
    np.testing.assert_allclose(found.exponents, expected, rtol=0, atol=ATOL)


@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-6])
def test_exponents_far_apart_keep_their_digits(spread):
    """With few or many steps between decompositions, and with one after every step."""
    model, x = model_of("tanh", n_a=16), 0.1 * driving(120)
    U, _, V = np.linalg.svd(model.parameters["Waa"])
    model.parameters["Waa"] = U @ np.diag(np.geomspace(1, spread, 16)) @ V
    expected = by_numpy(model, x, 16)
    np.testing.assert_allclose(lyapunov_exponents(model, x).exponents, expected, rtol=0, atol=ATOL)


def test_k_gives_the_leading_ones():
    model, x = model_of("lstm"), driving(300)
    every = lyapunov_exponents(model, x)
    for k in (1, 3, 8):
        some = lyapunov_exponents(model, x, k)
        np.testing.assert_allclose(some.exponents, every.exponents[:k], rtol=0, atol=ATOL)


def test_they_are_sorted_with_their_errors_and_blocks():
    found = lyapunov_exponents(model_of("gru"), driving(100))
    assert (np.diff(found.exponents) <= 0).all()
    sizes = np.diff(np.arange(17) * 100 // 16)  # of 16 blocks
    np.testing.assert_allclose(np.average(found.blocks, axis=0, weights=sizes), found.exponents)


class TestByHand:
    def test_an_orthogonal_network_at_rest_neither_grows_nor_shrinks(self):
        model = crnn.RNN(3, 16, 2, dtype="float64", rng=0)  # without biases
        found = lyapunov_exponents(model, np.zeros((500, 3)))
        np.testing.assert_allclose(found.exponents, 0, atol=1e-12)
        np.testing.assert_allclose(found.errors, 0, atol=1e-12)

    def test_a_linear_relu_has_the_logs_of_its_eigenvalues(self):
        model = model_of("relu")
        model.parameters["ba"] = 1
        model.parameters["Wax"] = 0
        model.parameters["Waa"] = np.triu(np.full((4, 4), 0.5), 1) + np.diag([0.1, 0.9, 1.1, 0.5])
        found = lyapunov_exponents(model, np.zeros((60, N_X)))
        np.testing.assert_allclose(found.exponents, np.log([1.1, 0.9, 0.5, 0.1]), atol=ATOL)

    def test_one_unit(self):
        model, x = one_unit(), driving(50, 1)
        model.parameters["Waa"], model.parameters["Wax"] = -0.8, 1.5
        a, logs = 0.0, []
        for x_t in x[:, 0]:
            a = np.tanh(-0.8 * a + 1.5 * x_t)
            logs.append(np.log(0.8 * (1 - a**2)))
        (found,) = lyapunov_exponents(model, x).exponents
        assert found == pytest.approx(np.mean(logs), abs=1e-13)

    def test_one_leaky_unit_at_rest(self):
        for equation in ("rate", "current"):
            model = one_unit(cell="leaky", leak=0.25, equation=equation)
            model.parameters["Waa"] = 0.5
            (found,) = lyapunov_exponents(model, np.zeros((9, 1))).exponents
            assert found == pytest.approx(np.log(0.75 + 0.25 * 0.5), abs=1e-13)

    def test_one_gru_unit_at_rest(self):
        model = one_unit(cell="gru")
        model.parameters["Waa"] = [[5], [7], [3]]  # r = z = 1/2 whatever they are, since a = 0
        (found,) = lyapunov_exponents(model, np.zeros((9, 1))).exponents
        assert found == pytest.approx(np.log(0.5 + 0.5 * 0.5 * 3), abs=1e-13)

    def test_one_lstm_unit_that_does_not_read_itself(self):
        """Then c keeps its share f of each step, and a remembers nothing."""
        model = one_unit(cell="lstm")
        model.parameters["ba"] = [0, np.log(3), 0, 0]  # f = 3/4
        first, second = lyapunov_exponents(model, np.zeros((9, 1))).exponents
        assert first == pytest.approx(np.log(0.75), abs=1e-13)
        assert second == -np.inf

    @pytest.mark.parametrize("kind", ["tanh", "current", "gru", "lstm"])
    def test_their_sum_is_the_mean_log_of_the_determinant(self, kind):
        model, x = model_of(kind), driving(100)
        states, read = trajectory(model, x)
        logs = np.linalg.slogdet(jacobian(model, states, read))[1]
        total = lyapunov_exponents(model, x).exponents.sum()
        assert total == pytest.approx(logs.mean(), abs=1e-8)

    def test_a_dead_unit_has_an_infinite_rate_without_a_warning(self):
        model = one_unit(activation="relu")
        found = lyapunov_exponents(model, np.zeros((20, 1)))
        assert found.exponents == [-np.inf]
        assert np.isnan(found.errors).all()


def test_gradients_fall_by_the_largest_exponent():
    """The slope of log |dL/da<t>| against t, once only the leading direction is left."""
    model = crnn.RNN(8, 32, 2, dtype="float64", rng=0)
    T, x = 400, driving(400, 8)
    p = model.parameters
    a = crnn.rnn_forward(x[:, None], p["Waa"], p["Wax"], p["ba"])
    norms = []
    for T_k in (300, 100):  # gradients of the last state with respect to that at the start of T_k
        da = np.zeros((T_k, 1, 32))
        da[-1] = 1
        g = crnn.rnn_backward(da, a[-T_k:], x[-T_k:, None], p["Waa"], p["Wax"], a[-T_k - 1])
        norms.append(np.linalg.norm(g.da0))
    slope = np.log(norms[0] / norms[1]) / 200
    found = lyapunov_exponents(model, x[: T - 100], k=1, discard=100)
    assert slope == pytest.approx(found.exponents[0], abs=0.01)


class TestErrors:
    def test_they_are_those_of_the_mean_of_blocks(self):
        found = lyapunov_exponents(model_of("tanh"), driving(160))
        expected = found.blocks.std(axis=0, ddof=1) / 4  # the square root of 16
        np.testing.assert_allclose(found.errors, expected, rtol=1e-12)

    def test_they_are_as_large_as_the_exponent_varies_from_trajectory_to_trajectory(self):
        model = one_unit()
        model.parameters["Waa"], model.parameters["Wax"] = 0.1, 1.0
        every = [lyapunov_exponents(model, driving(160, 1, seed)) for seed in range(150)]
        spread = np.std([found.exponents[0] for found in every])
        # Each of the two has an error of about 6 %: 1 / sqrt(2 * 149), and less for the mean.
        assert np.mean([found.errors[0] for found in every]) == pytest.approx(spread, rel=0.2)

    def test_there_is_none_of_a_single_step(self):
        found = lyapunov_exponents(model_of("tanh"), driving(1))
        assert np.isfinite(found.exponents).all()
        assert np.isnan(found.errors).all()


@pytest.mark.parametrize("kind", ["tanh", "lstm"])
def test_small_chunks_give_the_same(kind, monkeypatch):
    """Large networks have them, so that Ctrl-C is seen soon."""
    model, x = model_of(kind), driving(100)
    whole = lyapunov_exponents(model, x)
    monkeypatch.setattr("crnn.inspect.lyapunov.LEAST_CHUNK", 3)
    monkeypatch.setattr("crnn.inspect.lyapunov.WORK", 1)
    found = lyapunov_exponents(model, x)
    np.testing.assert_allclose(found.exponents, whole.exponents, rtol=0, atol=ATOL)


def test_discarded_steps_are_not_counted():
    model, x = model_of("gru"), driving(60)
    found, every = lyapunov_exponents(model, x, discard=20), lyapunov_exponents(model, x)
    first = lyapunov_exponents(model, x[:20])
    total = 40 * found.exponents.sum() + 20 * first.exponents.sum()
    assert total == pytest.approx(60 * every.exponents.sum(), abs=1e-6)
    assert len(found.blocks) == 16


def test_shapes_and_symbols_of_x():
    model, symbols = model_of("gru"), np.random.default_rng(0).integers(0, N_X, 50)
    expected = lyapunov_exponents(model, np.eye(N_X)[symbols]).exponents
    for x in (symbols, symbols[:, None], list(symbols), np.eye(N_X)[symbols][:, None]):
        np.testing.assert_allclose(lyapunov_exponents(model, x).exponents, expected, rtol=1e-12)


def test_nan_flows_through():
    x = driving(50)
    x[20] = np.nan
    assert np.isnan(lyapunov_exponents(model_of("tanh"), x).exponents).all()


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (np.zeros((5, 2)), {}, ValueError, "x: expected numbers of shape"),
        (np.zeros((5, 2, N_X)), {}, ValueError, "x: expected one sequence"),
        (np.zeros((0, N_X)), {}, ValueError, "x: expected shape"),
        ([0, 1, 3], {}, ValueError, r"x: expected integers in 0\.\.2, got 3"),
        (np.zeros((5, N_X)), {"k": 5}, ValueError, "k: expected a whole number <= 4, got 5"),
        (np.zeros((5, N_X)), {"k": 1.5}, TypeError, "k: expected a whole number"),
        (np.zeros((5, N_X)), {"cell": 1}, ValueError, "cell: expected a whole number <= 0"),
        (np.zeros((5, N_X)), {"discard": 5}, ValueError, "discard: expected a whole number <= 4"),
    ],
)
def test_bad_arguments_are_named(x, options, error, message):
    with pytest.raises(error, match=message):
        lyapunov_exponents(model_of("tanh"), x, **options)


@pytest.mark.parametrize("N", [1, 7, 8, 9, 16, 17, 40, 131])
def test_the_blocked_decomposition_is_that_of_numpy(N):
    """At sizes around its panels of 8 columns, for all columns or some of them."""
    W = np.random.default_rng(N).normal(size=(N, N))
    for k in {1, N // 2 + 1, N}:
        Q, growth = np.eye(k, N), np.zeros(k)
        lyapunov.advance(W, np.zeros((1, N)), np.ones((1, 1, N)), None, None, Q, growth, 1)
        theirs, R = np.linalg.qr(W[:, :k])
        np.testing.assert_allclose(growth, np.log(np.abs(np.diag(R))), rtol=0, atol=1e-11)
        np.testing.assert_allclose(np.abs(Q @ theirs), np.eye(k), rtol=0, atol=1e-11)


def test_the_compiled_loop_refuses_arrays_that_do_not_fit_each_other():
    keep, gates, Q, growth = np.zeros((3, 2)), np.zeros((3, 1, 2)), np.eye(2), np.zeros(2)
    assert lyapunov.advance(np.eye(2), keep, gates, None, None, Q, growth, 1) >= 1
    for wrong in (growth[:1], np.zeros(2, "f4"), np.zeros(4)[::2]):
        with pytest.raises(ValueError, match="does not fit"):
            lyapunov.advance(np.eye(2), keep, gates, None, None, Q, wrong, 1)


def test_printing_shows_a_short_table():
    found = crnn.inspect.lyapunov_exponents(crnn.RNN(3, 30, 2, rng=0), np.zeros((40, 3)))
    lines = str(found).splitlines()
    assert lines[0] == repr(found)
    assert lines[0].startswith("LyapunovExponents(30 exponents, from ")
    assert len(lines) == 23
    assert lines[-1] == "and 10 more"
