"""Conversion of labels to class numbers, and the weights of classes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from crnn.sklearn._base import BaseRNN
from crnn.sklearn._data import Array


class Labelling(BaseRNN):
    """The base class of the estimators whose targets are labels."""

    class_weight: Any

    def _fit_first_or_further(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> Any:
        """`partial_fit`: the first call must name the classes."""
        first = not hasattr(self, "model_")
        if classes is None and first:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            classes = np.unique(classes)
            if not first and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes: expected those of the first call, {self.classes_}, got {classes}"
                )
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not supported by partial_fit, which does "
                "not see all labels: compute the weights and pass them as a dict"
            )
        return self._fit(X, y, sample_weight, classes, incremental=True)

    def _class_numbers(self, labels: Array, classes: Array | None, cold: bool) -> Array:
        """The index of each label in classes_, which a cold start takes from the labels."""
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise ValueError("y: expected labels, got NaN or infinity")
        check_classification_targets(labels)
        if cold:
            known = np.unique(labels) if classes is None else classes
            if len(known) < 2:
                raise ValueError(
                    f"y: expected labels of at least 2 classes, got {len(known)} class(es): {known}"
                )
            self.classes_ = known
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(f"y: expected the labels {self.classes_}, got {unknown} too")
        return np.searchsorted(self.classes_, labels)

    def _with_class_weight(self, numbers: Array, w: Array | None) -> Array | None:
        """Multiply weights (n,) or None by the weight of each example's class."""
        if self.class_weight is None:
            return w
        if isinstance(self.class_weight, Mapping):
            classes = self.classes_
            for label, weight in self.class_weight.items():
                check_scalar(weight, f"class_weight[{label!r}]", Real, min_val=0)
            of_class = compute_class_weight(dict(self.class_weight), classes=classes, y=classes)
        elif isinstance(self.class_weight, str) and self.class_weight == "balanced":
            # Over the classes with a total weight above 0: a weight of 0 leaves an example out.
            totals = np.bincount(numbers, w, len(self.classes_))
            present = totals > 0
            mean = totals.sum() / max(present.sum(), 1)
            of_class = np.where(present, mean / np.where(present, totals, 1), 0)
        else:
            raise ValueError(
                f"class_weight: expected 'balanced', a dict or None, got {self.class_weight!r}"
            )
        weights: Array = of_class[numbers] if w is None else of_class[numbers] * w
        if not 0 < weights.sum() < np.inf:
            raise ValueError(
                "class_weight: expected weights whose sum over the labels of y, times any "
                f"sample_weight, is finite and above zero, got {weights.sum():g}"
            )
        return weights
