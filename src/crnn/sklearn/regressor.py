"""Values for each sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_consistent_length

import crnn
from crnn.schedules import Schedule
from crnn.sklearn._base import BaseRNN, Targets
from crnn.sklearn._data import Array, Examples, Inputs, check_weights


class RNNRegressor(RegressorMixin, BaseRNN):  # type: ignore[misc]
    """Values for each sequence, from the states of a recurrent network.

    The output is linear. With standardize, y is scaled as the features of X are, and `predict`
    scales back; the losses are those of scaled values.

    Parameters
    ----------
    loss : {"mse", "mae", "huber"} or crnn.Huber, default="mse"
        The mean squared error; the mean absolute error or Huber's loss, if some y are outliers. The
        delta of `crnn.Huber` is in the units of the y that the network sees.
    hidden_size, num_layers, direction, steps, samples_per_step, activation, cell, leak, noise, \
equation, dropout, standardize, solver, learning_rate, learning_rate_init, momentum, \
weight_decay, clip_norm, batch_size, max_iter, tol, n_iter_no_change, early_stopping, \
validation_fraction, warm_start, random_state, n_jobs, dtype, verbose
        As for `RNNClassifier`. The score that early_stopping watches is R^2.

    Attributes
    ----------
    model_, samples_per_step_, n_features_in_, feature_names_in_, n_iter_, loss_, loss_curve_, \
best_loss_, validation_scores_, best_validation_score_
        As for `RNNClassifier`.
    n_outputs_ : int
        Values for each sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.sklearn import RNNRegressor
    >>> X = np.random.default_rng(0).standard_normal((300, 10, 2))     # n, T, n_x
    >>> y = X.sum(axis=1) / np.sqrt(10)                                # n_y = 2
    >>> rnn = RNNRegressor(16, learning_rate_init=0.01, early_stopping=True, random_state=0)
    >>> rnn.fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        loss: str | crnn.Huber = "mse",
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
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        dtype: Any = "float32",
        verbose: bool = False,
    ) -> None:
        self._store(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RNNRegressor:
        """Train on sequences and their values.

        Parameters
        ----------
        X : array (n, T, n_x) or (n, T), or list of n arrays (T_i, n_x) or (T_i,)
            As for `RNNClassifier.fit`.
        y : array (n,) or (n, n_y)
            Finite numbers.
        sample_weight : array (n,), optional
            At least 0. A weight of 0 has the same effect as leaving the example out.

        Returns
        -------
        RNNRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, crnn.DivergenceError
            As for `RNNClassifier.fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNRegressor
        >>> X = np.repeat([[0.0], [1.0]], 9, axis=1)
        >>> rnn = RNNRegressor(8, learning_rate_init=0.02, random_state=0).fit(X, [1.0, 2.0])
        >>> rnn.predict(X).round()
        array([1., 2.], dtype=float32)
        """
        fitted: RNNRegressor = self._fit(X, y, sample_weight)
        return fitted

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> RNNRegressor:
        """Train for one more epoch. The solver keeps its momentum or moments between calls.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        RNNRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError, crnn.DivergenceError
            As for `fit`, and with early_stopping. An estimator that diverged has the parameters of
            the last good step.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNRegressor
        >>> rnn = RNNRegressor(4, random_state=0)
        >>> for _ in range(3):
        ...     rnn = rnn.partial_fit(np.eye(5), np.ones((5, 2)))
        >>> rnn.n_iter_, rnn.n_outputs_
        (3, 2)
        """
        fitted: RNNRegressor = self._fit(X, y, sample_weight, incremental=True)
        return fitted

    def predict(self, X: Any) -> Array:
        """The values of each sequence.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        y : array (n,) or (n, n_y)
            In the shape of the y of `fit`.

        Raises
        ------
        ValueError, TypeError, sklearn.exceptions.NotFittedError
            As for `RNNClassifier.predict`.

        Examples
        --------
        >>> import numpy as np
        >>> from crnn.sklearn import RNNRegressor
        >>> rnn = RNNRegressor(4, learning_rate_init=0.1, random_state=0)
        >>> rnn.fit(np.eye(4), np.ones((4, 2))).predict(np.eye(4)).shape
        (4, 2)
        """
        y_hat: Array = self._answers(X)[1]
        if self._preparation.of_y is not None:
            y_hat = self._preparation.of_y.back(y_hat)
        return y_hat[:, 0] if self._one_value else y_hat

    def _checked_loss(self) -> Any:
        named = isinstance(self.loss, str) and self.loss in ("mse", "mae", "huber")
        if named or isinstance(self.loss, crnn.Huber):
            return self.loss
        raise ValueError(
            f"loss: expected 'mse', 'mae', 'huber' or crnn.Huber(delta), got {self.loss!r}: "
            "a model with other losses is a crnn.RNN"
        )

    def _check_targets(
        self, inputs: Inputs, y: Any, sample_weight: Any, classes: Any, cold: bool
    ) -> Targets:
        values = check_array(y, ensure_2d=False, dtype=self.dtype, estimator=self, input_name="y")
        check_consistent_length(values, inputs.lengths)
        one_value = values.ndim == 1
        values = values.reshape(inputs.n, -1)  # (n, n_y)
        if cold:
            self._one_value, self.n_outputs_ = one_value, values.shape[1]
        elif values.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y: expected {self.n_outputs_} values for each sequence, as before, got "
                f"{values.shape[1]}"
            )
        weights = None if sample_weight is None else check_weights(sample_weight, inputs.n)
        return Targets(values, weights, values.shape[1])

    def _held_out_score(self, model: crnn.RNN, held_out: Examples) -> float:
        y_hat = model.predict(held_out.x)
        if not np.isfinite(y_hat).all():
            return -np.inf  # worse than any other score
        return float(r2_score(held_out.y, y_hat, sample_weight=held_out.weights))
