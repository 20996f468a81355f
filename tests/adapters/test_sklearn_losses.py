"""The losses of the regressor; the other estimators have cross entropy alone."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone

import crnn
from crnn.sklearn import RNNRegressor

FAST = {"hidden_size": 8, "max_iter": 2, "random_state": 0, "tol": 0}
X = np.random.default_rng(0).standard_normal((40, 10))
Y = X.mean(axis=1)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", crnn.Huber(0.2)])
def test_each_is_that_of_the_network(loss):
    rnn = clone(RNNRegressor(loss=loss, **FAST)).fit(X, Y)
    assert rnn.model_.config.loss == loss
    assert rnn.get_params()["loss"] == loss
    assert np.isfinite(rnn.predict(X)).all()


def test_outliers_count_less():
    spoiled = Y.copy()
    spoiled[::8] = 30
    kept = np.arange(40) % 8 > 0
    options = {"hidden_size": 8, "random_state": 0, "learning_rate_init": 0.01, "max_iter": 100}
    errors = [
        np.abs(RNNRegressor(loss=loss, **options).fit(X, spoiled).predict(X) - Y)[kept].mean()
        for loss in ("mae", "mse")
    ]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize(
    "loss", ["cross_entropy", "gaussian_nll", crnn.Quantiles((0.5,)), None, ["mse"], crnn.Huber]
)
def test_others_are_refused_by_name(loss):
    with pytest.raises(ValueError, match=r"loss: expected 'mse', 'mae', 'huber' or crnn\.Huber"):
        RNNRegressor(loss=loss, **FAST).fit(X, Y)


def test_training_goes_on_with_the_same_loss_only():
    rnn = RNNRegressor(loss=crnn.Huber(0.5), warm_start=True, **FAST).fit(X, Y)
    rnn.set_params(loss=crnn.Huber(0.5)).fit(X, Y)
    with pytest.raises(ValueError, match=r"loss: expected Huber\(delta=0.5\) as in the model"):
        rnn.set_params(loss="mae").fit(X, Y)
    with pytest.raises(ValueError, match=r"loss: expected Huber\(delta=0.5\) as in the model"):
        rnn.partial_fit(X, Y)
