"""The base class of the three estimators: their parameters, and how they are fitted."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

import crnn
from crnn.model import Config
from crnn.schedules import Schedule
from crnn.sklearn._data import Array, Examples, Inputs, check_X
from crnn.sklearn._training import Watch, threads


class Targets(NamedTuple):
    """Checked targets and weights, in the form that `crnn.RNN` takes."""

    y: Any  # integers (n,) or (T, n) or a list of (T_i,), or values (n, n_y)
    weights: Any  # (n,) or (T, n) or a list of (T_i,), or None
    n_y: int
    strata: Array | None = None  # (n,): classes to hold out in proportion


class BaseRNN(BaseEstimator):  # type: ignore[misc]
    """An estimator over one `crnn.RNN`."""

    _loss = "cross_entropy"
    _steps = "last"

    model_: crnn.RNN
    loss_curve_: list[float]
    _optimizer: crnn.Adam | crnn.SGD

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
        solver: str = "adam",
        learning_rate_init: float | Schedule = 0.001,
        momentum: float = 0.9,
        clip_norm: float | None = 1.0,
        batch_size: int = 32,
        max_iter: int = 200,
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
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.direction = direction
        self.activation = activation
        self.cell = cell
        self.leak = leak
        self.noise = noise
        self.equation = equation
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.clip_norm = clip_norm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _check_targets(
        self, inputs: Inputs, y: Any, sample_weight: Any, classes: Any, cold: bool
    ) -> Targets:
        """Check y and the weights. With `cold`, remember the classes or the shape of y."""
        raise NotImplementedError

    def _held_out_score(self, model: crnn.RNN, held_out: Examples) -> float:
        """The score that `early_stopping` watches."""
        return model.evaluate(held_out.x, held_out.y, sample_weight=held_out.weights)[1]

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any = None,
        incremental: bool = False,
    ) -> Any:
        """Train for up to max_iter epochs or, if incremental, for one more epoch."""
        optimizer = self._checked_optimizer()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        cold = not hasattr(self, "model_") or not (incremental or self.warm_start)
        if not cold:
            self._check_structure(self.model_.config)
        inputs = check_X(self, X, reset=cold)
        targets = self._check_targets(inputs, y, sample_weight, classes, cold)
        random = check_random_state(self.random_state)
        seed = random.randint(np.iinfo(np.int32).max)
        model = self._new_model(inputs.n_x, targets.n_y, seed) if cold else self.model_
        if incremental and not cold and optimizer == self._optimizer:
            optimizer = self._optimizer  # the same object, which keeps its moments
        examples = Examples(inputs.x, targets.y, targets.weights, self._steps == "all")
        held_out = None
        if self.early_stopping:
            examples, held_out = self._split(examples, targets.strata, random)
        if cold:
            self.__dict__.pop("model_", None)  # if training fails, the estimator is not fitted
            self.loss_curve_ = []
        self._optimizer = optimizer
        self._train(model, examples, held_out, incremental)
        self.model_ = model
        return self

    def _checked_optimizer(self) -> crnn.Adam | crnn.SGD:
        """Check the parameters that have another name in crnn, which checks all others."""
        check_scalar(self.hidden_size, "hidden_size", Integral, min_val=1)
        check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        check_scalar(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        check_scalar(self.tol, "tol", Real, min_val=0)
        check_scalar(self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1,
                     include_boundaries="neither")  # fmt: skip
        if not isinstance(self.learning_rate_init, Schedule):
            check_scalar(self.learning_rate_init, "learning_rate_init", Real, min_val=0,
                         include_boundaries="neither")  # fmt: skip
        check_scalar(self.momentum, "momentum", Real, min_val=0, max_val=1,
                     include_boundaries="left")  # fmt: skip
        if self.solver not in ("adam", "sgd"):
            raise ValueError(f"solver: expected 'adam' or 'sgd', got {self.solver!r}")
        if self.solver == "adam":
            return crnn.Adam(self.learning_rate_init)
        return crnn.SGD(self.learning_rate_init, self.momentum)

    def _new_model(self, n_x: int, n_y: int, seed: int) -> crnn.RNN:
        # It draws the initial parameters and each epoch's order.
        self._rng = np.random.default_rng(seed)
        return crnn.RNN(n_x, self.hidden_size, n_y, **self._structure(), rng=self._rng)

    def _structure(self) -> dict[str, Any]:
        """The arguments of `crnn.RNN` that a model keeps for life, besides its sizes."""
        return {
            "num_layers": self.num_layers, "direction": self.direction,
            "activation": self.activation, "steps": self._steps, "loss": self._loss,
            "dtype": self.dtype, "cell": self.cell, "leak": self.leak, "noise": self.noise,
            "equation": self.equation,
        }  # fmt: skip

    def _check_structure(self, fitted: Config) -> None:
        """Refuse parameters with which the fitted model, whose training goes on, was not built."""
        asked = Config(fitted.n_x, self.hidden_size, fitted.n_y, **self._structure())
        for name, value in asdict(asked).items():
            built = getattr(fitted, name)
            if value != built:
                name = "hidden_size" if name == "n_a" else name
                raise ValueError(
                    f"{name}: expected {built!r} as in the model whose training warm_start or "
                    f"partial_fit continues, got {value!r}"
                )

    def _split(
        self, examples: Examples, strata: Array | None, random: Any
    ) -> tuple[Examples, Examples]:
        """Hold out a fraction of the examples whose weight is not 0."""
        kept = examples.with_weight()
        learned, held_out = train_test_split(
            kept,
            test_size=self.validation_fraction,
            random_state=random,
            stratify=None if strata is None else strata[kept],
        )
        if len(held_out) < 2:
            raise ValueError(
                "validation_fraction: expected a fraction that holds out at least 2 examples, got "
                f"{self.validation_fraction} of {len(kept)}"
            )
        return examples.take(learned), examples.take(held_out)

    def _train(
        self, model: crnn.RNN, examples: Examples, held_out: Examples | None, incremental: bool
    ) -> None:
        score = None if held_out is None else partial(self._held_out_score, model, held_out)
        watch = Watch(model, self.tol, self.n_iter_no_change, score)
        with threads.limited(self.n_jobs):
            history = model.fit(
                examples.x,
                examples.y,
                sample_weight=examples.weights,
                epochs=1 if incremental else self.max_iter,
                batch_size=self.batch_size,
                optimizer=self._optimizer,
                clip_norm=self.clip_norm,
                progress=bool(self.verbose),
                rng=self._rng,
                callback=None if incremental else watch,
            )
        if held_out is not None:
            watch.restore_best()
        self._set_attributes(history, watch, held_out is not None)
        if history.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif not (incremental or history.stopped_early):
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _set_attributes(self, history: crnn.History, watch: Watch, scored: bool) -> None:
        """Set the fitted attributes that describe the training."""
        self.loss_curve_ += history.loss
        self.loss_ = self.loss_curve_[-1]
        self.n_iter_ = len(self.loss_curve_)
        self.best_loss_ = None if scored else min(self.loss_curve_)
        self.validation_scores_ = watch.scores if scored else None
        self.best_validation_score_ = max(watch.scores) if scored else None

    def _answers(self, X: Any, *, decide: bool = False) -> tuple[Inputs, Any]:
        """Checked X, and y_hat in crnn's order: (n, n_y), (T, n, n_y) or n arrays (T_i, n_y).

        With `decide` it has class numbers instead of probabilities, without the last axis.
        """
        check_is_fitted(self)
        inputs = check_X(self, X, reset=False)
        with threads.limited(self.n_jobs):
            predict = self.model_.predict if decide else self.model_.predict_proba
            return inputs, predict(inputs.x)
