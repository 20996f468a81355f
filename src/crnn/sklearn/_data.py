"""Converts scikit-learn's X, y and weights to the arguments of `crnn.RNN`: time first, or lists."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

Array = np.ndarray[Any, Any]


class Inputs(NamedTuple):
    """X, checked, in the form that `crnn.RNN` takes."""

    x: Array | list[Array]  # (T, n, n_x), or n arrays (T_i, n_x)
    lengths: Array  # (n,)

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.lengths)

    @property
    def n_x(self) -> int:
        """Features of a step."""
        return int(self.x[0].shape[-1])

    def flat(self, name: str, value: Any, dtype: Any = None) -> Array:
        """Values of which each step of X has one, concatenated over examples: (sum of T_i,)."""
        if isinstance(self.x, list):
            given = list(value) if isinstance(value, np.ndarray) else items_of(value)
            if given is None or len(given) != self.n:
                raise ValueError(
                    f"{name}: expected a list of {self.n} arrays, as X is, got {_described(value)}"
                )
            items = [np.asarray(item, dtype) for item in given]
            for i, (item, T) in enumerate(zip(items, self.lengths, strict=True)):
                if item.shape != (T,):
                    raise ValueError(
                        f"{name}[{i}]: expected shape ({T},), a number or label for each step of "
                        f"X[{i}], got {_described(item)}"
                    )
            return np.concatenate(items)
        a, shape = np.asarray(value, dtype), (self.n, len(self.x))
        if a.shape != shape:
            raise ValueError(f"{name}: expected shape (n, T) = {shape}, got {_described(a)}")
        return a.reshape(-1)

    def steps(self, flat: Array) -> Array | list[Array]:
        """The inverse of `flat`: (T, n, ...), or n arrays (T_i, ...)."""
        if isinstance(self.x, list):
            return np.split(flat, np.cumsum(self.lengths)[:-1])
        return flat.reshape(self.n, -1, *flat.shape[1:]).swapaxes(0, 1)


class Examples(NamedTuple):
    """The arguments of `crnn.RNN.fit`."""

    x: Array | list[Array]
    y: Array | list[Array]
    weights: Array | list[Array] | None  # shaped as y is, without its last axis for values
    every_step: bool  # whether y is (T, n) rather than (n, ...)

    def take(self, chosen: Array) -> Examples:
        """A selection of the examples."""
        axis = 1 if self.every_step else 0
        weights = None if self.weights is None else _take(self.weights, chosen, axis)
        return Examples(
            _take(self.x, chosen, 1), _take(self.y, chosen, axis), weights, self.every_step
        )

    def with_weight(self) -> Array:
        """Indices of the examples whose weight is not 0."""
        if isinstance(self.weights, list):
            return np.flatnonzero([w.any() for w in self.weights])
        if self.weights is None:
            return np.arange(len(self.x) if isinstance(self.x, list) else self.x.shape[1])
        return np.flatnonzero(self.weights.any(axis=0) if self.every_step else self.weights)


def check_X(estimator: Any, X: Any, *, reset: bool) -> Inputs:
    """X, checked. With `reset` it sets the estimator's number and names of features.

    A 2-D array has columns in scikit-learn's sense: their number and their names must be those of
    `fit`. A 3-D array and a list have n_x features and any number of steps.
    """
    sequences = _sequences(X)
    if sequences is not None:
        inputs, columns = _check_list(estimator, sequences), False
    else:
        a = check_array(
            X, allow_nd=True, dtype=estimator.dtype, estimator=estimator, input_name="X"
        )
        if a.ndim > 3 or 0 in a.shape:
            raise ValueError(
                "X: expected an array (n, T, n_x) or (n, T) with no empty axis, or a list of "
                f"arrays (T_i, n_x) or (T_i,), got {_described(a)}"
            )
        inputs, columns = _time_first(a), a.ndim == 2
    if columns and (reset or estimator._by_columns):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    if reset:
        estimator._by_columns = columns
        if not columns:
            estimator.n_features_in_ = inputs.n_x
            estimator.__dict__.pop("feature_names_in_", None)
    elif inputs.n_x != estimator._preparation.n_x:
        raise ValueError(
            f"X has {inputs.n_x} features, but {type(estimator).__name__} is expecting "
            f"{estimator._preparation.n_x} features as input, at each step"
            + _how_to_fit(X, inputs, estimator._preparation.n_x)
        )
    return inputs


def items_of(value: Any) -> list[Any] | None:
    """The items of a list, a tuple, or a 1-D array or Series of objects; None for other values."""
    if getattr(value, "ndim", None) == 1 and getattr(value, "dtype", None) == np.dtype(object):
        return list(value)
    return list(value) if isinstance(value, (list, tuple)) else None


def check_weights(sample_weight: Any, n: int) -> Array:
    """One weight per example, at least 0: (n,)."""
    return checked(np.asarray(sample_weight, np.float64), (n,))


def checked(w: Array, shape: tuple[int, ...]) -> Array:
    """The weights, after a check that they are finite, at least 0 and of the given shape."""
    if w.shape != shape:
        raise ValueError(f"sample_weight: expected shape {shape}, got {_described(w)}")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("sample_weight: expected finite numbers of at least 0")
    return w


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__ + (f" of {len(value)}" if hasattr(value, "__len__") else "")


def _sequences(X: Any) -> list[Any] | None:
    """The sequences of X if it is a list of sequences, or None if it is one array.

    A list of lists of equal length is an array, as elsewhere in scikit-learn. It is a list of
    sequences if an item is an array, or if the lengths differ.
    """
    items = items_of(X)
    if not items:
        return None
    if any(len(getattr(item, "shape", ())) > 0 for item in items):
        return items
    if not all(isinstance(item, (list, tuple)) for item in items):
        return None
    nested = isinstance(X, (list, tuple)) and len({len(item) for item in items}) == 1
    return None if nested else items


def _check_list(estimator: Any, X: list[Any]) -> Inputs:
    items = [_item(i, item) for i, item in enumerate(X)]
    n_x = items[0].shape[1] if items[0].ndim == 2 else 1
    for i, a in enumerate(items):
        if a.ndim != items[0].ndim or a.ndim not in (1, 2) or a.size == 0:
            raise ValueError(
                f"X[{i}]: expected an array (T_i, n_x) or (T_i,) of at least one step, of as many "
                f"dimensions as X[0], got {_described(a)}"
            )
        if a.ndim == 2 and a.shape[1] != n_x:
            raise ValueError(f"X[{i}]: expected n_x = {n_x} as in X[0], got {_described(a)}")
    lengths = np.array([len(a) for a in items])
    rows = np.concatenate([a.reshape(-1, n_x) for a in items])  # (sum of T_i, n_x)
    rows = check_array(rows, dtype=estimator.dtype, estimator=estimator, input_name="X", order="C")
    return Inputs(np.split(rows, np.cumsum(lengths)[:-1]), lengths)


def _item(i: int, item: Any) -> Array:
    try:
        return np.asarray(item)
    except ValueError:  # a nested list whose rows differ in length
        raise ValueError(
            f"X[{i}]: expected an array (T_i, n_x) or (T_i,), got a list whose items have "
            "different lengths"
        ) from None


def _how_to_fit(X: Any, inputs: Inputs, n_x: int) -> str:
    """The end of an error message about n_x: what would make the sequences fit, or nothing."""
    shape: tuple[int, ...] = getattr(X, "shape", ())
    if len(shape) == 2 and shape[1] == n_x:
        return f". If X is one sequence with {n_x} features, pass the list [X]"
    steps = set(inputs.lengths.tolist())
    if inputs.n_x == 1 or steps != {n_x}:
        return ""
    return (
        f". Each sequence has {n_x} steps: if those are its features, swap the axes. X is "
        "(n, T, n_x), and libraries whose X is (n, n_x, T) need X.swapaxes(1, 2)"
    )


def _time_first(a: Array) -> Inputs:
    """(n, T, n_x) or (n, T) as (T, n, n_x)."""
    n, T = a.shape[:2]
    x = np.ascontiguousarray(a.reshape(n, T, -1).transpose(1, 0, 2))
    return Inputs(x, np.full(n, T))


def _take(values: Any, chosen: Array, axis: int) -> Any:
    if isinstance(values, list):
        return [values[i] for i in chosen]
    return values.take(chosen, axis)
