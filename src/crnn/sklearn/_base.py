"""The base class of the three estimators: how they are fitted."""

from __future__ import annotations

import warnings
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

import crnn
from crnn._training.rule import Rule
from crnn.sklearn._data import Array, Examples, Inputs, check_X
from crnn.sklearn._parameters import Parameters
from crnn.sklearn._preparing import Preparation, checked_samples, prepare
from crnn.sklearn._training import FEWEST_EPOCHS, UPDATES, Watch, threads


class Targets(NamedTuple):
    """Checked targets and weights, in the form that `crnn.RNN` takes."""

    y: Any  # integers (n,) or (T, n) or a list of (T_i,), or values (n, n_y)
    weights: Any  # (n,) or (T, n) or a list of (T_i,), or None
    n_y: int
    strata: Array | None = None  # (n,): classes to hold out in proportion


class BaseRNN(Parameters):
    """An estimator over one `crnn.RNN`."""

    model_: crnn.RNN
    loss_curve_: list[float]
    samples_per_step_: int
    _optimizer: Rule

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
        optimizer = self._checked_optimizer(incremental)
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
            self._check_preparation()
        inputs = check_X(self, X, reset=cold)
        targets = self._check_targets(inputs, y, sample_weight, classes, cold)
        random = check_random_state(self.random_state)
        seed = random.randint(np.iinfo(np.int32).max)
        preparation = self._preparation if not cold else self._prepare(inputs, targets)
        inputs = preparation(inputs)
        model = self._new_model(inputs.n_x, targets.n_y, seed) if cold else self.model_
        if incremental and not cold and optimizer == self._optimizer:
            optimizer = self._optimizer  # the same object, which keeps its moments
        y = targets.y if preparation.of_y is None else preparation.of_y(targets.y)
        examples = Examples(inputs.x, y, targets.weights, self.steps == "all")
        held_out = None
        if self.early_stopping:
            examples, held_out = self._split(examples, targets.strata, random)
        if cold:
            self.__dict__.pop("model_", None)  # if training fails, the estimator is not fitted
            self.loss_curve_ = []
            self._preparation, self.samples_per_step_ = preparation, preparation.samples_per_step
            model.metadata.update(preparation.metadata())
        self._optimizer = optimizer
        self._train(model, examples, held_out, incremental)
        self.model_ = model
        return self

    def _new_model(self, n_x: int, n_y: int, seed: int) -> crnn.RNN:
        # It draws the initial parameters and each epoch's order.
        self._rng = np.random.default_rng(seed)
        return crnn.RNN(n_x, self.hidden_size, n_y, **self._structure(), rng=self._rng)

    def _prepare(self, inputs: Inputs, targets: Targets) -> Preparation:
        samples = checked_samples(self.samples_per_step)
        values = None if self._checked_loss() == "cross_entropy" else targets.y
        return prepare(inputs, targets.weights, values, samples, bool(self.standardize))

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
        batches = max(1, ceil(len(examples.with_weight()) / self.batch_size))
        epochs = 1 if incremental else self._epochs(batches)
        planned = self._planned() and not incremental
        with threads.limited(self.n_jobs):
            history = model.fit(
                examples.x,
                examples.y,
                sample_weight=examples.weights,
                epochs=epochs,
                batch_size=self.batch_size,
                optimizer=self._optimizer,
                clip_norm=self.clip_norm,
                progress=bool(self.verbose),
                rng=self._rng,
                callback=None if incremental or (planned and score is None) else watch,
            )
        if held_out is not None:
            watch.restore_best()
        self._set_attributes(history, watch, held_out is not None)
        if history.interrupted:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif not (incremental or planned or history.stopped_early):
            warnings.warn(
                f"Maximum iterations ({epochs}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _epochs(self, batches: int) -> int:
        """max_iter, or with "auto" so many epochs that they have about UPDATES batches."""
        if isinstance(self.max_iter, str):
            return max(round(UPDATES / batches), FEWEST_EPOCHS)
        return self.max_iter

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
        inputs = self._preparation(inputs)
        with threads.limited(self.n_jobs):
            predict = self.model_.predict if decide else self.model_.predict_proba
            return inputs, predict(inputs.x)
