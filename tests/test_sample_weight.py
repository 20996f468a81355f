"""Weights of examples and steps: their effect on the loss, on its gradient and on training."""

import numpy as np
import pytest

import crnn
from crnn import check

T, M, N_X, N_Y = 5, 6, 3, 3
W = np.array([2.0, 0.0, 1.0, 3.0, 0.0, 1.0])
REPEATED = np.repeat(np.arange(M), W.astype(int))
KINDS = [
    pytest.param(steps, loss, id=f"{steps}, {loss}")
    for steps in ("last", "all")
    for loss in ("cross_entropy", "mse", "binary_cross_entropy", "quantiles")
]


def problem(steps, loss, dtype="float64", **options):
    """A model, x (T, M, n_x) and y."""
    rng = np.random.default_rng(0)
    model = crnn.RNN(N_X, 5, N_Y, steps=steps, loss=loss, dtype=dtype, rng=1, **options)
    shape = (M,) if steps == "last" else (T, M)
    if loss == "cross_entropy":
        y = rng.integers(0, N_Y, shape)
    elif loss == "quantiles":  # of one series, and not near an answer, where the loss has a kink
        y = rng.choice([-3.0, 3.0], (*shape, 1))
    else:
        y = rng.random((*shape, N_Y))
    return model, rng.standard_normal((T, M, N_X)), y


def examples(y, steps, chosen):
    """Targets of the chosen examples."""
    return y[chosen] if steps == "last" else y[:, chosen]


def flat(model):
    return np.concatenate([p.ravel() for p in model.parameters.values()])


def fit(model, *arguments, **options):
    return model.fit(*arguments, **{"progress": False, "rng": 0, **options})


@pytest.mark.parametrize(("steps", "loss"), KINDS)
class TestMeaning:
    @pytest.mark.parametrize("ragged", [False, True])
    def test_gradients_agree_with_finite_differences(self, steps, loss, ragged):
        model, x, y = problem(steps, loss, direction="bidirectional", num_layers=2)
        lengths = np.array([5, 1, 3, 4, 2, 5]) if ragged else None
        w = np.random.default_rng(2).exponential(size=M if steps == "last" else (T, M))
        assert check.model_error(model, x, y, lengths, w) < check.FINITE_DIFFERENCE_TOLERANCE

    def test_a_whole_number_repeats_and_zero_leaves_out(self, steps, loss):
        model, x, y = problem(steps, loss)
        x[:, W == 0] = np.nan  # 0 times NaN would be NaN: what weighs nothing is not read
        weighted, g = model.gradients(x, y, sample_weight=W)
        repeated, h = model.gradients(x[:, REPEATED], examples(y, steps, REPEATED))
        assert weighted == pytest.approx(repeated, rel=1e-14)
        for name in g:
            np.testing.assert_allclose(g[name], h[name], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(
            model.evaluate(x, y, sample_weight=W),
            model.evaluate(x[:, REPEATED], examples(y, steps, REPEATED)),
            rtol=1e-14,
        )

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_ones_and_zeros_give_the_bits_of_no_weights(self, steps, loss, dtype):
        kept = np.flatnonzero(W)
        runs = []
        for data, w in (((slice(None)), np.sign(W)), (kept, None)):
            model, x, y = problem(steps, loss, dtype)
            x, y = x[:, data], examples(y, steps, data)
            history = fit(model, x, y, sample_weight=w, batch_size=3, optimizer=crnn.Adam())
            runs.append([flat(model), history.loss, history.metric])
        for weighted, left_out in zip(*runs, strict=True):
            np.testing.assert_array_equal(weighted, left_out)

    def test_only_ratios_count(self, steps, loss):
        model, x, y = problem(steps, loss)
        once, many = (model.gradients(x, y, sample_weight=c * W)[1] for c in (1, 1e6))
        for name in once:
            np.testing.assert_allclose(once[name], many[name], rtol=1e-12, atol=1e-15)

    def test_batches_add_up_to_the_whole(self, steps, loss):
        """A batch's gradient is right on average, whatever it weighs: one example at a time."""
        model, x, y = problem(steps, loss)
        before, g = flat(model), model.gradients(x, y, sample_weight=W)[1]
        # Steps so small that the parameters stay where they are: their sum is the gradient's.
        lr, kept = 1e-7, np.count_nonzero(W)
        fit(model, x, y, sample_weight=W, epochs=1, batch_size=1, optimizer=crnn.SGD(lr))
        expected = np.concatenate([d.ravel() for d in g.values()])
        np.testing.assert_allclose((before - flat(model)) / lr / kept, expected, atol=1e-6)

    def test_an_epochs_figures_and_those_of_validation_are_weighted(self, steps, loss):
        model, x, y = problem(steps, loss)
        rule = {"epochs": 1, "batch_size": 2, "optimizer": crnn.SGD(1e-30)}
        history = fit(model, x, y, sample_weight=W, validation=(x, y, None, W), **rule)
        told = model.evaluate(x, y, sample_weight=W)
        assert (history.loss[0], history.metric[0]) == pytest.approx(told, rel=1e-12)
        assert (history.val_loss[0], history.val_metric[0]) == pytest.approx(told, rel=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
class TestSteps:
    def test_an_examples_weight_holds_at_each_step(self, loss):
        model, x, y = problem("all", loss)
        lengths = np.array([5, 1, 3, 4, 2, 5])
        once = model.evaluate(x, y, lengths, W)
        assert model.evaluate(x, y, lengths, np.tile(W, (T, 1))) == once
        padded = np.where(np.arange(T)[:, None] < lengths, W, np.nan)  # never read
        assert model.evaluate(x, y, lengths, padded) == once

    def test_a_step_of_no_weight_has_no_loss(self, loss):
        model, x, y = problem("all", loss)
        w = np.zeros((T, M))
        w[-1] = 1  # many-to-one
        last = crnn.RNN(N_X, 5, N_Y, loss=loss, dtype="float64", rng=1)
        assert model.evaluate(x, y, None, w) == pytest.approx(last.evaluate(x, y[-1]), rel=1e-14)

    def test_lists_go_with_lists(self, loss):
        model, x, y = problem("all", loss)
        lengths = np.array([5, 1, 3, 4, 2, 5])
        w = np.random.default_rng(3).random((T, M))
        w[:, 2] = 0
        xs, ys, ws = ([a[:n, i] for i, n in enumerate(lengths)] for a in (x, y, w))
        np.testing.assert_allclose(
            model.evaluate(xs, ys, sample_weight=ws), model.evaluate(x, y, lengths, w), rtol=1e-14
        )
        np.testing.assert_allclose(
            model.evaluate(xs, ys, sample_weight=list(W)),
            model.evaluate(x, y, lengths, W),
            rtol=1e-14,
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestWhatWeighsNothingMayBeAnything:
    """Rows of weight 0 must be left out of loss, metric and gradients, because 0 * NaN is NaN."""

    def test_targets(self, dtype, bad):
        model, x, y = problem("all", "mse", dtype)
        w = np.ones((T, M))
        w[1, 2] = w[4, 0] = 0
        spoiled = np.where(w[..., None] == 0, bad, y)
        assert model.evaluate(x, spoiled, None, w) == model.evaluate(x, y, None, w)
        (loss, g), (again, h) = (model.gradients(x, t, None, w) for t in (y, spoiled))
        assert loss == again
        for name in g:
            np.testing.assert_array_equal(g[name], h[name])
        histories = []
        for targets in (y, spoiled):
            model, *_ = problem("all", "mse", dtype)
            given = {"sample_weight": w, "validation": (x, targets, None, w), "batch_size": 2}
            histories.append(fit(model, x, targets, **given))
        for name in ("loss", "metric", "val_loss", "val_metric", "gradient_norm"):
            assert getattr(histories[0], name) == getattr(histories[1], name)

    @pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
    def test_answers(self, loss, dtype, bad):
        """An input at the last step of an example, where nothing after it counts."""
        model, x, y = problem("all", loss, dtype, activation="relu")
        w = np.ones((T, M))
        w[-1, 3] = 0
        spoiled = x.copy()
        spoiled[-1, 3] = bad
        assert model.evaluate(spoiled, y, None, w) == model.evaluate(x, y, None, w)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("lengths", [[1] * M, [1, 2] * 3, None])
def test_one_weight_an_example_is_one_at_each_of_its_steps(loss, lengths):
    """Whatever the arrays' strides: a batch of one step, one example, or Fortran order."""
    model, x, y = problem("all", loss)
    expected = model.evaluate(x, y, lengths, W)
    gradients = model.gradients(x, y, lengths, W)[1]
    by_step = np.tile(W, (T, 1))
    for w in (list(W), by_step, np.asfortranarray(by_step), np.broadcast_to(W, (T, M))):
        assert model.evaluate(x, y, lengths, w) == expected
        for name, d in model.gradients(x, y, lengths, w)[1].items():
            np.testing.assert_array_equal(d, gradients[name])
        fit(problem("all", loss)[0], x, y, lengths=lengths, sample_weight=w, batch_size=1)
    alone = slice(2, 3)  # one example, whose weight then is 1
    n = None if lengths is None else lengths[alone]
    assert model.evaluate(x[:, alone], y[:, alone], n, W[alone]) == model.evaluate(
        x[:, alone], y[:, alone], n
    )


@pytest.mark.parametrize(
    ("steps", "w", "error", "message"),
    [
        ("last", W[:4], ValueError, r"sample_weight: expected shape \(6,\), got float64"),
        ("last", np.ones((T, M)), ValueError, r"sample_weight: expected shape \(6,\)"),
        ("last", -W, ValueError, r"sample_weight: expected finite numbers >= 0, got -2 at \(0,\)"),
        ("last", W + np.nan, ValueError, "sample_weight: expected finite numbers >= 0, got nan"),
        ("last", np.full(M, np.inf), ValueError, "sample_weight: expected finite numbers"),
        ("last", 0 * W, ValueError, "sample_weight: expected weights whose sum is .* above zero"),
        ("last", ["a"] * M, TypeError, "sample_weight: expected numbers"),
        ("all", np.ones((T, 2)), ValueError, r"sample_weight: expected shape \(5, 6\)"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_changed(steps, w, error, message):
    model, x, y = problem(steps, "cross_entropy")
    before = flat(model)
    for call in (model.evaluate, model.gradients, lambda *given, **w: fit(model, *given, **w)):
        with pytest.raises(error, match=message):
            call(x, y, sample_weight=w)
    np.testing.assert_array_equal(flat(model), before)


def test_a_list_of_weights_names_the_one_that_does_not_fit():
    model, x, y = problem("all", "cross_entropy")
    xs, ys = list(x.swapaxes(0, 1)), list(y.T)
    with pytest.raises(ValueError, match=r"sample_weight\[1\]: expected shape \(5,\)"):
        model.evaluate(xs, ys, sample_weight=[np.ones(T), np.ones(2), *[np.ones(T)] * 4])
    with pytest.raises(ValueError, match="sample_weight: expected 6 arrays, as x has, got 1"):
        model.evaluate(xs, ys, sample_weight=[np.ones(T)])


def test_the_callback_can_end_training():
    model, x, y = problem("last", "cross_entropy")
    history = fit(model, x, y, epochs=9, callback=lambda history: len(history.loss) == 3)
    assert len(history.loss) == 3
    assert history.stopped_early
    assert not fit(model, x, y, epochs=2, callback=lambda history: 1).stopped_early, "1 is not True"
