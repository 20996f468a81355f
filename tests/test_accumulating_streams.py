"""Gradient accumulation over the windows of a stream, whose state is carried."""

import numpy as np
import pytest

import crnn

N, N_X, M, T = 44, 2, 3, 5


def made(cell="vanilla", **options):
    return crnn.RNN(
        N_X, 4, N_X, steps="all", loss="mse", cell=cell, dtype="float64", rng=0, **options
    )


def numbers(n=N, m=M):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, m, N_X)), rng.standard_normal((n, m, N_X))


def fitted(model, *args, **options):
    return model.fit_stream(*args, **{"steps": T, "epochs": 1, "progress": False, **options})


def flat(model):
    return model._network.arena.flat.copy()


def by_hand(model, x, y, k):
    """Plain steps of rate 1 on the mean gradients of up to k windows."""
    begins, state = range(0, len(x), T), None
    for first in range(0, len(begins), k):
        total, rows = 0, 0
        for t in begins[first : first + k]:
            part = slice(t, t + T)
            _, gradients, state = model.gradients(x[part], y[part], a0=state, return_state=True)
            steps = len(x[part]) * M
            total = total + steps * np.concatenate([g.ravel() for g in gradients.values()])
            rows += steps
        at = 0
        for p in model.parameters.values():
            p -= (total[at : at + p.size] / rows).reshape(p.shape)
            at += p.size


@pytest.mark.parametrize("cell", ["vanilla", "lstm"])
@pytest.mark.parametrize("k", [1, 2, 4, 20])
def test_a_step_has_the_mean_gradient_of_its_windows(cell, k):
    """44 steps are 9 windows, of which the last one has 4; the state passes through all of them."""
    x, y = numbers()
    ours, wanted = made(cell), made(cell)
    history = fitted(ours, x, y, optimizer=crnn.SGD(1.0), accumulate=k)
    by_hand(wanted, x, y, k)
    for name, p in ours.parameters.items():
        np.testing.assert_allclose(p, wanted.parameters[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert history.learning_rate == [1.0]


def test_one_sequence_of_symbols():
    """With the rate 0.0001 the parameters hardly move: every window counts the same."""
    symbols = np.random.default_rng(0).integers(0, 5, 400)
    found = []
    for k in (1, 3):
        model = crnn.RNN(5, 6, 5, steps="all", dtype="float64", rng=0)
        sgd = crnn.SGD(1e-4)
        history = fitted(model, symbols, batch_size=4, optimizer=sgd, accumulate=k)
        found.append((flat(model), history.loss[0]))
        assert model._memory[1]["step"] == -(-20 // k)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-4)
    assert np.abs(found[1][0] - found[0][0]).max() > 1e-5


@pytest.mark.parametrize("shards", [1, 3])
def test_shards_agree(shards):
    x, y = numbers()
    resets = np.random.default_rng(1).random((N, M)) < 0.1
    models = [made("lstm", initial_state="trained") for _ in range(2)]
    for model, given in zip(models, (None, shards), strict=True):
        history = fitted(model, x, y, resets=resets, accumulate=2, shards=given, epochs=3)
    assert np.isfinite(history.loss).all()
    np.testing.assert_allclose(flat(models[0]), flat(models[1]), rtol=1e-9, atol=1e-12)


class Stopped(Exception):
    """Raised in the middle of a training."""


@pytest.mark.parametrize("shards", [None, 3])
def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path, shards):
    x, y = numbers()
    resets = np.random.default_rng(1).random((N, M)) < 0.2
    options = {"resets": resets, "accumulate": 2, "epochs": 3, "optimizer": crnn.Adam(0.01)}
    options["shards"] = shards
    whole = made("lstm")
    fitted(whole, x, y, **options)

    steps = []

    class Counting(crnn.Adam):
        def step(self, parameters, gradients, memory):
            steps.append(0)
            if len(steps) == 8:  # the third of the second epoch's five
                raise Stopped
            super().step(parameters, gradients, memory)

    kept = {"checkpoint": tmp_path / "kept.safetensors", "every": 1}
    with pytest.raises(Stopped):
        fitted(made("lstm"), x, y, **options | {"optimizer": Counting(0.01)}, **kept)
    resumed = made("lstm")
    fitted(resumed, x, y, **options | {"optimizer": Counting(0.01)}, **kept)
    assert len(steps) == 8 + 15 - 7
    np.testing.assert_array_equal(flat(resumed), flat(whole))


def test_a_number_that_is_not_finite_is_named():
    x, y = numbers()
    x[12, 1, 0] = np.inf
    model = made()
    before = flat(model)
    with pytest.raises(crnn.DivergenceError, match=r"symbols: expected finite numbers, .* step 12"):
        fitted(model, x, y, accumulate=20)
    np.testing.assert_array_equal(flat(model), before)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_what_is_no_number_of_windows(k, error):
    with pytest.raises(error, match="accumulate: expected a whole number"):
        fitted(made(), *numbers(), accumulate=k)
