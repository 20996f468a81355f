"""What the estimators do to sequences before the network reads them: scaling, and frames."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from crnn._forecasting.moments import mean_and_std, restored, standardized
from crnn.data import frames
from crnn.sklearn._data import Array, Inputs

#: The default number of samples in a step brings the median sequence to about so many steps.
#: Found on the sets named in docs/sklearn.md: 25 reached 0.784 on average, 40 0.801, 60 0.801.
STEPS = 40


class Scaling(NamedTuple):
    """Subtracts a mean and divides by a scale."""

    mean: Array  # (n,) of float64
    scale: Array  # (n,)

    def __call__(self, x: Array) -> Array:
        """The numbers (..., n), scaled."""
        return standardized(x, self.mean, self.scale).astype(x.dtype)

    def back(self, x: Array) -> Array:
        """The inverse."""
        return restored(x, self.mean, self.scale).astype(x.dtype)


def scaling_of(rows: Array, w: Array | None) -> Scaling:
    """To a mean of 0 and a standard deviation of 1, of rows (rows, n) with weights (rows,)."""
    rows = rows.astype(np.float64)
    largest = np.abs(rows).max(axis=0)
    mean, scale = mean_and_std(rows, largest, lambda a: np.average(a, axis=0, weights=w))
    scale[(scale == 0) | (scale <= 1e-7 * np.abs(mean))] = 1  # a constant, but for rounding
    return Scaling(mean, scale)


class Preparation(NamedTuple):
    """How X becomes what the network reads, and its answers what the estimator predicts."""

    n_x: int  # of X
    samples_per_step: int
    of_x: Scaling | None
    of_y: Scaling | None  # of values

    def __call__(self, inputs: Inputs) -> Inputs:
        """The sequences, scaled and in frames."""
        x, lengths, k = inputs.x, inputs.lengths, self.samples_per_step
        if self.of_x is not None:
            x = [self.of_x(item) for item in x] if isinstance(x, list) else self.of_x(x)
        if k > 1:
            x, lengths = frames(x, k), -(-lengths // k)
        return Inputs(x, lengths)

    def metadata(self) -> dict[str, str]:
        """For the metadata of the network, which does not do this itself."""
        found = {"samples_per_step": str(self.samples_per_step)}
        for scaling, prefix in ((self.of_x, ""), (self.of_y, "y_")):
            if scaling is not None:
                found[f"{prefix}mean"] = json.dumps(scaling.mean.tolist())
                found[f"{prefix}scale"] = json.dumps(scaling.scale.tolist())
        return found


def prepare(
    inputs: Inputs,
    weights: Any,
    values: Array | None,
    samples_per_step: int | str,
    standardize: bool,
) -> Preparation:
    """The preparation for training data: means and scales over its steps, as their weights count.

    `weights` are (n,), (T, n), a list of (T_i,) or None; examples of weight 0 are not seen.
    `values` are (n, n_y), or None for labels.
    """
    of_x = of_y = None
    if standardize:
        of_x = scaling_of(*_rows(inputs, weights))
        if values is not None:
            seen = _seen(inputs, weights)
            counts = weights is not None and weights.any()
            of_y = scaling_of(values[seen], weights[seen] if counts else None)
    k = samples_per_step
    if isinstance(k, str):
        k = max(1, round(float(np.median(inputs.lengths[_seen(inputs, weights)])) / STEPS))
    return Preparation(inputs.n_x, k, of_x, of_y)


def checked_samples(samples_per_step: Any) -> int | str:
    """The parameter `samples_per_step`."""
    k = samples_per_step
    if isinstance(k, str) and k == "auto":
        return k
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(
            f"samples_per_step: expected 'auto' or a whole number of at least 1, got {k!r}"
        )
    return int(k)


def _seen(inputs: Inputs, weights: Any) -> Array:
    """Which examples have a weight above 0, (n,); all of them if none has."""
    every = np.ones(inputs.n, bool)
    if weights is None:
        return every
    if isinstance(weights, list):
        seen: Array = np.array([w.any() for w in weights])
    else:
        seen = weights.any(axis=0) if weights.ndim == 2 else weights > 0
    return seen if seen.any() else every  # crnn refuses weights that are all 0, by name


def _rows(inputs: Inputs, weights: Any) -> tuple[Array, Array | None]:
    """The steps of all examples in their order, (rows, n_x), and their weights above 0."""
    x = inputs.x if isinstance(inputs.x, list) else list(inputs.x.swapaxes(0, 1))
    if weights is None:
        return np.concatenate(x), None
    if not isinstance(weights, list) and weights.ndim == 2:
        weights = list(weights.T)
    w = np.concatenate(
        [np.broadcast_to(w_i, len(x_i)) for w_i, x_i in zip(weights, x, strict=True)]
    )
    kept = w > 0
    if not kept.any():  # as in _seen
        kept[:] = True
        w = np.ones(len(w))
    return np.concatenate(x)[kept], w[kept]
