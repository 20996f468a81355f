"""Gradient accumulation: a step on several batches is that of one large batch."""

import numpy as np
import pytest

import crnn
from crnn._network import network


def examples(m=22, T=5, steps="last"):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (T, m) if steps == "all" else m)
    return rng.standard_normal((T, m, 2)), y


def fit(model, *args, **options):
    return model.fit(
        *args, **{"progress": False, "rng": 0, "optimizer": crnn.Adam(0.01), **options}
    )


@pytest.mark.parametrize("cell", ["vanilla", "lstm"])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"memory": "sqrt"}])
def test_a_step_is_that_of_the_large_batch(cell, options):
    """Batches of 4, 4, 4, 4, 4 and 2 examples in groups of 3 are batches of 12 and 10."""
    made = {"cell": cell, "dtype": "float64", "num_layers": 2, "direction": "bidirectional"}
    small, large = (crnn.RNN(2, 3, 2, **made, rng=0) for _ in range(2))
    x, y = examples()
    a = fit(small, x, y, epochs=3, batch_size=4, accumulate=3, **options)
    b = fit(large, x, y, epochs=3, batch_size=12, **options)
    for name, p in small.parameters.items():
        np.testing.assert_allclose(p, large.parameters[name], rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("loss", "metric", "gradient_norm", "learning_rate"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-9)


def test_rows_count_not_batches():
    """Steps within lengths have equal weights, whatever batch they are in."""
    model = crnn.RNN(2, 3, 2, steps="all", dtype="float64", rng=0)
    x, y = examples(6, steps="all")
    lengths, weights = [1, 5, 2, 5, 4, 1], [1, 2, 0.5, 1, 3, 1]
    _, whole = model.gradients(x, y, lengths=lengths, sample_weight=weights)
    before = {name: p.copy() for name, p in model.parameters.items()}
    options = {"lengths": lengths, "sample_weight": weights, "optimizer": crnn.SGD(1.0)}
    fit(model, x, y, epochs=1, batch_size=2, accumulate=3, **options)
    for name, p in model.parameters.items():
        np.testing.assert_allclose(p, before[name] - whole[name], rtol=1e-10, atol=1e-13)


def test_one_batch_is_in_the_network_at_a_time(monkeypatch):
    seen = []
    whole = network.Network.gradients

    def watched(self, batch, *args, **options):
        seen.append(batch.x.shape[1])
        return whole(self, batch, *args, **options)

    monkeypatch.setattr(network.Network, "gradients", watched)
    x, y = examples()
    sgd = crnn.SGD(lambda step: 0.1)  # whose steps are taken in Python
    model = crnn.RNN(2, 3, 2, rng=0)
    history = fit(model, x, y, epochs=1, batch_size=4, accumulate=4, optimizer=sgd)
    assert seen == [4, 4, 4, 4, 4, 2]
    assert len(history.loss) == 1


def test_schedules_count_steps_not_batches():
    x, y = examples(16)
    sgd = crnn.SGD(crnn.schedules.Linear(0.4))
    history = fit(
        crnn.RNN(2, 3, 2, rng=0), x, y, epochs=2, batch_size=4, accumulate=2, optimizer=sgd
    )
    np.testing.assert_allclose(history.learning_rate, [0.3, 0.1])


def test_the_bar_counts_examples(capsys):
    x, y = examples()
    fit(crnn.RNN(2, 3, 2, rng=0), x, y, epochs=1, batch_size=4, accumulate=4, progress=True)
    assert "22.0/22.0" in capsys.readouterr().err


def test_a_bad_example_is_named_and_its_step_undone():
    x, y = examples(8)
    x[2, 5, 1] = np.nan
    model = crnn.RNN(2, 3, 2, rng=0)
    before = {name: p.copy() for name, p in model.parameters.items()}
    with pytest.raises(crnn.DivergenceError, match=r"x: expected finite numbers.*\(2, 5, 1\)"):
        fit(model, x, y, batch_size=2, accumulate=4)
    for name, p in model.parameters.items():
        np.testing.assert_array_equal(p, before[name])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"accumulate": 0}, ValueError, "accumulate: expected a whole number >= 1, got 0"),
        ({"accumulate": 1.5}, TypeError, "accumulate: expected a whole number"),
        ({"accumulate": 2, "inspect": True}, ValueError, "inspect: expected False with accumulate"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    x, y = examples()
    model = crnn.RNN(2, 3, 2, rng=0)
    before = {name: p.copy() for name, p in model.parameters.items()}
    with pytest.raises(error, match=message):
        fit(model, x, y, **options)
    for name, p in model.parameters.items():
        np.testing.assert_array_equal(p, before[name])
