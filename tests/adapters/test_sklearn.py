"""The scikit-learn estimators: scikit-learn's own checks, and what these do not cover."""

import _thread
import doctest
import importlib
import itertools
import pickle
import pkgutil
import re
import warnings
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pages
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import crnn
import crnn.sklearn
from crnn.schedules import Cosine
from crnn.sklearn import RNNClassifier, RNNRegressor, RNNSequenceTagger
from crnn.sklearn._training import threads

ROOT = Path(__file__).parent.parent.parent
ESTIMATORS = (RNNClassifier, RNNRegressor, RNNSequenceTagger)

# A few epochs suffice for most tests here.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning"
)


# --- scikit-learn's own checks --------------------------------------------------------------------

# One batch has all examples: copies of an example in several batches are not a weight.
SMALL = {
    "hidden_size": 8, "learning_rate_init": 0.02, "max_iter": 60, "tol": 1e-3, "batch_size": 64,
}  # fmt: skip


class OneLabelPerSequence(RNNSequenceTagger):
    """The tagger for the checks of scikit-learn: the label in y (n,) applies to each step."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, self._at_each_step(X, y), sample_weight)

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        classes = np.unique(y) if classes is None else classes
        return super().partial_fit(X, self._at_each_step(X, y), sample_weight, classes)

    def score(self, X, y, sample_weight=None):
        return super().score(X, self._at_each_step(X, y), sample_weight)

    def _at_each_step(self, X, y):
        shape = np.asarray(X).shape
        if y is None or len(shape) != 2:
            return y
        return np.repeat(np.asarray(y).reshape(-1, 1), shape[1], axis=1)


FLOAT32 = {
    "check_sample_weight_equivalence_on_dense_data": (
        "asks for equality to 1e-7, which is one rounding of float32; float64 passes"
    ),
}
A_LABEL_EACH = "calls fit with one label for each row of X; OneLabelPerSequence stands in"
TAGGER = [
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_n_features_in_after_fitting",
    "check_positive_only_tag_during_fit",
    "check_estimators_dtypes",
    "check_sample_weights_pandas_series",
    "check_sample_weights_not_an_array",
    "check_sample_weights_list",
    "check_all_zero_sample_weights_error",
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_sample_weight_equivalence_on_dense_data",
    "check_dtype_object",
    "check_pipeline_consistency",
    "check_estimators_nan_inf",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_fit2d_1sample",
    "check_fit2d_1feature",
    "check_dict_unchanged",
    "check_fit_idempotent",
    "check_fit_check_is_fitted",
    "check_n_features_in",
    "check_fit2d_predict1d",
]


def expected_failures(estimator):
    if type(estimator) is RNNSequenceTagger:
        return dict.fromkeys(TAGGER, A_LABEL_EACH)
    expected = {} if estimator.dtype == "float64" else dict(FLOAT32)
    if isinstance(estimator, RNNRegressor) and estimator.dtype == "float32":
        expected["check_regressor_multioutput"] = (
            "asks for float64; predictions have the dtype that the estimator was given"
        )
    if isinstance(estimator, RNNSequenceTagger):
        expected["check_sample_weights_shape"] = (
            "weights (n, 2) are one a step where T is 2, as it is in this check"
        )
    return expected


@parametrize_with_checks(
    [
        estimator(**SMALL, dtype=dtype)
        for estimator in (RNNClassifier, RNNRegressor, OneLabelPerSequence)
        for dtype in ("float32", "float64")
    ]
    + [RNNSequenceTagger(**SMALL)],
    expected_failed_checks=expected_failures,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# --- learning -------------------------------------------------------------------------------------


def test_digits():
    """8 rows of 8 pixels as a sequence of 8 steps, on one core."""
    images, y = load_digits(return_X_y=True)
    learn = train_test_split(images.reshape(-1, 8, 8) / 16, y, stratify=y, random_state=0)
    X, X_held_out, y, y_held_out = learn
    rnn = RNNClassifier(n_jobs=1, random_state=0).fit(X, y)
    assert rnn.score(X_held_out, y_held_out) >= 0.97
    assert rnn.n_iter_ == 20, "the fewest epochs of max_iter='auto'"


def cut(sequences, *lengths):
    """The sequences cut to these lengths, which are repeated cyclically."""
    return [sequence[:n] for sequence, n in zip(sequences, itertools.cycle(lengths))]


def walks(m=120, T=9, n_x=1, seed=0):
    """Random walks' steps X (m, T, n_x), and y: whether the walk ends above where it began."""
    X = np.random.default_rng(seed).standard_normal((m, T, n_x))
    return X, np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")


def targets(estimator, X, y):
    """The y of walks, in the form that the estimator expects."""
    if estimator is RNNRegressor:
        return X.sum(axis=1)[:, 0]
    return np.where(X[:, :, 0].cumsum(axis=1) > 0, "up", "down") if tags_steps(estimator) else y


def objects(items):
    """An array (n,) of objects; np.array would stack those of equal shapes."""
    array = np.empty(len(items), object)
    array[:] = items
    return array


def tags_steps(estimator):
    return estimator is RNNSequenceTagger


def small(estimator, **options):
    return estimator(**{**SMALL, "max_iter": 8, "random_state": 0, **options})


def flat(rnn):
    return np.concatenate([p.ravel() for p in rnn.model_.parameters.values()])


def answers(rnn, X):
    return rnn.predict(X) if isinstance(rnn, RNNRegressor) else rnn.predict_proba(X)


@pytest.mark.parametrize("estimator", ESTIMATORS)
class TestAllEstimators:
    def test_learns(self, estimator):
        X, y = walks(800)
        y = targets(estimator, X, y)
        rnn = small(estimator, hidden_size=16, max_iter=60, learning_rate_init=0.01).fit(X, y)
        X, y = walks(400, seed=1)
        assert rnn.score(X, targets(estimator, X, y)) > 0.85
        assert rnn.loss_curve_[-1] == rnn.loss_ < rnn.loss_curve_[0] / 2
        assert rnn.best_loss_ == min(rnn.loss_curve_)

    def test_array_and_list_inputs_agree(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        by_steps, by_columns = small(estimator).fit(X, y), small(estimator).fit(X[..., 0], y)
        np.testing.assert_array_equal(flat(by_steps), flat(by_columns))
        assert (by_steps.n_features_in_, by_columns.n_features_in_) == (1, 9)
        # Lists are batched by length, so the bits differ.
        listed = small(estimator).fit(list(X), list(y))
        assert listed.n_features_in_ == 1
        for rnn in (by_steps, by_columns, listed):
            truth = answers(rnn, X)
            for same in (X[..., 0], list(X), tuple(X), list(X[..., 0]), X[..., 0].tolist()):
                np.testing.assert_allclose(answers(rnn, same), truth, rtol=1e-5, atol=1e-6)

    def test_unequal_lengths(self, estimator):
        X, y = walks()
        xs = cut(X, *range(1, 10))
        y = targets(estimator, X, y)
        if tags_steps(estimator):
            y = cut(y, *range(1, 10))
        rnn = small(estimator).fit(xs, y)
        given = answers(rnn, xs)
        for i in (0, 5, 8):  # each alone
            np.testing.assert_allclose(given[i], answers(rnn, [xs[i]])[0], rtol=1e-5, atol=1e-6)
        assert np.isfinite(rnn.score(xs, y))

    @pytest.mark.parametrize("kind", ["array of objects", "Series", "nested lists"])
    @pytest.mark.parametrize("n_x", ["(T_i,)", "(T_i, 1)"])
    def test_object_arrays_series_and_nested_lists(self, estimator, kind, n_x):
        X, y = walks()
        xs = cut(X if n_x == "(T_i, 1)" else X[..., 0], *range(1, 10))
        y = targets(estimator, X, y)
        if tags_steps(estimator):
            y = cut(y, *range(1, 10))
        truth = small(estimator).fit(xs, y)
        if kind == "array of objects":
            xs, y = objects(xs), objects(y) if tags_steps(estimator) else y
        elif kind == "Series":
            xs = pytest.importorskip("pandas").Series(xs)
        else:
            xs = [x.tolist() for x in xs]
        rnn = small(estimator).fit(xs, y)
        np.testing.assert_array_equal(flat(rnn), flat(truth))
        assert rnn.score(xs, y) == truth.score(xs, y)

    def test_an_object_array_of_equal_lengths(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        truth = small(estimator).fit(list(X), list(y))
        rnn = small(estimator).fit(objects(X.tolist()), list(y))
        np.testing.assert_array_equal(flat(rnn), flat(truth))

    def test_grid_search_with_an_object_array(self, estimator):
        X, y = walks()
        xs = objects(cut(X, 5, 6, 7, 8))
        y = targets(estimator, X, y)
        if tags_steps(estimator):
            y = objects(cut(y, 5, 6, 7, 8))
        search = GridSearchCV(small(estimator, max_iter=2), {"hidden_size": [3, 4]}, cv=KFold(3))
        assert np.isfinite(search.fit(xs, y).best_score_)

    def test_predictions_in_several_batches(self, estimator):
        X, y = walks(600)
        rnn = small(estimator, max_iter=1).fit(X, targets(estimator, X, y))
        for X_given in (X, list(X)):
            given = np.array(answers(rnn, X_given))
            assert len(given) == 600
            np.testing.assert_allclose(given[599], answers(rnn, X[599:])[0], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(given[:9], answers(rnn, X[:9]), rtol=1e-5, atol=1e-6)

    def test_random_state(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        first, second, other, drawn = (
            flat(small(estimator, random_state=state).fit(X, y))
            for state in (0, 0, 1, np.random.RandomState(0))
        )
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, drawn)
        assert np.any(first != other)

    def test_partial_fit_continues_training(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        options = {} if estimator is RNNRegressor else {"classes": ["down", "up"]}
        whole = small(estimator, max_iter=5, tol=0, learning_rate="constant")
        step_by_step = small(estimator)
        whole.fit(X, y)
        for _ in range(5):
            step_by_step.partial_fit(X, y, **options)
        np.testing.assert_array_equal(flat(step_by_step), flat(whole))
        assert step_by_step.loss_curve_ == whole.loss_curve_
        assert step_by_step.n_iter_ == whole.n_iter_ == 5
        before = flat(step_by_step)
        step_by_step.set_params(learning_rate_init=1e-9).partial_fit(X, y)
        np.testing.assert_allclose(flat(step_by_step), before, atol=1e-6)

    def test_warm_start_continues_training(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        rnn = small(estimator, warm_start=True, tol=0).fit(X, y)
        model, first = rnn.model_, list(rnn.loss_curve_)
        rnn.fit(X, y)
        assert rnn.model_ is model
        assert rnn.loss_curve_[:8] == first
        assert rnn.n_iter_ == 16
        assert rnn.loss_curve_[-1] < first[-1]
        rnn.set_params(warm_start=False).fit(X, y)
        assert rnn.loss_curve_ == first, "a cold start is the first one again"

    @pytest.mark.parametrize(
        "changed",
        [
            {"hidden_size": 9}, {"num_layers": 2}, {"direction": "reverse"}, {"cell": "gru"},
            {"activation": "relu"}, {"dtype": "float64"}, {"cell": "leaky", "leak": 0.5},
        ],
        ids=str,
    )  # fmt: skip
    def test_a_model_that_is_trained_further_keeps_its_structure(self, estimator, changed):
        X, y = walks()
        y = targets(estimator, X, y)
        rnn = small(estimator, warm_start=True).fit(X, y)
        before = flat(rnn)
        rnn.set_params(**changed)
        for further in (rnn.fit, rnn.partial_fit):
            with pytest.raises(
                ValueError, match=rf"^({'|'.join(changed)}): expected .* as in the mo"
            ):
                further(X, y)
        np.testing.assert_array_equal(flat(rnn), before)
        rnn.set_params(warm_start=False, cell="vanilla", leak=None).fit(X, y)

    def test_early_stopping_keeps_the_best_validation_loss(self, estimator):
        X, y = walks(300)
        y = targets(estimator, X, y)
        course = {"learning_rate": "constant", "learning_rate_init": 0.05, "max_iter": 60}
        rnn = small(estimator, early_stopping=True, batch_size=8, n_iter_no_change=4, **course).fit(
            X, y
        )
        assert rnn.n_iter_ == len(rnn.validation_scores_) < 60
        assert rnn.best_validation_score_ == max(rnn.validation_scores_)
        assert rnn.best_validation_score_ > rnn.validation_scores_[-1], (
            "otherwise the test shows nothing"
        )
        random = np.random.RandomState(0)
        random.randint(2**31 - 1)  # the seed of the parameters
        strata = y if estimator is RNNClassifier else None
        _, held_out = train_test_split(
            np.arange(300), test_size=0.1, random_state=random, stratify=strata
        )
        score = rnn.score(X[held_out], y[held_out])
        assert score == pytest.approx(rnn.best_validation_score_, rel=1e-6)

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_zero_weight_equals_leaving_the_example_out(self, estimator, early_stopping):
        X, y = walks()
        y = targets(estimator, X, y)
        w = (np.random.default_rng(1).random(len(X)) < 0.7).astype(float)
        options = {"early_stopping": early_stopping}
        if estimator is not RNNRegressor:
            options["class_weight"] = "balanced"
        kept = np.flatnonzero(w)
        weighted = small(estimator, **options).fit(X, y, w)
        left_out = small(estimator, **options).fit(X[kept], y[kept], w[kept])
        np.testing.assert_array_equal(flat(weighted), flat(left_out))
        if not early_stopping and estimator is RNNRegressor:
            unweighted = small(estimator, **options).fit(X[kept], y[kept])
            np.testing.assert_array_equal(flat(weighted), flat(unweighted))

    def test_sample_weight_affects_the_fit(self, estimator):
        """Of two halves with opposite targets, the one with more weight is learned."""
        X, y = walks(200)
        y = targets(estimator, X, y)
        opposite = -y if estimator is RNNRegressor else np.where(y == "up", "down", "up")
        both, y_both = np.concatenate([X, X]), np.concatenate([y, opposite])
        w = np.repeat([5.0, 1.0], 200)
        rnn = small(estimator, max_iter=30, batch_size=16).fit(both, y_both, w)
        assert rnn.score(X, y) > rnn.score(X, opposite) + 0.3
        assert rnn.score(both, y_both, w) > rnn.score(both, y_both)

    def test_copies(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        rnn = small(estimator).fit(X, y)
        fresh, twin = clone(rnn), pickle.loads(pickle.dumps(rnn))
        assert fresh.get_params() == rnn.get_params()
        with pytest.raises(NotFittedError):
            fresh.predict(X)
        np.testing.assert_array_equal(answers(twin, X), answers(rnn, X))
        twin.partial_fit(X, y)
        assert np.any(flat(twin) != flat(rnn)), "a copy trains, and by itself"

    def test_grid_search_with_a_list(self, estimator):
        X, y = walks(90)
        y = targets(estimator, X, y)
        xs = cut(X, 9, 8, 7)
        if tags_steps(estimator):
            y = cut(y, 9, 8, 7)
        search = GridSearchCV(small(estimator), {"hidden_size": [2, 8]}, cv=3, error_score="raise")
        search.fit(xs, y)
        assert len(search.predict(xs)) == 90
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()

    def test_pipelines(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        columns = make_pipeline(StandardScaler(), small(estimator)).fit(X[..., 0], y)
        assert np.isfinite(columns.score(X[..., 0], y))
        steps = make_pipeline(FunctionTransformer(np.tanh), small(estimator)).fit(X, y)
        direct = small(estimator).fit(np.tanh(X), y)
        np.testing.assert_array_equal(flat(steps[-1]), flat(direct))

    def test_tags(self, estimator):
        tags = get_tags(estimator())
        assert tags.input_tags.three_d_array
        assert tags.input_tags.two_d_array
        assert not tags.input_tags.sparse
        assert not tags.input_tags.allow_nan
        assert tags.target_tags.required
        assert tags.target_tags.multi_output == (estimator is RNNRegressor)
        assert tags.target_tags.two_d_labels == tags_steps(estimator)

    def test_sparse_is_refused(self, estimator):
        with pytest.raises(TypeError, match=r"[Ss]parse"):
            small(estimator).fit(sparse.csr_array(np.eye(4)), np.arange(4))
        with pytest.raises(ValueError, match=r"X\[0\]: expected an array \(T_i, n_x\)"):
            small(estimator).fit([sparse.csr_array(np.eye(4))] * 2, [0, 1])

    def test_the_model_is_saved_as_safetensors(self, estimator, tmp_path):
        X, y = walks()
        rnn = small(estimator).fit(X, targets(estimator, X, y))
        rnn.model_.save(tmp_path / "model.safetensors")
        model = crnn.load(tmp_path / "model.safetensors")
        x = X.transpose(1, 0, 2).astype("float32")
        np.testing.assert_array_equal(model.predict_proba(x), rnn.model_.predict_proba(x))

    @pytest.mark.parametrize("n_jobs", [1, 2, -1, None])
    def test_n_jobs_sets_the_number_of_threads(self, estimator, n_jobs, monkeypatch):
        X, y = walks(20)
        y = targets(estimator, X, y)
        seen = []
        for name in ("fit", "predict_proba"):
            inner = getattr(crnn.RNN, name)

            def wrapped(*arguments, inner=inner, **options):
                seen.append(crnn.get_num_threads())
                return inner(*arguments, **options)

            monkeypatch.setattr(crnn.RNN, name, wrapped)
        before = crnn.get_num_threads()
        crnn.set_num_threads(2)
        try:
            small(estimator, n_jobs=n_jobs).fit(X, y).predict(X)
            assert crnn.get_num_threads() == 2, "put back"
            with pytest.raises(crnn.DivergenceError):
                small(estimator, n_jobs=n_jobs, learning_rate_init=1e300).fit(X, y)
            assert crnn.get_num_threads() == 2, "put back after an error too"
        finally:
            crnn.set_num_threads(before)
        if n_jobs != -1:
            assert set(seen) == {n_jobs or 2}

    def test_divergence(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        classes = {} if estimator is RNNRegressor else {"classes": ["down", "up"]}
        rnn = small(estimator).fit(X, y)
        with pytest.raises(crnn.DivergenceError, match="diverged at step 1"):
            rnn.set_params(learning_rate_init=1e300).fit(X, y)
        with pytest.raises(NotFittedError):
            rnn.predict(X)
        rnn = small(estimator).partial_fit(X, y, **classes)
        before = flat(rnn)
        with pytest.raises(crnn.DivergenceError):
            rnn.set_params(learning_rate_init=1e300).partial_fit(X, y)
        np.testing.assert_array_equal(flat(rnn), before)
        assert rnn.n_iter_ == 1
        rnn.set_params(learning_rate_init=0.01).partial_fit(X, y)
        assert rnn.n_iter_ == 2

    def test_ctrl_c_stops_training_and_keeps_the_model(self, estimator, monkeypatch):
        class Interrupted(crnn.Adam):
            def step(self, *arguments):
                super().step(*arguments)
                _thread.interrupt_main()

        monkeypatch.setattr(crnn, "Adam", Interrupted)
        X, y = walks()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            rnn = small(estimator).fit(X, targets(estimator, X, y))
        assert rnn.n_iter_ == 1
        assert len(rnn.predict(X)) == len(X)

    def test_reaching_max_iter_warns(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)"):
            small(estimator, max_iter=2, learning_rate="constant").fit(X, y)
        rnn = small(estimator, learning_rate="constant", tol=1e9, n_iter_no_change=3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rnn.fit(X, y)
        assert rnn.n_iter_ == 4, "no epoch improves on the first by tol"

    @pytest.mark.parametrize(
        "options",
        [
            {"cell": "gru"},
            {"cell": "lstm"},
            {"cell": "leaky", "leak": 0.5, "noise": 0.1},
            {"cell": "leaky", "leak": 0.5, "equation": "current"},
        ],
    )
    def test_options_of_cells_reach_the_model(self, estimator, options):
        X, y = walks()
        y = targets(estimator, X, y)
        rnn = small(estimator, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            first, second = flat(rnn.fit(X, y)), flat(clone(rnn).fit(X, y))
        config = rnn.model_.config
        assert {name: getattr(config, name) for name in options} == options
        np.testing.assert_array_equal(first, second)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"hidden_size": 0}, ValueError, "hidden_size == 0, must be >= 1"),
            ({"hidden_size": 1.5}, TypeError, "hidden_size must be an instance of int"),
            ({"num_layers": 0}, ValueError, "num_layers: expected a whole number >= 1"),
            ({"direction": "up"}, ValueError, "direction: expected one of"),
            ({"activation": "elu"}, ValueError, "activation: expected one of"),
            ({"cell": "elman"}, ValueError, "cell: expected one of 'vanilla', 'leaky', 'gru'"),
            ({"cell": "leaky"}, TypeError, "leak: expected a number or an array"),
            ({"noise": 0.1}, ValueError, "noise: expected 0.0 with cell='vanilla'"),
            ({"solver": "lbfgs"}, ValueError, "solver: expected 'adam', which with weight_decay"),
            ({"learning_rate_init": 0.0}, ValueError, "learning_rate_init == 0.0, must be > 0"),
            ({"solver": "sgd", "momentum": 1.0}, ValueError, "momentum == 1.0, must be < 1"),
            ({"weight_decay": -0.1}, ValueError, "weight_decay == -0.1, must be >= 0"),
            ({"weight_decay": float("nan")}, ValueError, "weight_decay: expected a finite number"),
            ({"dropout": 1.0, "num_layers": 2}, ValueError, "dropout: expected a finite number"),
            ({"dropout": 0.1}, ValueError, "dropout: expected 0 with num_layers=1, got 0.1"),
            ({"clip_norm": 0}, ValueError, "clip_norm: expected"),
            ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
            ({"max_iter": 0}, ValueError, "max_iter == 0"),
            ({"max_iter": "many"}, ValueError, "max_iter: expected 'auto' or a number"),
            ({"learning_rate": "adaptive"}, ValueError, "learning_rate: expected 'constant' or"),
            ({"standardize": "yes"}, TypeError, "standardize: expected True or False"),
            ({"tol": -1.0}, ValueError, "tol == -1.0"),
            ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change == 0"),
            ({"validation_fraction": 1.0}, ValueError, "validation_fraction == 1.0"),
            (
                {"early_stopping": True, "validation_fraction": 0.001},
                ValueError,
                "validation_fraction: expected|test_size = 1",
            ),
            ({"dtype": "float16"}, ValueError, "dtype: expected float32 or float64"),
            ({"n_jobs": 0}, ValueError, "n_jobs == 0"),
        ],
    )
    def test_wrong_parameters_are_refused(self, estimator, options, error, message):
        X, y = walks()
        rnn = small(estimator, **options)
        with pytest.raises(error, match=message):
            rnn.fit(X, targets(estimator, X, y))

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (np.zeros((4, 3, 2, 2)), r"X: expected an array \(n, T, n_x\) or \(n, T\)"),
            (np.zeros((4, 0, 2)), "with no empty axis"),
            (np.full((4, 3, 2), np.nan), "Input X contains NaN"),
            ([np.ones(3), np.full(2, np.inf), np.ones(3), np.ones(3)], "Input X contains infinity"),
            ([np.ones(3), np.ones((3, 1)), np.ones(3), np.ones(3)], r"X\[1\]: expected an array"),
            ([np.ones((3, 2)), np.ones((3, 1))] * 2, r"X\[1\]: expected n_x = 2 as in X\[0\]"),
            ([np.ones(3), np.ones(0), np.ones(3), np.ones(3)], r"X\[1\]: .* at least one step"),
            ([[1.0, 2.0], [[1.0], [2.0], [3.0]]] * 2, r"X\[1\]: .* as many dimensions as X\[0\]"),
            ([[[1.0], [2.0, 3.0]], [1.0]] * 2, r"X\[0\]: expected .* have different lengths"),
            ([], "0 sample|Expected 2D array"),
        ],
    )
    def test_wrong_X_is_refused(self, estimator, X, message):
        with pytest.raises(ValueError, match=message):
            small(estimator).fit(X, np.zeros(4))

    def test_X_that_differs_from_the_fitted_kind_is_refused(self, estimator):
        X, y = walks(n_x=2)
        rnn = small(estimator).fit(X, targets(estimator, X, y))
        for other in (X[..., 0], X[..., :1], list(X[..., 0])):
            with pytest.raises(ValueError, match=r"X has 1 features, but .* is expecting 2"):
                rnn.predict(other)
        with pytest.raises(ValueError, match=r"expecting 2 .* one sequence .* the list \[X\]$"):
            rnn.predict(X[0])
        assert len(rnn.predict([X[0]])) == 1
        for other in (X.swapaxes(1, 2)[:, :2], list(X.swapaxes(1, 2)[:, :2])):  # (n, n_x, T)
            with pytest.raises(ValueError, match=r"X has 9 features, .* need X.swapaxes\(1, 2\)"):
                rnn.predict(other)
        rnn = small(estimator).fit(X[..., 0], targets(estimator, X, y))
        with pytest.raises(ValueError, match=r"X has 8 features, but .* is expecting 9"):
            rnn.predict(X[:, :8, 0])
        assert len(rnn.predict(X[:, :8, :1])) == len(X), "sequences may have any length"

    def test_feature_names(self, estimator):
        pandas = pytest.importorskip("pandas")
        X, y = walks()
        frame = pandas.DataFrame(X[..., 0], columns=[f"t{t}" for t in range(9)])
        y = targets(estimator, X, y)
        rnn = small(estimator).fit(frame, y)
        assert list(rnn.feature_names_in_) == list(frame.columns)
        np.testing.assert_array_equal(answers(rnn, frame), answers(rnn, X))
        with pytest.raises(ValueError, match="feature names"):
            rnn.predict(frame[frame.columns[::-1]])
        rnn.fit(X, y)
        assert not hasattr(rnn, "feature_names_in_")
        assert rnn.n_features_in_ == 1

    def test_wrong_sample_weight_is_refused(self, estimator):
        X, y = walks()
        y = targets(estimator, X, y)
        for early_stopping in (False, True):
            rnn = small(estimator, early_stopping=early_stopping)
            for w, message in (
                (np.ones(5), r"sample_weight: expected shape \(120,\)"),
                (-np.ones(120), "sample_weight: expected finite numbers of at least 0"),
                (np.full(120, np.nan), "sample_weight: expected finite numbers of at least 0"),
            ):
                with pytest.raises(ValueError, match=message):
                    rnn.fit(X, y, w)


def test_concurrent_fits_restore_the_number_of_threads():
    before = crnn.get_num_threads()
    first, second = ExitStack(), ExitStack()
    first.enter_context(threads.limited(1))
    second.enter_context(threads.limited(2))
    first.close()
    assert crnn.get_num_threads() == 2
    second.close()
    assert crnn.get_num_threads() == before


# --- the three estimators -------------------------------------------------------------------------


class TestClassifier:
    def test_labels_and_probabilities(self):
        X, y = walks()
        rnn = small(RNNClassifier).fit(X, y)
        assert list(rnn.classes_) == ["down", "up"]
        y_hat = rnn.predict_proba(X)
        assert y_hat.shape == (120, 2)
        np.testing.assert_array_equal(rnn.predict(X), rnn.classes_[y_hat.argmax(axis=1)])
        assert rnn.score(X, y) == accuracy_score(y, rnn.predict(X))

    @pytest.mark.parametrize("kind", [bool, "i1", "u8", "f8", "U4", object])
    def test_label_dtypes(self, kind):
        X, y = walks()
        labels = (y == "up").astype(int)
        labels = y.astype(kind) if kind in ("U4", object) else labels.astype(kind)
        rnn = small(RNNClassifier).fit(X, labels)
        assert rnn.predict(X).dtype == rnn.classes_.dtype == labels.dtype
        np.testing.assert_array_equal(flat(rnn), flat(small(RNNClassifier).fit(X, y)))
        rnn = small(RNNSequenceTagger).fit(X, np.repeat(labels[:, None], 9, axis=1))
        assert rnn.predict(X).dtype == labels.dtype

    def test_class_weight_equals_sample_weight(self):
        X, y = walks()
        by_class = small(RNNClassifier, class_weight={"up": 3.0}).fit(X, y)
        by_example = small(RNNClassifier).fit(X, y, np.where(y == "up", 3.0, 1.0))
        np.testing.assert_array_equal(flat(by_class), flat(by_example))

    def test_balanced_class_weight(self):
        X, y = walks()
        kept = np.concatenate([np.flatnonzero(y == "up")[:8], np.flatnonzero(y == "down")])
        X, y = X[kept], y[kept]
        w = np.random.default_rng(0).random(len(y))
        totals = {label: w[y == label].sum() for label in ("down", "up")}
        balanced = small(RNNClassifier, class_weight="balanced").fit(X, y, w)
        by_hand = {label: w.sum() / (2 * total) for label, total in totals.items()}
        np.testing.assert_allclose(
            flat(balanced), flat(small(RNNClassifier, class_weight=by_hand).fit(X, y, w)), rtol=1e-4
        )

    @pytest.mark.parametrize(
        ("class_weight", "message"),
        [
            ("heavy", "class_weight: expected 'balanced', a dict or None, got 'heavy'"),
            ([1, 2], "class_weight: expected 'balanced', a dict or None"),
            ({"sideways": 2}, "not in class_weight"),
            ({"up": -1.0}, r"class_weight\['up'\] == -1.0, must be >= 0"),
            ({"up": 0.0, "down": 0.0}, "class_weight: expected weights whose sum .* got 0"),
        ],
    )
    def test_wrong_class_weight_is_refused(self, class_weight, message):
        with pytest.raises(ValueError, match=message):
            small(RNNClassifier, class_weight=class_weight).fit(*walks())

    def test_partial_fit_requires_classes(self):
        X, y = walks()
        rnn = small(RNNClassifier)
        with pytest.raises(ValueError, match="classes must be passed on the first call"):
            rnn.partial_fit(X, y)
        rnn.partial_fit(X, y, classes=["up", "down", "level"])
        assert rnn.predict_proba(X).shape == (120, 3)
        with pytest.raises(ValueError, match="classes: expected those of the first call"):
            rnn.partial_fit(X, y, classes=["up", "down"])
        with pytest.raises(ValueError, match=r"y: expected the labels .* got .*sideways"):
            rnn.partial_fit(X, np.where(y == "up", "sideways", y))
        with pytest.raises(ValueError, match="class_weight='balanced' is not supported"):
            rnn.set_params(class_weight="balanced").partial_fit(X, y)
        with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
            rnn.set_params(class_weight=None, early_stopping=True).partial_fit(X, y)

    def test_a_column_of_labels_warns(self):
        X, y = walks()
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
            column = small(RNNClassifier).fit(X, y[:, None])
        np.testing.assert_array_equal(column.predict(X), small(RNNClassifier).fit(X, y).predict(X))

    def test_too_few_examples_for_validation(self):
        rnn = small(RNNRegressor, early_stopping=True, validation_fraction=0.1)
        with pytest.raises(ValueError, match=r"validation_fraction: expected .* at least 2 ex"):
            rnn.fit(np.eye(6), np.arange(6))

    def test_a_single_class_is_refused(self):
        """A softmax over one class is always 1."""
        for X, y, estimator in (
            (np.eye(4), ["a"] * 4, RNNClassifier),
            ([np.ones(3)], [["a"] * 3], RNNSequenceTagger),
        ):
            with pytest.raises(ValueError, match="y: expected labels of at least 2 classes"):
                small(estimator).fit(X, y)

    @pytest.mark.parametrize("estimator", [RNNClassifier, RNNSequenceTagger])
    def test_predict_refuses_nan(self, estimator):
        X = np.eye(4)
        rnn = small(estimator).fit(X, [0, 0, 1, 1] if estimator is RNNClassifier else X.astype(int))
        rnn.model_.parameters["by"] = np.nan
        with pytest.raises(ValueError, match=r"predict: .* NaN"):
            rnn.predict(X)
        assert np.isnan(rnn.predict_proba(X)).all()


class TestRegressor:
    def test_predictions_are_shaped_like_y(self):
        X, _ = walks(200, n_x=3)
        y = X.mean(axis=1) * 3  # (n, n_y = 3)
        many = small(RNNRegressor, hidden_size=24, max_iter=60).fit(X, y)
        assert many.n_outputs_ == 3
        assert many.predict(X).shape == (200, 3)
        assert many.score(X, y) > 0.9
        assert small(RNNRegressor).fit(X, y[:, 0]).predict(X).shape == (200,)
        assert small(RNNRegressor).fit(X, y[:, :1]).predict(X).shape == (200, 1)

    def test_partial_fit_refuses_another_number_of_outputs(self):
        X, _ = walks()
        rnn = small(RNNRegressor).fit(X, X[:, 0, 0])
        with pytest.raises(ValueError, match="y: expected 1 values for each sequence"):
            rnn.partial_fit(X, X[:, :2, 0])

    def test_an_infinite_validation_loss_is_never_the_best(self):
        """relu is unbounded: outputs may overflow on larger examples than those of training."""
        X = np.full((60, 400, 1), 1e-3)
        y = np.linspace(0, 1, 60)
        options = {"direction": "forward", "steps": "last", "samples_per_step": 1}
        rnn = small(RNNRegressor, activation="relu", early_stopping=True, max_iter=3, **options)
        rnn.fit(X, y)
        rnn.model_.parameters["Waa"] = 2 * np.eye(8)
        held_out = type("Held", (), {"x": np.ones((400, 5, 1), "f4"), "y": y[:5], "weights": None})
        with np.errstate(all="ignore"):
            assert rnn._held_out_score(rnn.model_, held_out) == -np.inf


class TestTagger:
    X, _ = walks(60)
    y = np.where(X[:, :, 0].cumsum(axis=1) > 0, "up", "down")

    def test_shapes(self):
        rnn = small(RNNSequenceTagger).fit(self.X, self.y)
        assert rnn.predict_proba(self.X).shape == (60, 9, 2)
        assert rnn.predict(self.X).shape == (60, 9)
        xs = cut(self.X, 3, 4, 5, 6, 7)
        given = rnn.predict(xs)
        assert [labels.shape for labels in given] == [(len(x),) for x in xs]
        assert [p.shape for p in rnn.predict_proba(xs)] == [(len(x), 2) for x in xs]
        # A state does not depend on later steps, so a shorter sequence has the same predictions.
        np.testing.assert_array_equal(given[2], rnn.predict(self.X)[2, : len(xs[2])])

    def test_score_is_the_accuracy_over_steps(self):
        rnn = small(RNNSequenceTagger).fit(self.X, self.y)
        right = rnn.predict(self.X) == self.y
        assert rnn.score(self.X, self.y) == pytest.approx(right.mean())
        w = np.random.default_rng(0).random(60)
        assert rnn.score(self.X, self.y, w) == pytest.approx((w @ right).sum() / w.sum() / 9)
        steps = np.random.default_rng(0).random((60, 9))
        weighted = (steps * right).sum() / steps.sum()
        assert rnn.score(self.X, self.y, steps) == pytest.approx(weighted)
        assert rnn.score(list(self.X), list(self.y), list(steps)) == pytest.approx(weighted)

    def test_steps_of_zero_weight_have_no_effect(self):
        w = np.ones((60, 9))
        w[:, 4:] = 0
        spoiled = self.y.copy()
        spoiled[:, 4:] = "up"
        for X, y, w_given in (
            (self.X, spoiled, w),
            (list(self.X), list(spoiled), list(w)),
        ):
            rnn = small(RNNSequenceTagger).fit(X, y, w_given)
            clean = small(RNNSequenceTagger).fit(
                X, self.y if y is spoiled else list(self.y), w_given
            )
            np.testing.assert_array_equal(flat(rnn), flat(clean))

    def test_class_weight_applies_to_each_step(self):
        by_class = small(RNNSequenceTagger, class_weight={"up": 4.0}).fit(self.X, self.y)
        by_step = small(RNNSequenceTagger).fit(self.X, self.y, np.where(self.y == "up", 4.0, 1.0))
        np.testing.assert_array_equal(flat(by_class), flat(by_step))

    def test_cross_validation_splits_sequences(self):
        xs, ys = cut(self.X, 5, 6, 7, 8), cut(self.y, 5, 6, 7, 8)
        scores = cross_val_score(small(RNNSequenceTagger), xs, ys, cv=KFold(3))
        assert scores.shape == (3,)
        assert np.all((scores >= 0) & (scores <= 1))
        assert cross_val_predict(small(RNNSequenceTagger), self.X, self.y, cv=3).shape == (60, 9)

    @pytest.mark.parametrize(
        ("X", "y", "message"),
        [
            (X, y[:, 0], r"y: expected shape \(n, T\) = \(60, 9\), got"),
            (list(X), list(y)[:5], "y: expected a list of 60 arrays, as X is, got list of 5"),
            (list(X), [y[0][:4], *y[1:]], r"y\[0\]: expected shape \(9,\)"),
            (X, None, "requires y to be passed"),
        ],
    )
    def test_wrong_labels_are_refused(self, X, y, message):
        with pytest.raises(ValueError, match=message):
            small(RNNSequenceTagger).fit(X, y)


# --- documentation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", *(f".{m.name}" for m in pkgutil.iter_modules(crnn.sklearn.__path__))]
)
def test_docstring_examples_run(name):
    assert doctest.testmod(importlib.import_module("crnn.sklearn" + name)).failed == 0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_parameter_is_documented(estimator):
    text = re.split(r"\n *Attributes\n", estimator.__doc__)[0]
    for name in estimator().get_params():
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize("page", ["sklearn.md", "classification.md"])
def test_examples_of_the_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run_python(ROOT / "docs" / page)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_schedule_of_the_learning_rate_is_passed_on():
    X = np.random.default_rng(0).standard_normal((20, 5, 2))
    y = np.arange(20) % 2
    rates = {}
    for lr in (0.01, Cosine(0.01)):
        options = {"learning_rate": "constant", "learning_rate_init": lr, "max_iter": 3}
        rnn = clone(RNNClassifier(4, **options, tol=0.0, random_state=0))
        assert rnn.fit(X, y)._optimizer.lr == lr
        rates[type(lr)] = rnn.loss_curve_
    assert rates[float][0] == rates[Cosine][0]
    assert rates[float][2] != rates[Cosine][2]
