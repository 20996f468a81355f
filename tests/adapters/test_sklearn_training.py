"""Optimizers, weight decay and dropout of the estimators: those of `crnn.RNN.fit`."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.utils import check_random_state

import crnn
from crnn.schedules import Cosine
from crnn.sklearn import RNNClassifier, RNNRegressor, RNNSequenceTagger

X = np.random.default_rng(0).standard_normal((20, 6))
LABELS = (X.cumsum(axis=1) > 0).astype(int)  # (20, 6)
Y = {RNNClassifier: LABELS[:, -1], RNNRegressor: X.sum(axis=1), RNNSequenceTagger: LABELS}
STRUCTURE = {"num_layers": 2, "dtype": "float64"}
OPTIONS = {
    "hidden_size": 5, "standardize": False, "direction": "forward", "max_iter": 3, "tol": 0,
    "learning_rate_init": 0.01, "batch_size": 8, "random_state": 0, "clip_norm": None, **STRUCTURE,
}  # fmt: skip
estimators = pytest.mark.parametrize("estimator", Y)


def by_hand(estimator, optimizer, **structure):
    """The parameters of a network that was trained as the estimator trains its own."""
    rng = np.random.default_rng(check_random_state(0).randint(np.iinfo(np.int32).max))
    y, x = Y[estimator], X.T[..., None]
    n_y = 1 if estimator is RNNRegressor else 2
    loss = "mse" if estimator is RNNRegressor else "cross_entropy"
    y, steps = (y.T, "all") if estimator is RNNSequenceTagger else (y, "max")
    if estimator is RNNRegressor:
        y = y[:, None]
    model = crnn.RNN(1, 5, n_y, loss=loss, steps=steps, **STRUCTURE, **structure, rng=rng)
    model.fit(x, y, epochs=3, batch_size=8, optimizer=optimizer, progress=False, rng=rng)
    return model.parameters


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@estimators
@pytest.mark.parametrize(
    ("given", "optimizer"),
    [
        ({}, crnn.Adam),
        ({"weight_decay": 0.3}, lambda lr: crnn.AdamW(lr, weight_decay=0.3)),
        ({"solver": "rmsprop"}, crnn.RMSprop),
        (
            {"solver": "rmsprop", "weight_decay": 0.3},
            lambda lr: crnn.RMSprop(lr, weight_decay=0.3),
        ),
        ({"solver": "sgd", "weight_decay": 0.3}, lambda lr: crnn.SGD(lr, 0.9, 0.3)),
    ],
)
def test_the_optimizer_is_crnns(estimator, given, optimizer):
    rnn = clone(estimator(**OPTIONS, **given)).fit(X, Y[estimator])
    lr = 0.01 if estimator is RNNSequenceTagger else Cosine(0.01)
    for name, value in by_hand(estimator, optimizer(lr)).items():
        np.testing.assert_array_equal(rnn.model_.parameters[name], value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@estimators
def test_dropout_is_crnns(estimator):
    rnn = clone(estimator(dropout=0.4, **OPTIONS)).fit(X, Y[estimator])
    lr = 0.01 if estimator is RNNSequenceTagger else Cosine(0.01)
    dropped, all_of_them = (by_hand(estimator, crnn.Adam(lr), dropout=p) for p in (0.4, 0.0))
    for name, value in dropped.items():
        np.testing.assert_array_equal(rnn.model_.parameters[name], value)
    assert (dropped["Waa_l0"] != all_of_them["Waa_l0"]).any()


@estimators
def test_dropout_belongs_to_the_model(estimator):
    rnn = estimator(dropout=0.4, warm_start=True, **OPTIONS).partial_fit(
        X, Y[estimator], **({} if estimator is RNNRegressor else {"classes": [0, 1]})
    )
    with pytest.raises(ValueError, match=r"dropout: expected 0\.4 as in the model"):
        rnn.set_params(dropout=0.2).fit(X, Y[estimator])


def test_a_subclass_may_have_parameters_of_its_own():
    class Wide(RNNClassifier):
        def __init__(self, times=2, hidden_size=8):
            super().__init__(hidden_size, random_state=0)
            self.times = times

    rnn = clone(Wide(times=3))
    assert rnn.get_params() == {"times": 3, "hidden_size": 8}
    assert rnn.fit(X, Y[RNNClassifier]).model_.config.n_a == 8
