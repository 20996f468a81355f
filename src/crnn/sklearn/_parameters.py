"""The parameters that the three estimators share, and their checks."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

import crnn
from crnn._training.rule import Rule
from crnn.model import Config
from crnn.schedules import Cosine, Schedule
from crnn.sklearn._preparing import Preparation, checked_samples


class Parameters(BaseEstimator):  # type: ignore[misc]
    """Stored parameters of an estimator over one `crnn.RNN`."""

    # Parameters of every estimator.
    hidden_size: int
    num_layers: int
    direction: str
    activation: str
    cell: str
    leak: Any
    noise: float
    equation: str
    dropout: float
    standardize: bool
    solver: str
    learning_rate: str
    learning_rate_init: float | Schedule
    momentum: float
    weight_decay: float
    clip_norm: float | None
    batch_size: int
    max_iter: int | str
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    validation_fraction: float
    warm_start: bool
    random_state: Any
    n_jobs: int | None
    dtype: Any
    verbose: bool

    # Those of the estimators with one answer for each sequence.
    steps: str = "all"
    samples_per_step: int | str = 1

    _preparation: Preparation

    def _store(self, parameters: dict[str, Any]) -> None:
        """Store a constructor's local names, its parameters, as they are: scikit-learn's rule."""
        for name in parameters.keys() - {"self"}:
            setattr(self, name, parameters[name])

    def _checked_optimizer(self, incremental: bool) -> Rule:
        """Check the parameters that have another name in crnn, which checks all others."""
        check_scalar(self.hidden_size, "hidden_size", Integral, min_val=1)
        if not isinstance(self.max_iter, str):
            check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        elif self.max_iter != "auto":
            raise ValueError(f"max_iter: expected 'auto' or a number, got {self.max_iter!r}")
        if not isinstance(self.standardize, (bool, np.bool_)):
            raise TypeError(f"standardize: expected True or False, got {self.standardize!r}")
        if self.learning_rate not in ("constant", "cosine"):
            raise ValueError(
                f"learning_rate: expected 'constant' or 'cosine', got {self.learning_rate!r}"
            )
        if self.steps == "all" and "steps" in self.get_params(deep=False):
            raise ValueError(
                "steps: expected 'last', 'mean', 'max' or 'pooled', got 'all': RNNSequenceTagger "
                "has an answer for each step"
            )
        check_scalar(self.batch_size, "batch_size", Integral, min_val=1)
        check_scalar(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
        check_scalar(self.tol, "tol", Real, min_val=0)
        check_scalar(self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1,
                     include_boundaries="neither")  # fmt: skip
        if not isinstance(self.learning_rate_init, Schedule):
            check_scalar(self.learning_rate_init, "learning_rate_init", Real, min_val=0,
                         include_boundaries="neither")  # fmt: skip
        check_scalar(self.momentum, "momentum", Real, min_val=0, max_val=1,
                     include_boundaries="left")  # fmt: skip
        check_scalar(self.weight_decay, "weight_decay", Real, min_val=0)
        lr, decay = self.learning_rate_init, self.weight_decay
        if self._planned() and not (incremental or isinstance(lr, Schedule)):
            lr = Cosine(lr)
        if self.solver == "adam":
            return crnn.AdamW(lr, weight_decay=decay) if decay else crnn.Adam(lr)
        if self.solver == "rmsprop":
            return crnn.RMSprop(lr, weight_decay=decay)
        if self.solver == "sgd":
            return crnn.SGD(lr, self.momentum, decay)
        raise ValueError(
            "solver: expected 'adam', which with weight_decay is AdamW, 'rmsprop' or 'sgd', got "
            f"{self.solver!r}"
        )

    def _planned(self) -> bool:
        """Whether `fit` goes to max_iter, where the learning rate of its own schedule is 0."""
        return self.learning_rate == "cosine" and not isinstance(self.learning_rate_init, Schedule)

    def _checked_loss(self) -> Any:
        """The loss of the network."""
        return "cross_entropy"

    def _structure(self) -> dict[str, Any]:
        """The arguments of `crnn.RNN` that a model keeps for life, besides its sizes."""
        return {
            "num_layers": self.num_layers, "direction": self.direction,
            "activation": self.activation, "steps": self.steps, "loss": self._checked_loss(),
            "dtype": self.dtype, "cell": self.cell, "leak": self.leak, "noise": self.noise,
            "equation": self.equation, "dropout": self.dropout,
        }  # fmt: skip

    def _check_preparation(self) -> None:
        """Refuse to change what the network reads while its training goes on."""
        fitted, samples = self._preparation, checked_samples(self.samples_per_step)
        for name, asked, built in (
            ("samples_per_step", samples, fitted.samples_per_step),
            ("standardize", bool(self.standardize), fitted.of_x is not None),
        ):
            if asked not in ("auto", built):
                raise ValueError(_changed(name, built, asked))

    def _check_structure(self, fitted: Config) -> None:
        """Refuse parameters with which the fitted model, whose training goes on, was not built."""
        asked = Config(fitted.n_x, self.hidden_size, fitted.n_y, **self._structure())
        for name, value in asked.arguments().items():
            built = getattr(fitted, name)
            if value != built:
                name = "hidden_size" if name == "n_a" else name
                raise ValueError(_changed(name, built, value))


def _changed(name: str, built: Any, asked: Any) -> str:
    """The error of a parameter that differs from that of the model whose training goes on."""
    return (
        f"{name}: expected {built!r} as in the model whose training warm_start or partial_fit "
        f"continues, got {asked!r}"
    )
