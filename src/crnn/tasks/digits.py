"""Handwritten digits, read one pixel at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from crnn._engine import validate
from crnn._extras import extra
from crnn.reference import Array
from crnn.tasks.task import BAI, Examples, Published, Task

MNIST = " (MNIST, 784 pixels)"
TCN, IRNN = BAI + MNIST, "Le et al. 2015" + MNIST


@cache
def _data() -> tuple[Array, Array, Array, Array]:
    """Pixels (64, m) and classes (m,), to learn from and held out: a stratified quarter."""
    with extra("sklearn", "scikit-learn", user="the task digits"):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    images, y = load_digits(return_X_y=True)
    learn, test = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=0)
    pixels = (images.T / 16).astype(np.float32)  # (64, m), in 0..1
    return pixels[:, learn], y[learn], pixels[:, test], y[test]


@dataclass(frozen=True)
class Digits(Task):
    """scikit-learn's 1,797 digits of 8 by 8 pixels, one pixel a step: the class after 64 steps.

    A small relative of the sequential MNIST of Le et al. A stratified quarter is held out. A model
    without memory sees the last pixel only. The task counts as solved from an accuracy of 0.97 in
    order and of 0.965 permuted; logistic regression over all pixels at once reaches 0.958.

    Parameters
    ----------
    T : int, optional
        64, the number of pixels.
    permuted : bool, optional
        Read the pixels in one fixed random order, so that pixels side by side are far apart in
        time.

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton, "A simple way to initialize recurrent networks of rectified
    linear units", arXiv:1504.00941.

    Examples
    --------
    >>> import crnn.tasks
    >>> crnn.tasks.Digits(permuted=True).n_y
    10
    """

    T: int = 64
    permuted: bool = False

    name: ClassVar[str] = "digits"
    about: ClassVar[str] = "handwritten digits of 8 by 8 pixels, one pixel a step"
    source: ClassVar[str] = "after Le et al. 2015; scikit-learn's digits"
    finite: ClassVar[bool] = True
    n_x: ClassVar[int] = 1
    n_y: ClassVar[int] = 10
    published: ClassVar[tuple[Published, ...]] = (
        Published("IRNN", 784, 0.97, IRNN),
        Published("GRU", 784, 0.962, TCN),
        Published("LSTM", 784, 0.872, TCN),
        Published("RNN", 784, 0.215, TCN),
        Published("IRNN, permuted", 784, 0.82, IRNN),
        Published("GRU, permuted", 784, 0.873, TCN),
        Published("LSTM, permuted", 784, 0.857, TCN),
        Published("RNN, permuted", 784, 0.253, TCN),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.T != 64:
            raise ValueError(f"T: expected 64, the pixels of a digit, got {self.T}")
        object.__setattr__(self, "permuted", validate.flag("permuted", self.permuted))

    def held_out(self, m: int = 1000) -> Examples:
        """The held-out digits, 450, or the first m of them.

        Parameters
        ----------
        m : int, optional

        Returns
        -------
        x, y : arrays

        Examples
        --------
        >>> import crnn.tasks
        >>> x, y = crnn.tasks.Digits().held_out(3)
        >>> x.shape, y.shape
        ((64, 3, 1), (3,))
        """
        m = validate.count("m", m)
        _, _, pixels, y = _data()
        return self._read(pixels[:, :m]), y[:m]

    def _draw(self, m: int, rng: np.random.Generator) -> Examples:
        """m of the digits to learn from: each once before any is drawn again."""
        pixels, y, _, _ = _data()
        passes = -(-m // len(y))
        drawn = np.concatenate([rng.permutation(len(y)) for _ in range(passes)])[:m]
        return self._read(pixels[:, drawn]), y[drawn]

    def _read(self, pixels: Array) -> Array:
        """The pixels (64, m) in the order of reading, as (T, m, 1)."""
        return np.ascontiguousarray(pixels[self._order()])[..., None]

    def _order(self) -> Array:
        return np.random.default_rng(92).permutation(64) if self.permuted else np.arange(64)

    @property
    def baseline(self) -> float:
        """The accuracy of the most frequent class for each value of the last pixel."""
        pixels, y, _, _ = _data()
        x, (test_x, test_y) = self._read(pixels), self.held_out()
        counts = np.zeros((17, 10))
        np.add.at(counts, (_value(x), y), 1)
        return float(np.mean(counts.argmax(axis=1)[_value(test_x)] == test_y))

    @property
    def variant(self) -> str:
        """Pixels in a random order need other settings than those in order."""
        return f"{self.name} permuted" if self.permuted else self.name

    @property
    def solved_at(self) -> float:
        """0.97, or 0.965 permuted."""
        return 0.965 if self.permuted else 0.97


def _value(x: Array) -> Any:
    """The last pixel of each example as an integer in 0..16."""
    return np.rint(x[-1, :, 0] * 16).astype(np.intp)
