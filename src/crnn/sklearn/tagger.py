"""A label for each step of each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from crnn.schedules import Schedule
from crnn.sklearn._base import Targets
from crnn.sklearn._data import Array, Inputs, check_weights, checked, items_of
from crnn.sklearn._labels import Labelling


class RNNSequenceTagger(Labelling):
    """A label for each step of each sequence, from the states of a recurrent network.

    Trained on the mean cross entropy over all steps with `crnn.RNN.fit`. It is not a classifier in
    scikit-learn's sense, which has one label for each row of X. Its score is the accuracy over
    steps, and cross-validation never splits a sequence.

    Parameters
    ----------
    hidden_size, num_layers, direction, activation, cell, leak, noise, equation, dropout, \
standardize, solver, learning_rate, learning_rate_init, momentum, weight_decay, clip_norm, \
batch_size, max_iter, tol, n_iter_no_change, early_stopping, validation_fraction, class_weight, \
warm_start, random_state, n_jobs, dtype, verbose
        As for `RNNClassifier`, with these defaults: direction="forward", standardize=False,
        learning_rate="constant", learning_rate_init=0.001, batch_size=32 and max_iter=200. There
        is a label for each sample. The weight of a class applies to steps, and the part that
        early_stopping holds out is not stratified.

    Attributes
    ----------
    model_, samples_per_step_, classes_, n_features_in_, feature_names_in_, n_iter_, loss_, \
loss_curve_, best_loss_, validation_scores_, best_validation_score_
        As for `RNNClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.sklearn import RNNSequenceTagger
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal(T) for T in rng.integers(3, 12, 200)]
    >>> y = [np.where(np.cumsum(x) > 0, "above", "below") for x in X]
    >>> rnn = RNNSequenceTagger(16, learning_rate_init=0.01, tol=1e-3, random_state=0).fit(X, y)
    >>> rnn.score(X, y) > 0.95
    True
    >>> rnn.predict([np.array([1.0, 1.0, -9.0])])
    [array(['above', 'above', 'below'], dtype='<U5')]
    """

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        num_layers: int = 1,
        direction: str = "forward",
        activation: str = "tanh",
        cell: str = "vanilla",
        leak: Any = None,
        noise: float = 0.0,
        equation: str = "rate",
        dropout: float = 0.0,
        standardize: bool = False,
        solver: str = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float | Schedule = 0.001,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        batch_size: int = 32,
        max_iter: int | str = 200,
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.two_d_labels = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RNNSequenceTagger:
        """Train on sequences and the labels of their steps.

        Parameters
        ----------
        X : array (n, T, n_x) or (n, T), or list of n arrays (T_i, n_x) or (T_i,)
            As for `RNNClassifier.fit`.
        y : array (n, T), or list of n arrays (T_i,) where X is a list
            Labels: integers, strings or booleans.
        sample_weight : array (n,), or shaped as y, optional
            At least 0, one for each sequence or each step. Steps of weight 0 are read, but do not
            contribute to the loss.

        Returns
        -------
        RNNSequenceTagger
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, crnn.DivergenceError
            As for `RNNClassifier.fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNSequenceTagger
        >>> rnn = RNNSequenceTagger(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(3), np.eye(3, dtype=int)).classes_
        array([0, 1])
        """
        fitted: RNNSequenceTagger = self._fit(X, y, sample_weight)
        return fitted

    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> RNNSequenceTagger:
        """Train for one more epoch. The solver keeps its momentum or moments between calls.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array (n_classes,), optional
            All labels that any call will have; the first call must give them.

        Returns
        -------
        RNNSequenceTagger
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, crnn.DivergenceError
            As for `RNNClassifier.partial_fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNSequenceTagger
        >>> rnn = RNNSequenceTagger(4, random_state=0)
        >>> rnn.partial_fit(np.eye(3), np.eye(3, dtype=int), classes=[0, 1]).n_iter_
        1
        """
        fitted: RNNSequenceTagger = self._fit_first_or_further(X, y, sample_weight, classes)
        return fitted

    def predict_proba(self, X: Any) -> Array | list[Array]:
        """The probability of each label at each step.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        y_hat : array (n, T, n_classes), or list of n arrays (T_i, n_classes) for a list
            In the order of `classes_`.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `RNNClassifier.predict_proba`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNSequenceTagger
        >>> rnn = RNNSequenceTagger(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(3), np.eye(3, dtype=int)).predict_proba(np.eye(3)).shape
        (3, 3, 2)
        """
        y_hat: Any = self._answers(X)[1]
        if isinstance(y_hat, list):
            return y_hat
        by_example: Array = y_hat.swapaxes(0, 1)
        return by_example

    def predict(self, X: Any) -> Array | list[Array]:
        """The most probable label of each step.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        y : array (n, T), or list of n arrays (T_i,) for a list
            Labels of `classes_`.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `RNNClassifier.predict_proba`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNSequenceTagger
        >>> rnn = RNNSequenceTagger(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(3), np.eye(3, dtype=int)).predict([np.zeros(2)])[0].shape
        (2,)
        """
        numbers = self._answers(X, decide=True)[1]
        if isinstance(numbers, list):
            return [self.classes_[item] for item in numbers]
        labels: Array = self.classes_[numbers.T]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy over all steps.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        accuracy : float

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `fit` and `predict`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNSequenceTagger
        >>> rnn = RNNSequenceTagger(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(3), np.eye(3, dtype=int)).score(np.eye(3), np.eye(3, dtype=int))
        1.0
        """
        inputs, numbers = self._answers(X, decide=True)
        labels, weights = inputs.flat("y", y), self._step_weights(inputs, sample_weight)
        # Concatenated over examples, as by inputs.flat.
        flat = np.concatenate(numbers) if isinstance(numbers, list) else numbers.T.reshape(-1)
        return float(accuracy_score(labels, self.classes_[flat], sample_weight=weights))

    def _check_targets(
        self, inputs: Inputs, y: Any, sample_weight: Any, classes: Any, cold: bool
    ) -> Targets:
        numbers = self._class_numbers(inputs.flat("y", y), classes, cold)
        weights = self._with_class_weight(numbers, self._step_weights(inputs, sample_weight))
        return Targets(
            inputs.steps(numbers),
            None if weights is None else inputs.steps(weights),
            len(self.classes_),
        )

    def _step_weights(self, inputs: Inputs, sample_weight: Any) -> Array | None:
        """Weights of all steps, concatenated over examples; one per example is repeated."""
        if sample_weight is None:
            return None
        if isinstance(inputs.x, list):
            every_step = any(np.ndim(item) for item in items_of(sample_weight) or ())
        else:
            every_step = np.asarray(sample_weight).ndim == 2
        if every_step:
            flat = inputs.flat("sample_weight", sample_weight, np.float64)
            return checked(flat, flat.shape)
        return np.repeat(check_weights(sample_weight, inputs.n), inputs.lengths)
