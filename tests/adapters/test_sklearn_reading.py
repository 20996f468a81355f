"""What the estimators make of long series: scaling, frames, reading and the course of training."""

import json
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import crnn
from crnn.data import frames
from crnn.schedules import Cosine, Step
from crnn.sklearn import RNNClassifier, RNNRegressor, RNNSequenceTagger

FAST = {"hidden_size": 8, "max_iter": 2, "random_state": 0}


def bumps(m=60, T=400, seed=0):
    """Series with a bump up or down at a random place, at a level of 100; and which it is."""
    rng = np.random.default_rng(seed)
    y = np.arange(m) % 2
    X = 100 + rng.standard_normal((m, T))
    for x, k, at in zip(X, y, rng.integers(10, T - 30, m), strict=True):
        x[at : at + 20] += 3 if k else -3
    return X, y


def flat(rnn):
    return np.concatenate([p.ravel() for p in rnn.model_.parameters.values()])


def test_a_long_series_is_not_at_chance():
    (X, y), (X_test, y_test) = bumps(), bumps(seed=1)
    rnn = RNNClassifier(random_state=0).fit(X, y)
    assert rnn.samples_per_step_ == 10
    assert rnn.score(X_test, y_test) > 0.9
    values = RNNRegressor(random_state=0).fit(X, y * 1.0)
    assert values.score(X_test, y_test) > 0.7


@pytest.mark.parametrize(("T", "k"), [(1, 1), (24, 1), (59, 1), (61, 2), (100, 2), (400, 10)])
def test_rule_of_samples_per_step(T, k):
    X = np.random.default_rng(0).standard_normal((6, T))
    assert RNNClassifier(**FAST).fit(X, [0, 1] * 3).samples_per_step_ == k


def test_the_rule_takes_the_median_length_of_examples_with_weight():
    X = [np.arange(T, dtype=float) for T in (80, 120, 120, 160, 4000)]
    rnn = RNNClassifier(**FAST).fit(X, [0, 1, 0, 1, 0])
    assert rnn.samples_per_step_ == 3
    rnn.fit(X, [0, 1, 0, 1, 0], sample_weight=[1, 0, 0, 1, 1])
    assert rnn.samples_per_step_ == 4


@pytest.mark.parametrize("listed", [False, True])
def test_the_network_reads_scaled_frames(listed):
    X, y = bumps(20, 50)
    X = X[:, :48].reshape(20, 24, 2) * [1, 1000] - [0, 5]
    given = list(X) if listed else X
    rnn = RNNClassifier(samples_per_step=5, **FAST).fit(given, y)
    mean, scale = X.mean(axis=(0, 1)), X.std(axis=(0, 1))
    x = frames(list((X - mean) / scale), 5)
    assert rnn.model_.config.n_x == 10
    found = rnn.predict_proba(given)
    np.testing.assert_allclose(found, rnn.model_.predict_proba(x), rtol=1e-3, atol=1e-4)
    metadata = rnn.model_.metadata
    assert metadata["samples_per_step"] == "5"
    np.testing.assert_allclose(json.loads(metadata["mean"]), mean, rtol=1e-5)
    np.testing.assert_allclose(json.loads(metadata["scale"]), scale, rtol=1e-5)


def test_without_scaling_and_frames_the_network_reads_x():
    X, y = bumps(20, 50)
    rnn = RNNClassifier(samples_per_step=1, standardize=False, **FAST).fit(X, y)
    expected = rnn.model_.predict_proba(X.T[:, :, None])
    np.testing.assert_array_equal(rnn.predict_proba(X), expected)
    assert "mean" not in rnn.model_.metadata


def test_scaling_changes_neither_with_units_nor_for_constants():
    X, y = bumps(20, 50)
    first = RNNClassifier(dtype="float64", **FAST).fit(X, y).predict_proba(X)
    other = RNNClassifier(dtype="float64", **FAST).fit(1e6 * X + 7, y).predict_proba(1e6 * X + 7)
    np.testing.assert_allclose(first, other, rtol=1e-6)
    both = np.stack([X, np.full_like(X, 1e5 / 3)], axis=2)
    assert np.isfinite(RNNClassifier(**FAST).fit(both, y).predict_proba(both)).all()


class TestValues:
    X, k = bumps(60, 50)
    y = 1000 + 100 * np.stack([k, -k], axis=1) + X[:, :1]

    def test_are_scaled_and_scaled_back(self):
        rnn = RNNRegressor(**FAST).fit(self.X, self.y)
        mean, scale = self.y.mean(axis=0), self.y.std(axis=0)
        inputs = frames(list((self.X[..., None] - self.X.mean()) / self.X.std()), 1)
        expected = rnn.model_.predict(inputs) * scale + mean
        np.testing.assert_allclose(rnn.predict(self.X), expected, rtol=1e-5)
        np.testing.assert_allclose(json.loads(rnn.model_.metadata["y_mean"]), mean, rtol=1e-5)
        np.testing.assert_allclose(json.loads(rnn.model_.metadata["y_scale"]), scale, rtol=1e-5)

    def test_of_any_size_are_learned(self):
        values = RNNRegressor(16, random_state=0).fit(self.X, self.y)
        assert values.score(self.X, self.y) > 0.9
        constant = RNNRegressor(**FAST).fit(self.X, np.full(60, 1e5))
        np.testing.assert_allclose(constant.predict(self.X), 1e5, rtol=1e-3)

    def test_of_weight_0_are_not_seen(self):
        w = np.arange(60) % 3
        spoiled = np.where(w[:, None] == 0, 1e9, self.y)
        one = RNNRegressor(**FAST).fit(self.X, spoiled, w)
        other = RNNRegressor(**FAST).fit(self.X[w > 0], self.y[w > 0], w[w > 0])
        np.testing.assert_array_equal(one.predict(self.X), other.predict(self.X))

    def test_of_later_calls_are_scaled_as_those_of_the_first(self):
        rnn = RNNRegressor(**FAST).fit(self.X, self.y)
        scaling = rnn._preparation.of_y
        assert rnn.partial_fit(self.X, 2 * self.y)._preparation.of_y is scaling

    def test_without_standardize_they_are_learned_as_they_are(self):
        rnn = RNNRegressor(standardize=False, samples_per_step=1, **FAST).fit(self.X, self.y)
        expected = rnn.model_.predict(self.X.T[:, :, None])
        np.testing.assert_array_equal(rnn.predict(self.X), expected)


@pytest.mark.parametrize("steps", ["last", "mean", "max", "pooled"])
def test_steps(steps):
    X, y = bumps(20, 50)
    rnn = RNNClassifier(steps=steps, **FAST).fit(X, y)
    assert rnn.model_.config.steps == steps
    again = pickle.loads(pickle.dumps(rnn))
    np.testing.assert_array_equal(again.predict_proba(X), rnn.predict_proba(X))
    assert clone(rnn).get_params() == rnn.get_params()


class TestCourse:
    def test_the_rate_falls_along_half_a_cosine(self):
        X, y = bumps(20, 50)
        rnn = RNNClassifier(**FAST).fit(X, y)
        assert rnn._optimizer == crnn.Adam(Cosine(0.003))
        assert rnn.partial_fit(X, y)._optimizer == crnn.Adam(0.003), "it has no end"
        rnn = RNNClassifier(solver="sgd", learning_rate_init=0.1, **FAST).fit(X, y)
        assert rnn._optimizer == crnn.SGD(Cosine(0.1), 0.9)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_a_schedule_takes_the_place_of_it(self):
        X, y = bumps(20, 50)
        rnn = RNNClassifier(learning_rate_init=Step(0.01, every=5), **FAST).fit(X, y)
        assert rnn._optimizer == crnn.Adam(Step(0.01, every=5))

    @pytest.mark.parametrize(("m", "epochs"), [(16, 500), (17, 250), (60, 125), (900, 20)])
    def test_auto_is_500_batches_or_20_epochs(self, m, epochs):
        X = np.random.default_rng(0).standard_normal((m, 2))
        rnn = RNNClassifier(2, random_state=0).fit(X, np.arange(m) % 2)
        assert rnn.n_iter_ == epochs

    def test_a_planned_course_ends_without_a_warning(self):
        X, y = bumps(20, 50)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            RNNClassifier(**FAST).fit(X, y)
        with pytest.warns(ConvergenceWarning):
            RNNClassifier(learning_rate="constant", **FAST).fit(X, y)

    def test_early_stopping_ends_it(self):
        X, y = bumps(40, 50)
        rnn = RNNClassifier(8, early_stopping=True, tol=1e9, n_iter_no_change=3, random_state=0)
        assert rnn.fit(X, y).n_iter_ == 4


def test_the_tagger_has_a_label_for_each_sample():
    X = np.random.default_rng(0).standard_normal((10, 300))
    course = {"learning_rate": "cosine", "standardize": True}
    rnn = RNNSequenceTagger(**course, **FAST).fit(X, (X > 0).astype(int))
    assert rnn.predict(X).shape == X.shape
    assert rnn.samples_per_step_ == 1
    assert "samples_per_step" not in rnn.get_params()


@pytest.mark.parametrize("estimator", [RNNClassifier, RNNRegressor])
class TestRefused:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"samples_per_step": 0}, "samples_per_step: expected 'auto' or a whole number"),
            ({"samples_per_step": 2.0}, "samples_per_step: expected 'auto' or a whole number"),
            ({"samples_per_step": True}, "samples_per_step: expected 'auto' or a whole number"),
            ({"samples_per_step": "many"}, "samples_per_step: expected 'auto' or a whole number"),
            ({"steps": "all"}, "steps: expected 'last', 'mean', 'max' or 'pooled', got 'all'"),
            ({"steps": "median"}, "steps: expected one of"),
        ],
    )
    def test_wrong_parameters(self, estimator, options, message):
        X, y = bumps(20, 50)
        with pytest.raises(ValueError, match=message):
            estimator(**FAST, **options).fit(X, y)

    @pytest.mark.parametrize(
        "changed", [{"steps": "mean"}, {"samples_per_step": 3}, {"standardize": False}], ids=str
    )
    def test_what_a_fitted_model_cannot_follow(self, estimator, changed):
        X, y = bumps(20, 50)
        rnn = estimator(warm_start=True, **FAST).fit(X, y)
        before = flat(rnn)
        with pytest.raises(ValueError, match=f"{next(iter(changed))}: expected .* as in the model"):
            rnn.set_params(**changed).fit(X, y)
        with pytest.raises(ValueError, match=f"{next(iter(changed))}: expected .* as in the model"):
            rnn.partial_fit(X, y)
        np.testing.assert_array_equal(flat(rnn), before)

    @pytest.mark.parametrize("size", [1e-300, 1e300])
    def test_numbers_whose_squares_are_beyond_the_doubles(self, estimator, size):
        X, y = bumps(20, 50)
        options = {**FAST, "dtype": "float64", "random_state": 0}
        plain = estimator(**options).fit(X, y).predict(X)
        found = estimator(**options).fit(size * X, y).predict(size * X)
        if plain.dtype.kind == "f":
            np.testing.assert_allclose(found, plain, rtol=1e-6)
        else:
            np.testing.assert_array_equal(found, plain)

    def test_another_number_of_features(self, estimator):
        X = np.random.default_rng(0).standard_normal((10, 90, 2))
        rnn = estimator(**FAST).fit(X, np.arange(10) % 2)
        with pytest.raises(ValueError, match=r"X has 3 features, .* is expecting 2 features"):
            rnn.predict(np.zeros((4, 90, 3)))
