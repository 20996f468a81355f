"""Errors, and the largest that rounding can cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from crnn.reference import Array

#: The factor by which a step of a drawn recurrence multiplies the length of an error, at most.
CONTRACTION = 0.8

#: The tolerance is this times eps times the root of the number of terms: see `tolerance`.
MARGIN = 3.0


def tolerance(dtype: Any, terms: int) -> float:
    """The largest error that rounding may cause in a sum of so many terms, relative to its size.

    The size of a sum is the root of the sum of its terms' squares, which is about the sum itself
    if the terms' signs are random. (The sum itself may cancel to almost nothing.) After k
    additions the partial sum is about ``sqrt(k)`` terms large, and the next rounding is off by at
    most eps/2 of that, with a root mean square of ``eps/sqrt(12)``. The roundings are independent,
    so n of them add up to ``eps n / sqrt(24)`` terms, or ``0.2 eps sqrt(n)`` of the sum's size.
    Kernels that add in several chains do better.

    The tolerance does not depend on T. The recurrence passes an error on, but `problem` draws
    weights that shrink it by CONTRACTION a step or more. If the errors of all earlier steps are
    independent, they add up to ``1 / sqrt(1 - 0.8^2) = 1.7`` times the error of one step, and the
    largest of a million entries is four to five times as large as a typical one: ``0.2 x 1.7 x 5 =
    1.7``. At a fixed point the errors are the same at every step and add up to ``1 / (1 - 0.8) =
    5`` times eps/2, which is 2.5. MARGIN is 3.

    Parameters
    ----------
    dtype : dtype
    terms : int

    Returns
    -------
    float

    Examples
    --------
    >>> from crnn.check import tolerance
    >>> round(tolerance("float32", 256) * 1e6, 2)                # 3 eps sqrt(256)
    5.72
    """
    return MARGIN * float(np.finfo(dtype).eps) * math.sqrt(terms)


#: Rows that a kernel may add up in one chain before their sum is added to the total.
CHAIN = 1 << 14


def sum_tolerance(dtype: Any, terms: int) -> float:
    """The largest relative error that rounding explains in a sum of terms of one sign.

    Here the partial sums grow in proportion to the number of terms, and with equal terms many
    roundings in a row go the same way. Each addition is off by at most eps/2 of the partial sum, so
    a chain of n additions is off by at most ``eps/2 n/2`` of the sum. Kernels add chains of CHAIN
    terms, and then the ``terms / CHAIN`` sums of those; the errors of both add up. For a million
    terms in float32 this is 0.0005; a single chain of equal terms has an error of 0.009.

    Parameters
    ----------
    dtype : dtype
    terms : int

    Returns
    -------
    float

    Examples
    --------
    >>> from crnn.check import sum_tolerance
    >>> round(sum_tolerance("float32", 1 << 20), 4)
    0.0005
    """
    chain = min(terms, CHAIN)
    return float(np.finfo(dtype).eps) / 4 * (chain + terms / chain)


class Error(NamedTuple):
    """A relative error, and the largest that rounding can cause."""

    error: float
    tolerance: float

    @property
    def share(self) -> float:
        """The error divided by its tolerance, a failure if above 1; NaN counts as infinity."""
        return math.inf if math.isnan(self.error) else self.error / self.tolerance


def relative_error(result: Array, truth: Array, size: Array | None = None) -> float:
    """The largest difference, divided by the largest entry of `size`, by default of the truth."""
    largest = np.max(np.abs(truth if size is None else size), initial=0)
    difference = np.max(np.abs(result - truth), initial=0)
    return float(difference / largest) if largest > 0 else float(difference)


def finite_difference(f: Callable[[], float], w: Array, h: float = 1e-3) -> Array:
    """df/dw by central differences of fourth order; w is changed in place and restored.

    ``(-f(w+2h) + 8 f(w+h) - 8 f(w-h) + f(w-2h)) / 12h``, wrong by ``h^4 f'''''/30`` and rounding,
    ``eps f/h``.
    """
    df = np.empty_like(w)
    for k in np.ndindex(w.shape):
        was = w[k]
        values = []
        for step in (-2, -1, 1, 2):
            w[k] = was + step * h
            values.append(f())
        w[k] = was
        df[k] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return df


#: Of a fourth-order difference with h = 1e-3 in float64: h^4 = 1e-12 of truncation and
#: eps / h = 2e-13 of rounding, each times derivatives and sums of some hundreds.
FINITE_DIFFERENCE_TOLERANCE = 1e-8
