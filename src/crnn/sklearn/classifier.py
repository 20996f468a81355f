"""One label for each sequence."""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length, column_or_1d

from crnn.schedules import Schedule
from crnn.sklearn._base import Targets
from crnn.sklearn._data import Array, Inputs, check_weights
from crnn.sklearn._labels import Labelling


class RNNClassifier(ClassifierMixin, Labelling):  # type: ignore[misc]
    """A label for each sequence, from the states of a recurrent network.

    Trained on cross entropy with `crnn.RNN.fit`. Parameters and attributes that
    `sklearn.neural_network.MLPClassifier` has too are named as there.

    Parameters
    ----------
    hidden_size : int, default=64
        Hidden units of each layer (and direction).
    num_layers : int, default=1
        Recurrent layers, each reading the states of the one below.
    direction : {"forward", "reverse", "bidirectional"}, default="bidirectional"
        The direction in which each layer reads a sequence.
    steps : {"last", "mean", "max", "pooled"}, default="max"
        What the answer is read from: the last state, the mean over all steps, the largest value of
        each unit, or these three together.
    samples_per_step : int or "auto", default="auto"
        Samples of a sequence that the network reads as one step, by `crnn.data.frames`. "auto":
        ``max(1, round(T / 40))``, where T is the median length of the training data; 1 is a step
        for each sample.
    activation : {"tanh", "relu"}, default="tanh"
        Of the units of a vanilla or leaky cell.
    cell : {"vanilla", "leaky", "gru", "lstm"}, default="vanilla"
        What each hidden unit computes.
    leak, noise, equation
        Of a leaky cell: see `crnn.RNN`.
    dropout : float, default=0.0
        The share of units whose outputs the layer above does not see in a step of training; needs
        num_layers of at least 2.
    standardize : bool, default=True
        Whether to subtract each feature's mean over all steps of the training data and divide by
        its standard deviation. `partial_fit` takes both from its first call.
    solver : {"adam", "rmsprop", "sgd"}, default="adam"
        `crnn.Adam`, or with weight_decay `crnn.AdamW`; `crnn.RMSprop`; `crnn.SGD` with momentum.
    learning_rate : {"cosine", "constant"}, default="cosine"
        Whether the learning rate falls along half a cosine until `max_iter`, or stays as it is.
        Each call of `fit` begins anew, and in `partial_fit`, which has no end, it stays.
    learning_rate_init : float or crnn.schedules.Schedule, default=0.003
        The learning rate at first; or a schedule, in the place of `learning_rate`.
    momentum : float, default=0.9
        In [0, 1); for solver="sgd".
    weight_decay : float, default=0.0
        At least 0. Before each step the weights, but not the biases, are multiplied by
        ``1 - learning rate * weight_decay``.
    clip_norm : float or None, default=1.0
        Gradients with a larger norm are scaled down to this norm.
    batch_size : int, default=16
        Sequences per step; new batches are drawn in each epoch.
    max_iter : int or "auto", default="auto"
        The most epochs. "auto": about 500 batches, but at least 20 epochs. With
        learning_rate="constant", a fit that needs them all ends with a ConvergenceWarning.
    tol : float, default=1e-4
        The least improvement of the training loss (with early_stopping, of the score on held-out
        examples) that counts as progress.
    n_iter_no_change : int, default=10
        Training ends after this many epochs in a row without progress. With
        learning_rate="cosine" it ends so with early_stopping only, and else at max_iter.
    early_stopping : bool, default=False
        Hold out a stratified part of the training data, watch the score on it, and keep the
        parameters of the epoch with the best score.
    validation_fraction : float, default=0.1
        The fraction that is held out.
    class_weight : dict, "balanced" or None, default=None
        The weight of each class by label, 1 by default; sample_weight is multiplied by it.
        "balanced" gives all classes the same total weight.
    warm_start : bool, default=False
        Whether `fit` continues from the present parameters. As elsewhere in scikit-learn, what
        the fitted model cannot follow is then a ValueError: another ``hidden_size``,
        ``num_layers``, ``direction``, ``steps``, ``samples_per_step``, ``standardize``,
        ``activation``, ``cell``, ``leak``, ``noise``, ``equation``, ``dropout`` or ``dtype``. The
        same holds for `partial_fit`.
    random_state : int, RandomState instance or None, default=None
        Draws the initial parameters, each epoch's order and the held-out part.
    n_jobs : int or None, default=None
        Threads of crnn during fit and predict: -1 for one per core; None for
        `crnn.get_num_threads`. Results do not depend on the number.
    dtype : {"float32", "float64"}, default="float32"
        Of parameters and results; X is converted to it.
    verbose : bool, default=False
        Whether to show a progress bar on stderr.

    Attributes
    ----------
    model_ : crnn.RNN
        The network: `model_.save` writes it as safetensors. Its inputs are scaled and in frames;
        its metadata say how.
    samples_per_step_ : int
        Samples in a step of the network.
    classes_ : array (n_classes,)
        Labels, in order.
    n_features_in_ : int
        n_x, or the number of columns T of a 2-D X.
    feature_names_in_ : array (T,)
        Only if X was a DataFrame whose columns have names.
    n_iter_ : int
        Epochs since the model was created.
    loss_, loss_curve_ : float, list of float
        The training loss of the last epoch, and of each.
    best_loss_ : float or None
        The lowest of them; None with early_stopping.
    validation_scores_, best_validation_score_ : list of float and float, or None
        The held-out score of each epoch of the last fit, with early_stopping.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.sklearn import RNNClassifier
    >>> X = np.random.default_rng(0).standard_normal((200, 12))    # n = 200, T = 12
    >>> y = np.where(X.sum(axis=1) > 0, "up", "down")
    >>> rnn = RNNClassifier(16, steps="mean", random_state=0)
    >>> rnn.fit(X, y).score(X, y) > 0.95
    True
    >>> rnn.predict([np.full(5, 0.5), np.full(9, -0.5)])           # sequences of other lengths
    array(['up', 'down'], dtype='<U4')
    """

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        direction: str = "bidirectional",
        steps: str = "max",
        samples_per_step: int | str = "auto",
        activation: str = "tanh",
        cell: str = "vanilla",
        leak: Any = None,
        noise: float = 0.0,
        equation: str = "rate",
        dropout: float = 0.0,
        standardize: bool = True,
        solver: str = "adam",
        learning_rate: str = "cosine",
        learning_rate_init: float | Schedule = 0.003,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        batch_size: int = 16,
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        dtype: Any = "float32",
        verbose: bool = False,
    ) -> None:
        self._store(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RNNClassifier:
        """Train on sequences and their labels.

        Parameters
        ----------
        X : array (n, T, n_x) or (n, T), or list of n arrays (T_i, n_x) or (T_i,)
            Finite numbers. A list may be an array or Series of objects, and its items may be
            lists of different lengths; a list of lists of equal lengths is an array.
        y : array (n,)
            Labels: integers, strings or booleans.
        sample_weight : array (n,), optional
            At least 0. A weight of 0 has the same effect as leaving the example out.

        Returns
        -------
        RNNClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; the message names it.
        crnn.DivergenceError
            If a loss, gradient or update is not finite. The estimator is then not fitted; with
            warm_start it has the parameters of the last good step.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNClassifier
        >>> X = np.repeat([[0.0], [1.0]], 9, axis=1)
        >>> rnn = RNNClassifier(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(X, ["low", "high"]).classes_
        array(['high', 'low'], dtype='<U4')
        """
        fitted: RNNClassifier = self._fit(X, y, sample_weight)
        return fitted

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> RNNClassifier:
        """Train for one more epoch. The solver keeps its momentum or moments between calls.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array (n_classes,), optional
            All labels that any call will have; the first call must give them.

        Returns
        -------
        RNNClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, crnn.DivergenceError
            As for `fit`, and with early_stopping or class_weight="balanced". An estimator that
            diverged has the parameters of the last good step.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNClassifier
        >>> rnn = RNNClassifier(4, random_state=0)
        >>> for _ in range(3):
        ...     rnn = rnn.partial_fit(np.eye(5), [0, 1, 0, 1, 0], classes=[0, 1, 2])
        >>> rnn.n_iter_, rnn.predict_proba(np.eye(5)).shape
        (3, (5, 3))
        """
        fitted: RNNClassifier = self._fit_first_or_further(X, y, sample_weight, classes)
        return fitted

    def predict_proba(self, X: Any) -> Array:
        """The probability of each label.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        y_hat : array (n, n_classes)
            In the order of `classes_`.

        Raises
        ------
        ValueError, TypeError
            If X does not fit what the estimator was fitted with.
        sklearn.exceptions.NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNClassifier
        >>> rnn = RNNClassifier(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(4), [0, 0, 1, 1]).predict_proba(np.eye(4)).sum(axis=1).round(5)
        array([1., 1., 1., 1.], dtype=float32)
        """
        y_hat: Array = self._answers(X)[1]
        return y_hat

    def predict(self, X: Any) -> Array:
        """The most probable labels.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        y : array (n,)
            Labels of `classes_`.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `predict_proba`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNClassifier
        >>> rnn = RNNClassifier(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(4), [0, 0, 1, 1]).predict(np.eye(4))
        array([0, 0, 1, 1])
        """
        numbers = self._answers(X, decide=True)[1]
        labels: Array = self.classes_[numbers]
        return labels

    def _check_targets(
        self, inputs: Inputs, y: Any, sample_weight: Any, classes: Any, cold: bool
    ) -> Targets:
        labels = column_or_1d(y, warn=True)
        check_consistent_length(labels, inputs.lengths)
        numbers = self._class_numbers(labels, classes, cold)
        w = None if sample_weight is None else check_weights(sample_weight, inputs.n)
        weights = self._with_class_weight(numbers, w)
        return Targets(numbers, weights, len(self.classes_), strata=numbers)
