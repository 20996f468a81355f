"""The scikit-learn estimators: scikit-learn's own checks, and what those do not see."""

import doctest
import importlib
import pkgutil

import pytest

pytest.importorskip("sklearn")

from sklearn.utils.estimator_checks import parametrize_with_checks

import crnn.sklearn
from crnn.sklearn import RNNClassifier, RNNRegressor, RNNSequenceTagger

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_size": 8, "learning_rate_init": 0.02, "max_iter": 60, "tol": 1e-3}

@parametrize_with_checks([
    RNNClassifier(**SMALL), RNNClassifier(**SMALL, dtype="float64"),
    RNNRegressor(**SMALL), RNNRegressor(**SMALL, dtype="float64"),
    RNNSequenceTagger(**SMALL)])
def test_checks(estimator, check):
    check(estimator)
