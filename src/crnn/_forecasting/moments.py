"""Means and standard deviations of numbers of any size, up to the largest doubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crnn.reference import Array


def mean_and_std(rows: Array, largest: Array, average: Callable[[Array], Array]) -> tuple[Any, Any]:
    """The mean and the standard deviation (n,) of rows (N, n), as `average` weighs the rows.

    They are computed in units of a power of two near the largest size (n,) of the numbers in each
    column, so that no square of a number overflows or vanishes. The bits are the same as without.
    """
    exponents = np.frexp(largest)[1]  # (n,)
    rows = np.ldexp(rows, -exponents)
    mean = average(rows)
    std = np.sqrt(average(np.square(rows - mean)))
    return np.ldexp(mean, exponents), np.ldexp(std, exponents)


def standardized(x: Array, mean: Any, std: Any) -> Array:
    """``(x - mean) / std`` in float64; with halves of large numbers, whose difference is finite."""
    half = np.where(np.greater(std, 1), 0.5, 1.0)
    scaled: Array = (x * half - mean * half) / (std * half)
    return scaled


def restored(z: Array, mean: Any, std: Any) -> Array:
    """``z std + mean``, the opposite of `standardized`."""
    half = np.where(np.greater(std, 1), 0.5, 1.0)
    found: Array = (z * (std * half) + mean * half) / half
    return found
