"""crnn.inspect.gradient_flow: norms as torch's autograd gives them, rates, lags, shares."""

import numpy as np
import pytest
import some_models

import crnn
import crnn.inspect
from crnn.inspect import gradient_flow

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 5, 3))
Y = [0, 1, 2, 1, 0]
LENGTHS = np.array([12, 3, 7, 12, 1])


def model_of(cell="vanilla", **options):
    leak = {"leak": 0.4} if cell == "leaky" else {}
    return crnn.RNN(3, 9, 3, cell=cell, rng=1, **{"dtype": "float64", **leak, **options})


@pytest.mark.parametrize("steps", ["last", "all"])
def test_a_vanilla_network_by_hand(steps):
    """The recursion da<t> = Wya' dz<t> + Waa' (da<t+1> (1 - a<t+1>^2)), in NumPy."""
    model = model_of(steps=steps)
    p = model.parameters
    a = crnn.rnn_forward(X, p["Waa"], p["Wax"], p["ba"])
    y = np.array(Y) if steps == "last" else RNG.integers(0, 3, X.shape[:2])
    y_hat = model.predict_proba(X)
    from_above = np.zeros_like(a)
    if steps == "last":
        from_above[-1] = (y_hat - np.eye(3)[y]) @ p["Wya"]
    else:
        from_above[...] = (y_hat - np.eye(3)[y]) @ p["Wya"]
    total = from_above.copy()
    for t in range(len(X) - 2, -1, -1):
        total[t] += (total[t + 1] * (1 - a[t + 1] ** 2)) @ p["Waa"]
    flow = gradient_flow(model, X, y)
    sizes = np.linalg.norm(total, axis=2)  # (T, m)
    np.testing.assert_allclose(flow.norms[0], sizes.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        flow.quantiles[0], np.quantile(sizes, [0.1, 0.5, 0.9], axis=1), rtol=1e-12
    )
    np.testing.assert_array_equal(flow.by_lag[0], flow.norms[0, ::-1])


@pytest.mark.parametrize("kind", some_models.KINDS)
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_norms_of_every_cell_by_finite_differences(kind, direction):
    """The loss of the steps after t, as a function of the state that they begin from."""
    model = some_models.model_of(kind, direction=direction)
    x, lstm, h = X[:5, :1], model.config.cell == "lstm", 1e-6
    norms = gradient_flow(model, x, [1]).norms[0]
    states = model.states(x, layer=0, cells=lstm)
    a, *c = states if lstm else (states,)  # (T, 1, n_a)

    def loss(t, state):
        start = (state, c[0][t]) if lstm else state
        later = x[t + 1 :] if direction == "forward" else x[:t]
        return model.evaluate(later, [1], a0=[start])[0]

    for t in range(4) if direction == "forward" else range(1, 5):
        changes = h * np.eye(a.shape[2])
        gradient = [(loss(t, a[t] + e) - loss(t, a[t] - e)) / (2 * h) for e in changes]
        assert norms[t] == pytest.approx(np.linalg.norm(gradient), abs=1e-9)


@pytest.mark.parametrize("cell", ["vanilla", "leaky", "gru", "lstm"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lengths_layers_and_directions_equal_each_example_alone(cell, direction):
    model = model_of(cell, num_layers=2, direction=direction)
    flow = gradient_flow(model, X, Y, lengths=LENGTHS)
    alone = [
        gradient_flow(model, X[:n, i : i + 1], Y[i : i + 1]).norms for i, n in enumerate(LENGTHS)
    ]
    padded = np.zeros((5, *flow.norms.shape))
    for i, norms in enumerate(alone):
        padded[i, :, : norms.shape[1]] = norms
    np.testing.assert_allclose(flow.norms, padded.mean(axis=0), rtol=1e-11)
    for k, name in enumerate(flow.cells):
        lags = [n[k] if "reverse" in name else n[k, ::-1] for n in alone]
        for lag in range(12):
            has = [own[lag] for own in lags if len(own) > lag]
            np.testing.assert_allclose(flow.by_lag[k, lag], np.mean(has), rtol=1e-11)


def test_the_loss_is_summed_over_examples_and_a_list_is_as_an_array():
    model = model_of()
    flow = gradient_flow(model, X, Y)
    twice = gradient_flow(model, np.concatenate([X, X], axis=1), [*Y, *Y])
    np.testing.assert_allclose(twice.norms, flow.norms, rtol=1e-12)
    listed = gradient_flow(model, [X[:, i] for i in range(5)], Y)
    np.testing.assert_allclose(listed.norms, flow.norms, rtol=1e-12)
    assert flow.loss == pytest.approx(model.evaluate(X, Y)[0])


@pytest.mark.parametrize("cell", ["vanilla", "lstm"])
def test_an_example_of_weight_0_is_left_out(cell):
    model, kept = model_of(cell), [0, 2, 3]
    w = np.array([1.0, 0, 2, 0.5, 0])
    flow = gradient_flow(model, X, Y, LENGTHS, w)
    alone = gradient_flow(model, X[:, kept], np.array(Y)[kept], LENGTHS[kept], w[kept])
    np.testing.assert_array_equal(flow.norms, alone.norms)
    np.testing.assert_array_equal(flow.quantiles, alone.quantiles)


def test_a_norm_that_is_nan_makes_the_quantiles_of_its_steps_nan_and_no_others():
    x = X.copy()
    x[:, 2] = np.nan  # of 7 steps
    flow = gradient_flow(model_of(), x, Y, LENGTHS)
    assert np.isnan(flow.quantiles[0, :, :7]).all()
    assert np.isfinite(flow.quantiles[0, :, 7:]).all()


def test_relu_units_that_are_nan_are_not_dead():
    x = X.copy()
    x[3, 1] = np.nan
    assert gradient_flow(model_of(activation="relu"), x, Y).saturated[0] == 0


def test_groups_of_examples_give_the_same(monkeypatch):
    model = model_of("gru", steps="all")
    y = RNG.integers(0, 3, X.shape[:2])
    whole = gradient_flow(model, X, y, lengths=LENGTHS)
    monkeypatch.setattr("crnn._network.grouping.MOST_BYTES", 1)
    parts = gradient_flow(model, X, y, lengths=LENGTHS)
    np.testing.assert_allclose(parts.norms, whole.norms, rtol=1e-12)
    np.testing.assert_array_equal(parts.gates["r"], whole.gates["r"])
    assert parts.loss == pytest.approx(whole.loss)


def test_the_rate_is_the_largest_lyapunov_exponent():
    """Far from the loss, the gradient changes as fast as a difference of states does."""
    model = crnn.RNN(3, 32, 3, dtype="float64", rng=0)
    x = np.random.default_rng(0).standard_normal((600, 1, 3))
    flow = gradient_flow(model, x, [0])
    exponent = crnn.inspect.lyapunov_exponents(model, x, k=1).exponents[0]
    assert flow.rate[0] == pytest.approx(exponent, abs=0.005)
    assert flow.reach()[0] == pytest.approx(-1 / flow.rate[0])
    assert flow.reach(1e-6)[0] == pytest.approx(np.log(1e-6) / flow.rate[0])


def test_a_gradient_that_does_not_fall_reaches_for_ever():
    model = crnn.RNN(3, 4, 3, dtype="float64", activation="relu", rng=0)
    model.parameters["Waa"] = 2 * np.eye(4)
    model.parameters["Wax"] = 1.0
    flow = gradient_flow(model, np.ones((9, 1, 3)), [0])
    np.testing.assert_allclose(flow.rate, np.log(2), rtol=1e-9)
    assert flow.reach()[0] == np.inf
    assert flow.saturated[0] == 0  # no dead unit
    model.parameters["ba"] = [-1e9, 0, 0, 0]
    assert gradient_flow(model, np.ones((9, 1, 3)), [0]).saturated[0] == 0.25


@pytest.mark.parametrize("n_a", [9, 100])  # one block of what is kept, and several
@pytest.mark.parametrize("m", [2, 9])
@pytest.mark.parametrize("lengths", [False, True])
def test_shares_of_gates_and_states(n_a, m, lengths):
    """Biases that open or close a gate for some units, whatever the input."""
    model = crnn.RNN(3, n_a, 3, cell="lstm", rng=0)
    for name in ("Waa", "Wax"):
        model.parameters[name] = 0
    ba = np.zeros((4, n_a))
    ba[0, :3], ba[1, :4], ba[2], ba[3, :5] = 9, -9, 9, 9  # i near 1, f near 0, g 1, o near 1
    model.parameters["ba"] = ba.ravel()
    ends = np.arange(m) % 5 + 1 if lengths else None
    flow = gradient_flow(model, np.ones((5, m, 3)), np.zeros(m, int), lengths=ends)
    np.testing.assert_allclose(flow.gates["i"][0], [0, 3 / n_a])
    np.testing.assert_allclose(flow.gates["f"][0], [4 / n_a, 0])
    np.testing.assert_allclose(flow.gates["o"][0], [0, 5 / n_a])
    assert set(flow.gates) == {"i", "f", "o"}
    assert 0 <= flow.saturated[0] < 1


def test_the_table_and_the_plot():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    flow = gradient_flow(model_of("gru", direction="bidirectional"), X, Y)
    assert "layer 0, reverse" in str(flow)
    assert "gate z" in str(flow)
    ax = flow.plot()
    assert ax.get_yscale() == "log"
    assert len(ax.lines) == 4  # two cells, each with its fitted rate
    pyplot.close(ax.figure)
    flow.plot(pyplot.figure().subplots())
    pyplot.close("all")
    assert repr(flow) == f"GradientFlow(2 cells, {len(X)} steps)"


def test_the_plot_by_lag_shows_what_the_rate_is_fitted_to():
    """With lengths that differ, the mean by step has examples in it that have ended."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    flow = gradient_flow(model_of(), X, Y, lengths=[12, 3, 5, 7, 9])
    ax = flow.plot(lag=True)
    norms, fitted = (line.get_ydata() for line in ax.lines)
    np.testing.assert_array_equal(norms, flow.by_lag[0])
    np.testing.assert_allclose(np.diff(np.log(fitted)), flow.rate[0], rtol=1e-9)
    assert abs(np.log(fitted / norms).mean()) < 1e-9  # the line goes through the middle
    with pytest.raises(TypeError, match="lag: expected True or False"):
        flow.plot(lag=1)
    with pytest.raises(TypeError, match="ax: expected a matplotlib Axes or None"):
        flow.plot("flow.png")
    pyplot.close("all")


@pytest.mark.parametrize("Wya", [0, np.nan])
def test_norms_without_a_logarithm_have_a_plot(Wya):
    """All zero, or NaN after a training that diverged."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = model_of()
    model.parameters["Wya"] = Wya
    flow = gradient_flow(model, X, Y)
    assert np.isnan(flow.rate).all()
    for lag in (False, True):
        flow.plot(lag=lag).figure.canvas.draw()
    pyplot.close("all")


def test_one_step_is_drawn_as_a_point():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = gradient_flow(model_of(), X[:1], Y).plot()
    assert ax.lines[0].get_marker() == "o"
    pyplot.close("all")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": 3}, TypeError, "model: expected a crnn.RNN"),
        ({"y": None}, TypeError, "y: "),
        ({"x": X[0]}, ValueError, "x: "),
        ({"lengths": [13] * 5}, ValueError, "lengths: "),
    ],
)
def test_errors_name_the_argument(change, error, message):
    with pytest.raises(error, match=message):
        gradient_flow(**{"model": model_of(), "x": X, "y": Y, **change})


@pytest.mark.parametrize("fraction", [0, 1, 2.5, -1, "a", None])
def test_a_fraction_that_is_none(fraction):
    with pytest.raises((ValueError, TypeError), match="fraction: "):
        gradient_flow(model_of(), X, Y).reach(fraction)
