"""Weights of classes, by which the weights of examples and steps are multiplied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn.reference import Array

ClassWeight = str | Mapping[int, float] | None


def checked(class_weight: Any, config: Config, totals_known: bool = True) -> ClassWeight:
    """The `class_weight` of `crnn.RNN.fit`; "balanced" only where all classes can be counted."""
    if class_weight is None:
        return None
    classes = config.objective.classes(config.n_y)
    if not classes:
        raise ValueError(
            f"class_weight: expected None with loss={config.loss!r}, whose targets are no classes"
        )
    if isinstance(class_weight, str) and class_weight == "balanced":
        if not totals_known:
            raise ValueError(
                "class_weight: expected a dict, because not all classes are known before, "
                "got 'balanced'"
            )
        return class_weight
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "class_weight: expected 'balanced', a dict from class numbers to weights, or None, "
            f"got {validate.shown(class_weight)}"
        )
    return {
        _class_number(k, classes): validate.number(f"class_weight[{k}]", w)
        for k, w in class_weight.items()
    }


def _class_number(key: Any, classes: int) -> int:
    try:
        return validate.count("class_weight", key, least=0, most=classes - 1)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"class_weight: expected class numbers in 0..{classes - 1} as keys, got "
            f"{validate.shown(key)}"
        ) from None


def weighted(
    class_weight: ClassWeight, config: Config, y: Any, w: Any, lengths: Array | None
) -> Array | list[Array]:
    """The weights w times those of the classes of y; both are arrays, or lists of arrays.

    Steps past the lengths of arrays (T, m) have no class.
    """
    if class_weight is None:
        return w  # type: ignore[no-any-return]
    classes, numbers = config.objective.classes(config.n_y), config.objective.class_numbers
    if isinstance(w, list):
        flat = _of_each(class_weight, classes, numbers(np.concatenate(y)), np.concatenate(w))
        return np.split(flat, np.cumsum([len(item) for item in w])[:-1])
    y = numbers(y)
    if lengths is None or w.ndim == 1:
        return _of_each(class_weight, classes, y.ravel(), w.ravel()).reshape(w.shape)
    counted, product = validate.steps_counted(len(w), lengths), np.zeros(w.shape)
    product[counted] = _of_each(class_weight, classes, y[counted], w[counted])
    return product


def _of_each(class_weight: ClassWeight, classes: int, y: Array, w: Array) -> Array:
    """The weights w (rows,) times those of the classes y (rows,); what weighs nothing has none.

    "balanced" gives every class whose total is above 0 the same total, and keeps the sum.
    """
    if ((y < 0) & (w > 0)).any():
        raise ValueError("class_weight: expected None, because some labels of y are not 0 or 1")
    y = np.maximum(y, 0)
    of_class = np.ones(classes)  # (classes,)
    if isinstance(class_weight, Mapping):
        for k, value in class_weight.items():
            of_class[k] = value
    else:
        totals = np.bincount(y, w, classes)
        present = totals > 0
        of_class[present] = totals.sum() / (max(present.sum(), 1) * totals[present])
    product: Array = w * of_class[y]
    return product
