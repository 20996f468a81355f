"""Penalties on rates and weights: their size, and their gradients through the whole model."""

import tracemalloc

import numpy as np
import pytest

import crnn
from crnn import check
from crnn._network import grouping

T, M, N_X, N_A, N_Y = 4, 3, 1, 2, 2
LENGTHS = np.array([4, 1, 3])
ALL = crnn.Penalty(rates_l2=0.7, rates_l1=0.3, weights_l2=0.05, weights_l1=0.02)
CELLS = {
    "vanilla": {},
    "relu": {"activation": "relu"},
    "leaky": {"cell": "leaky", "leak": 0.3},
    "current": {"cell": "leaky", "leak": 0.3, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
#: Of each cell, the gate whose bias decides the sign of the rates.
GATES = {"gru": 2, "lstm": 2}


def model(cell, **options):
    """A model with no rate and no weight near 0, where |r| and |W| have no derivative."""
    rnn = crnn.RNN(N_X, N_A, N_Y, **{"dtype": "float64", "rng": 0, **cell, **options})
    for name, value in rnn.parameters.items():
        if name.startswith("W"):
            rnn.parameters[name] = 0.2 * value + np.copysign(0.02, value)
        elif name.startswith("ba_") or name == "ba":
            first = GATES.get(rnn.config.cell, 0) * N_A
            value[first : first + N_A] = [1.5, -1.5]
    return rnn


def problem(rnn, seed=1):
    rng = np.random.default_rng(seed)
    shape = (M,) if rnn.config.steps == "last" else (T, M)
    return rng.uniform(-1, 1, (T, M, N_X)), rng.integers(0, N_Y, shape)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])
def test_gradients_agree_with_finite_differences(cell, steps, direction, lengths):
    rnn = model(cell, steps=steps, direction=direction, num_layers=2)
    x, y = problem(rnn)
    _, gradients = rnn.gradients(x, y, lengths, penalty=ALL)
    for name, parameter in rnn.parameters.items():
        expected = check.finite_difference(
            lambda: rnn.gradients(x, y, lengths, penalty=ALL)[0], parameter
        )
        error = check.relative_error(gradients[name], expected)
        assert error < check.FINITE_DIFFERENCE_TOLERANCE, name


@pytest.mark.parametrize("equation", ["rate", "current"])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_the_loss_is_what_the_definition_says(equation, steps):
    """Mean rates as the loss counts steps, and sums over the weights."""
    options = {"cell": "leaky", "leak": 0.3, "equation": equation}
    rnn = model(options, steps=steps)
    x, y = problem(rnn)
    p = rnn.parameters
    s = crnn.leaky_forward(
        x, p["Waa"], p["Wax"], p["ba"], leak=0.3, equation=equation, lengths=LENGTHS
    )
    rates = np.tanh(s.a) if equation == "current" else s.a
    valid = [rates[:length, i] for i, length in enumerate(LENGTHS)]  # (T_i, n_a) each
    for square, options in ((True, {"rates_l2": 2.0}), (False, {"rates_l1": 2.0})):
        of = [r**2 if square else np.abs(r) for r in valid]
        mean = np.mean([r.mean() for r in of]) if steps == "last" else np.concatenate(of).mean()
        loss = rnn.gradients(x, y, LENGTHS, penalty=crnn.Penalty(**options))[0]
        assert loss == pytest.approx(rnn.gradients(x, y, LENGTHS)[0] + 2 * mean, rel=1e-12)
    weights = np.concatenate([p[name].ravel() for name in ("Waa", "Wax", "Wya")])
    loss = rnn.gradients(x, y, LENGTHS, penalty=crnn.Penalty(weights_l2=2, weights_l1=3))[0]
    added = 2 * np.sum(weights**2) + 3 * np.abs(weights).sum()
    assert loss == pytest.approx(rnn.gradients(x, y, LENGTHS)[0] + added, rel=1e-12)


@pytest.mark.parametrize("steps", ["last", "all"])
def test_groups_of_examples_give_what_all_at_once_give(steps, monkeypatch):
    rnn = model({}, steps=steps)
    x, y = problem(rnn)
    loss, gradients = rnn.gradients(x, y, LENGTHS, penalty=ALL)
    monkeypatch.setattr(grouping, "MOST_BYTES", 1)
    monkeypatch.setattr(grouping, "FEW_STEPS", 0)
    grouped, found = rnn.gradients(x, y, LENGTHS, penalty=ALL)
    assert grouped == pytest.approx(loss, rel=1e-13)
    for name, value in gradients.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("steps", ["last", "all"])
def test_gradients_of_many_examples_take_bounded_memory(steps):
    rnn = crnn.RNN(1, 32, 2, cell="leaky", leak=0.3, steps=steps, rng=0)
    x, y = np.zeros((50, 10_000, 1), "f"), np.zeros((50, 10_000), int)
    y = y[-1] if steps == "last" else y
    tracemalloc.start()
    rnn.gradients(x, y, penalty=ALL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_sample_weights_do_not_change_what_rates_cost():
    rnn = model({}, steps="all")
    x, y = problem(rnn)
    weights = np.ones((T, M))
    weights[:2] = 0  # the loss counts the last steps only
    added = [
        rnn.gradients(x, y, None, w, penalty=ALL)[0] - rnn.gradients(x, y, None, w)[0]
        for w in (None, weights)
    ]
    assert added[0] == pytest.approx(added[1], rel=1e-12)


def test_training_minimises_the_loss_with_the_penalty():
    rnn = model({"cell": "leaky", "leak": 0.3})
    x, y = problem(rnn)
    expected, plain = rnn.gradients(x, y, penalty=ALL)[0], rnn.evaluate(x, y)[0]
    tiny = {"epochs": 1, "optimizer": crnn.SGD(1e-12), "progress": False, "penalty": ALL}
    history = rnn.fit(x, y, validation=(x, y), **tiny)
    assert history.loss[0] == pytest.approx(expected, rel=1e-12)
    assert history.val_loss[0] == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize("name", ["rates_l2", "rates_l1", "weights_l2", "weights_l1"])
def test_each_penalty_makes_small_what_it_is_about(name):
    sizes = []
    for strength in (0, 1):
        rnn = model({}, steps="all")
        x, y = problem(rnn)
        penalty = crnn.Penalty(**{name: strength})
        rnn.fit(x, y, epochs=200, penalty=penalty, progress=False, rng=0)
        p = rnn.parameters
        rates = crnn.rnn_forward(x, p["Waa"], p["Wax"], p["ba"])
        sizes.append(np.abs(rates if name.startswith("rates") else p["Waa"]).mean())
    assert sizes[1] < 0.5 * sizes[0]


def test_a_stream_of_symbols_takes_one():
    def weight(penalty):
        rnn = crnn.RNN(3, 8, 3, steps="all", rng=0)
        symbols = np.tile([0, 1, 2, 1], 50)
        rnn.fit_stream(symbols, batch_size=4, epochs=5, progress=False, penalty=penalty)
        return np.abs(rnn.parameters["Waa"]).mean()

    assert weight(crnn.Penalty(weights_l2=1)) < 0.5 * weight(None)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: crnn.Penalty(rates_l2=-1), ValueError, "rates_l2: expected a finite number >= 0"),
        (lambda: crnn.Penalty(weights_l1="1"), TypeError, "weights_l1: expected a number, got '1'"),
        (lambda: model({}).gradients(*problem(model({})), penalty=0.1), TypeError,
         r"penalty: expected a crnn\.Penalty or None, got 0\.1"),
        (lambda: model({}).fit(*problem(model({})), penalty={"rates_l2": 1}), TypeError,
         r"penalty: expected a crnn\.Penalty or None, got \{'rates_l2': 1\}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
