"""Losses as a model has them: targets, answers, metrics, gradients, files, streams, and errors."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pages
import pytest
from safetensors import safe_open

import crnn
from crnn import check, inspect

T, M, N_X = 5, 6, 3
LENGTHS = np.array([5, 1, 3, 4, 2, 5])
QUANTILES = crnn.Quantiles((0.1, 0.5, 0.9))

#: Losses, the numbers of outputs of a model, and of a target.
KINDS = {
    "binary": ("binary_cross_entropy", 1, 1),
    "labels": ("binary_cross_entropy", 3, 3),
    "mse": ("mse", 2, 2),
    "mae": ("mae", 2, 2),
    "huber": (crnn.Huber(0.4), 2, 2),
    "quantiles": (QUANTILES, 6, 2),
    "gaussian": ("gaussian_nll", 4, 2),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_steps = pytest.mark.parametrize("steps", ["last", "all"])


def problem(kind, steps="last", dtype="float64", **options):
    """A model, x (T, M, n_x) and y."""
    loss, n_y, n_targets = KINDS[kind]
    model = crnn.RNN(N_X, 5, n_y, steps=steps, loss=loss, dtype=dtype, rng=1, **options)
    rng = np.random.default_rng(0)
    y = rng.random((*((M,) if steps == "last" else (T, M)), n_targets))
    if kind in ("binary", "labels"):
        y = (y > 0.5).astype(int)
    return model, rng.standard_normal((T, M, N_X)), y


@each_kind
class TestEveryLoss:
    @each_steps
    @pytest.mark.parametrize("memory", [None, "sqrt"])
    def test_gradients_agree_with_finite_differences(self, kind, steps, memory):
        model, x, y = problem(kind, steps, cell="gru")
        w = np.random.default_rng(2).exponential(size=M)
        assert check.model_error(model, x, y, LENGTHS, w) < check.FINITE_DIFFERENCE_TOLERANCE
        loss, gradients = model.gradients(x, y, LENGTHS, w, memory=memory)
        assert loss == pytest.approx(model.evaluate(x, y, LENGTHS, w)[0], rel=1e-14)
        for name, d in model.gradients(x, y, LENGTHS, w)[1].items():
            np.testing.assert_array_equal(d, gradients[name])

    @each_steps
    def test_shapes(self, kind, steps):
        model, x, y = problem(kind, steps)
        y_hat, predicted = model.predict_proba(x), model.predict(x)
        rows = (M,) if steps == "last" else (T, M)
        assert y_hat.shape == (*rows, model.config.n_y)
        assert predicted.shape == (rows if kind == "binary" else y.shape)
        padded = model.predict_proba(x, LENGTHS)
        if steps == "all":
            assert not padded[LENGTHS[0] - 1 :, 1].any()
            assert model.predict_proba([x[:, 0], x[:2, 1]])[1].shape == (2, model.config.n_y)

    def test_a_stream_gives_what_predict_proba_gives(self, kind):
        model, x, _ = problem(kind, "all")
        stream, out = model.stream(M), np.empty((M, model.config.n_y))
        for t, y_hat in enumerate(model.predict_proba(x)):
            assert stream.step(x[t], out) is out
            np.testing.assert_allclose(out, y_hat, rtol=1e-12)
        stream = pickle.loads(pickle.dumps(model.stream(M)))
        stream.step(x[0])
        np.testing.assert_allclose(stream.step(x[1]), model.predict_proba(x)[1], rtol=1e-12)

    def test_files_pickles_and_reprs_keep_it(self, kind, tmp_path):
        model, x, _ = problem(kind)
        path = tmp_path / "m.safetensors"
        model.save(path)
        copies = [
            crnn.load(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model),
            eval(repr(model), {"RNN": crnn.RNN, "Huber": crnn.Huber, "Quantiles": crnn.Quantiles}),
        ]  # fmt: skip
        for one in copies:
            assert one.config == model.config
            assert hash(one.config) == hash(model.config)
            assert one.config.loss == KINDS[kind][0]
        for one in copies[:3]:
            np.testing.assert_array_equal(one.predict(x), model.predict(x))

    def test_it_is_learned_and_named(self, kind):
        model, x, y = problem(kind, "all", "float32")
        before = model.evaluate(x, y, LENGTHS)[0]
        history = model.fit(
            x, y, lengths=LENGTHS, epochs=30, optimizer=crnn.Adam(0.02), progress=False,
            validation=(x, y, LENGTHS), rng=0,
        )  # fmt: skip
        assert history.metric_name == {
            "binary": "accuracy", "labels": "accuracy", "quantiles": "coverage of the 80 % interval"
        }.get(kind, "mean absolute error")  # fmt: skip
        assert history.val_loss[-1] < before

    def test_gradient_flow_and_saliency(self, kind):
        model, x, y = problem(kind, "all")
        flow = inspect.gradient_flow(model, x, y, LENGTHS)
        assert flow.loss == pytest.approx(model.evaluate(x, y, LENGTHS)[0], rel=1e-12)
        assert inspect.saliency(model, x[:, 0], output=0).norms.shape == (T,)
        if model.config.n_y > 1:
            with pytest.raises(ValueError, match=r"output: expected a number in 0\.\."):
                inspect.saliency(model, x[:, 0])

    def test_what_needs_classes_refuses_it_by_name(self, kind):
        model, x, _ = problem(kind, "all")
        name = str(model.config.loss).split("(")[0]
        with pytest.raises(ValueError, match=name):
            model.sample(3, x)
        with pytest.raises(ValueError, match=name):
            model.fit_stream(np.zeros(50, int), batch_size=2, steps=5)

    def test_targets_that_do_not_fit(self, kind):
        model, x, y = problem(kind)
        for wrong in (y[:-1], y[..., :0], y[0]):
            with pytest.raises(ValueError, match=r"y: expected .* of shape .*\(6, \d\), got"):
                model.evaluate(x, wrong)
        with pytest.raises((ValueError, TypeError), match="y: expected"):
            model.evaluate(x, np.full(y.shape, "a"))

    def test_a_target_that_is_nan_is_reported_by_its_place(self, kind):
        model, x, y = problem(kind)
        y = y.astype(float)
        y[3, 0] = np.nan
        with pytest.raises(crnn.DivergenceError, match=r"y.* nan .*\(3, 0\)"):
            model.fit(x, y, progress=False)


class TestBinaryCrossEntropy:
    def test_labels_of_one_output_may_be_a_column_a_row_or_booleans(self):
        model, x, y = problem("binary", "all")
        once = model.evaluate(x, y, LENGTHS)
        assert model.evaluate(x, y[..., 0], LENGTHS) == once
        assert model.evaluate(x, y[..., 0].astype(bool), LENGTHS) == once
        lists = [a[:n] for a, n in zip(y[..., 0].T, LENGTHS, strict=True)]
        xs = [a[:n] for a, n in zip(x.swapaxes(0, 1), LENGTHS, strict=True)]
        assert model.evaluate(xs, lists) == pytest.approx(once, rel=1e-12)
        assert [len(p) for p in model.predict(xs)] == list(LENGTHS)

    def test_predict_is_1_where_the_probability_is_above_a_half(self):
        model, x, y = problem("binary")
        p, labels = model.predict_proba(x), model.predict(x)
        assert p.shape == (M, 1)
        np.testing.assert_array_equal(labels, (p[:, 0] > 0.5).astype(int))
        assert model.evaluate(x, y)[1] == np.mean(labels == y[:, 0])
        assert labels.dtype.kind == "i"

    def test_one_logit_is_a_softmax_over_two_of_which_the_first_is_zero(self):
        model, x, y = problem("binary")
        two = crnn.RNN(N_X, 5, 2, dtype="float64", rng=0)
        for name in ("Waa", "Wax", "ba"):
            two.parameters[name] = model.parameters[name]
        two.parameters["Wya"] = np.vstack([np.zeros((1, 5)), model.parameters["Wya"]])
        two.parameters["by"] = np.concatenate([[0], model.parameters["by"]])
        np.testing.assert_allclose(two.predict_proba(x)[:, 1:], model.predict_proba(x), rtol=1e-12)
        assert two.evaluate(x, y[:, 0]) == pytest.approx(model.evaluate(x, y), rel=1e-12)

    def test_an_answer_that_is_nan_has_no_label(self):
        model, x, _ = problem("labels")
        x[0, 2] = np.nan
        with pytest.raises(ValueError, match=r"example 2|\(2"):
            model.predict(x)

    @pytest.mark.parametrize("bad", [-0.1, 1.5, 2, np.inf])
    def test_labels_are_in_0_to_1(self, bad):
        model, x, y = problem("labels")
        y = y.astype(float)
        y[4, 1] = bad
        with pytest.raises(ValueError, match=r"y: expected labels, .* 0\.\.1, got .* at \(4, 1\)"):
            model.evaluate(x, y)

    def test_labels_past_a_length_are_not_read(self):
        model, x, y = problem("labels", "all")
        spoiled = np.where(np.arange(T)[:, None, None] < LENGTHS[:, None], y, 7)
        assert model.evaluate(x, spoiled, LENGTHS) == model.evaluate(x, y, LENGTHS)


class TestDistributions:
    def test_the_answers_of_quantiles(self):
        model, x, y = problem("quantiles")
        low, middle, high = np.split(model.predict_proba(x), 3, axis=-1)
        np.testing.assert_array_equal(model.predict(x), middle)
        coverage = np.mean((low <= y) & (y <= high))
        assert model.evaluate(x, y)[1] == pytest.approx(coverage)

    def test_predict_is_the_level_closest_to_the_median(self):
        x = np.ones((T, M, N_X))
        for levels, parts in (((0.05, 0.95), [0, 1]), ((0.1, 0.4, 0.9), [1]), ((0.9,), [0])):
            model = crnn.RNN(N_X, 5, len(levels), loss=crnn.Quantiles(levels), rng=0)
            y_hat = model.predict_proba(x)
            np.testing.assert_array_equal(model.predict(x), y_hat[:, parts].mean(1, keepdims=True))

    @pytest.mark.parametrize("n", [9, 99])
    def test_where_the_losses_are_least(self, n):
        """At the median, the quantiles, and the mean and standard deviation."""
        y = np.random.default_rng(0).exponential(size=(n, 1))  # n odd: the median is one of them
        x = np.zeros((1, n, 1))

        def slopes(loss, by, move):
            model = crnn.RNN(1, 1, len(by), loss=loss, dtype="float64", rng=0)
            for name, p in model.parameters.items():
                model.parameters[name] = np.zeros_like(p) if name != "by" else np.add(by, move)
            return model.gradients(x, y)[1]["by"]

        levels = (0.1, 0.5, 0.75)
        found = np.quantile(y, levels, method="inverted_cdf")
        for loss, by in (("mae", [np.median(y)]), (crnn.Quantiles(levels), found)):
            assert (slopes(loss, by, -1e-9) < 0).all()
            assert (slopes(loss, by, 1e-9) > 0).all()
        gaussian = [y.mean(), 2 * np.log(y.std())]
        np.testing.assert_allclose(slopes("gaussian_nll", gaussian, 0), 0, atol=1e-14)

    def test_the_answers_of_a_gaussian(self):
        model, x, y = problem("gaussian")
        mean, deviation = np.split(model.predict_proba(x), 2, axis=-1)
        np.testing.assert_array_equal(model.predict(x), mean)
        density = np.exp(-(((y - mean) / deviation) ** 2) / 2) / deviation / np.sqrt(2 * np.pi)
        loss, metric = model.evaluate(x, y)
        assert loss == pytest.approx(-np.log(density).mean(), rel=1e-12)
        assert metric == pytest.approx(np.abs(y - mean).mean(), rel=1e-12)


def test_huber_is_half_the_squared_error_or_delta_times_the_absolute_one():
    _, x, y = problem("mse")

    def evaluate(loss):
        return crnn.RNN(N_X, 5, 2, loss=loss, dtype="float64", rng=1).evaluate(x, y)[0]

    assert evaluate(crnn.Huber(1e3)) == pytest.approx(evaluate("mse") / 2, rel=1e-12)
    assert evaluate(crnn.Huber(1e-9)) == pytest.approx(evaluate("mae") * 1e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: crnn.Huber(0), ValueError, "delta: expected a finite number > 0, got 0"),
        (lambda: crnn.Huber("1"), TypeError, "delta: expected a number"),
        (lambda: crnn.Quantiles(0.5), TypeError, "levels: expected some numbers, got 0.5"),
        (lambda: crnn.Quantiles(()), ValueError, "levels: expected increasing numbers"),
        (lambda: crnn.Quantiles((0.5, 0.1)), ValueError, "levels: expected increasing numbers"),
        (lambda: crnn.Quantiles((0, 0.1)), ValueError, r"levels\[0\]: expected .* > 0"),
        (lambda: crnn.Quantiles((0.5, 1)), ValueError, r"levels\[1\]: expected .* < 1"),
        (lambda: crnn.RNN(1, 1, 1), ValueError, "n_y: expected at least 2 .*binary_cross_entropy"),
        (lambda: crnn.RNN(1, 1, 4, loss="quantiles"), ValueError, "n_y: expected a multiple of 3"),
        (lambda: crnn.RNN(1, 1, 3, loss="gaussian_nll"), ValueError, "n_y: expected an even"),
        (lambda: crnn.RNN(1, 1, 2, loss="mape"), ValueError, "loss: expected one of .*'mae'"),
        (lambda: crnn.RNN(1, 1, 2, loss=crnn.Huber), TypeError, r"got the class itself"),
        (lambda: crnn.RNN(1, 1, 2, loss=3), ValueError, "loss: expected one of .* got 3"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_file_names_the_default_options_by_the_name_alone(tmp_path):
    path = tmp_path / "m.safetensors"

    def entry(loss, n_y):
        crnn.RNN(1, 2, n_y, loss=loss, rng=0).save(path)
        with safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["crnn"])["config"]["loss"]

    assert entry(crnn.Huber(), 1) == "huber"
    assert entry(crnn.Huber(2), 1) == {"name": "huber", "delta": 2.0}
    assert entry(QUANTILES, 3) == {"name": "quantiles", "levels": [0.1, 0.5, 0.9]}


@pytest.mark.parametrize(
    "entry",
    [3, None, [], {}, {"name": "huber"}, {"name": "huber", "delta": -1}, {"name": "huber", "d": 1},
     {"name": []}, {"name": "quantiles", "levels": "ab"}, {"name": "new", "option": 1}],
)  # fmt: skip
def test_a_file_with_another_entry_is_refused(entry, tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    model = crnn.RNN(1, 2, 1, loss="huber", rng=0)
    header = {"format": 1, "config": {**model.config.entries(), "loss": entry}, "metadata": {}}
    save_file(dict(model.parameters), path, {"crnn": json.dumps(header)})
    with pytest.raises(ValueError, match=r"not a model of crnn's, or damaged: (loss|delta|levels)"):
        crnn.load(path)


def test_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run_python(Path(__file__).parent.parent / "docs" / "losses.md")
