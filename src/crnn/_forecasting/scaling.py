"""What is done to a series before a network reads it, and undone on its answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from crnn._engine import validate
from crnn._forecasting.examples import checked_series
from crnn._forecasting.moments import mean_and_std, restored, standardized
from crnn.reference import Array

#: What means and differences lose, in units of the largest number: a smaller deviation is none.
ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Scaling:
    """Logarithm, differences, and a mean of 0 and a standard deviation of 1, in this order.

    Parameters
    ----------
    mean, std : tuple of float
        Of each of the n_x numbers of a step, after the other operations.
    log : bool, optional
        Whether to take the logarithm: of series that grow by a factor. Their values are above 0.
    difference : int, optional
        Replace each value by its difference to the one this many steps before; 0 for no
        differences, 1 for those of neighbours, 12 for those of the same months.

    Raises
    ------
    ValueError, TypeError
        If a number does not fit.

    Examples
    --------
    >>> from crnn.data import Scaling
    >>> scaling = Scaling.of([1, 2, 4, 8, 32], log=True, difference=1)
    >>> z = scaling.apply([1, 2, 4, 8, 32])
    >>> z.round(2).T.tolist()
    [[-0.58, -0.58, -0.58, 1.73]]
    >>> scaling.undo(z[-1:], history=[1, 2, 4, 8]).round(6).tolist()
    [[32.0]]
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    log: bool = False
    difference: int = 0

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            numbers = validate.plain(name, getattr(self, name))
            if numbers.ndim != 1 or numbers.dtype.kind not in "fiu" or len(numbers) == 0:
                raise ValueError(
                    f"{name}: expected numbers (n_x,), got {validate.described(numbers)}"
                )
            if not np.isfinite(numbers).all() or (name == "std" and (numbers <= 0).any()):
                what = "finite numbers" + (" above 0" if name == "std" else "")
                raise ValueError(f"{name}: expected {what}, got {validate.shown(numbers)}")
            object.__setattr__(self, name, tuple(float(x) for x in numbers))
        if len(self.mean) != len(self.std):
            raise ValueError(f"std: expected {len(self.mean)} numbers, as mean has")
        validate.flag("log", self.log)
        validate.count("difference", self.difference, least=0)

    @classmethod
    def of(cls, series: Any, *, log: bool = False, difference: int = 0) -> Self:
        """The scaling that a series needs.

        Parameters
        ----------
        series : numbers (N,) or (N, n_x)
            NaN is a missing value. What never changes, but for rounding, is divided by 1.
        log, difference
            As for the class.

        Returns
        -------
        Scaling

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or the series is too short.

        Examples
        --------
        >>> from crnn.data import Scaling
        >>> Scaling.of([1.0, 3.0])
        Scaling(mean=(2.0,), std=(1.0,), log=False, difference=0)
        """
        validate.count("difference", difference, least=0)
        n_x = checked_series("series", series, difference + 1).shape[1]
        raw = cls((0.0,) * n_x, (1.0,) * n_x, log, difference).apply(series)
        known = np.isfinite(raw)
        if not known.any(axis=0).all():
            raise ValueError("series: expected a number in every column, got NaN alone")
        mean, std = mean_and_std(
            raw, _largest(raw), lambda rows: np.mean(rows, axis=0, where=known)
        )
        levels = raw if not difference else cls((0.0,) * n_x, (1.0,) * n_x, log).apply(series)
        never = std <= ROUNDING * _largest(levels)
        return cls(tuple(mean), tuple(np.where(never, 1, std)), log, difference)

    def apply(self, series: Any) -> Array:
        """What a network reads.

        Parameters
        ----------
        series : numbers (N,) or (N, n_x)

        Returns
        -------
        z : array (N - difference, n_x)
            Float64. NaN stays NaN.

        Raises
        ------
        ValueError, TypeError
            If the series does not fit; the message says where a logarithm has none.

        Examples
        --------
        >>> from crnn.data import Scaling
        >>> Scaling((2.0,), (1.0,)).apply([1, 5]).T.tolist()
        [[-1.0, 3.0]]
        """
        return self._applied("series", series)

    def _applied(self, name: str, series: Any) -> Array:
        """`apply`, for an argument of this name."""
        z = self._logarithms(name, series, self.difference + 1)
        if self.difference:
            z = z[self.difference :] - z[: -self.difference]
        return standardized(z, np.array(self.mean), np.array(self.std))

    def undo(self, z: Any, history: Any = None) -> Array:
        """The opposite of `apply`, for steps that follow a history.

        Parameters
        ----------
        z : numbers (H, n_x)
        history : numbers (N,) or (N, n_x), optional
            The series before them; needed with `difference`, of which N is at least the number.

        Returns
        -------
        series : array (H, n_x)

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit.

        Examples
        --------
        >>> from crnn.data import Scaling
        >>> Scaling((0.0,), (1.0,), difference=1).undo([[1.0], [1.0]], history=[4]).tolist()
        [[5.0], [6.0]]
        """
        return self._undone(self._fitting("z", z, 1), history)

    def _undone(self, z: Array, history: Any) -> Array:
        """`undo`, for z (H, n_x) or for several futures (H, paths, n_x)."""
        values = restored(z, np.array(self.mean), np.array(self.std))
        k = self.difference
        if k:
            if history is None:
                raise ValueError(f"history: expected the {k} steps before, got None")
            known = self._logarithms("history", history, k)[-k:]  # (k, n_x)
            of_each = known.reshape(k, *(1,) * (z.ndim - 2), -1)
            values = np.concatenate([np.broadcast_to(of_each, (k, *z.shape[1:])), values])
            for t in range(k, len(values)):
                values[t] += values[t - k]
            values = values[k:]
        return np.exp(values) if self.log else values

    def to_json(self) -> str:
        """What ``model.metadata["scaling"]`` keeps, for `RNN.scaling`.

        Returns
        -------
        str

        Examples
        --------
        >>> from crnn.data import Scaling
        >>> Scaling((0.0,), (1.0,)).to_json()
        '{"mean": [0.0], "std": [1.0], "log": false, "difference": 0}'
        """
        return json.dumps(asdict(self))

    def _fitting(self, name: str, series: Any, least: int) -> Array:
        a = checked_series(name, series, least)
        if a.shape[1] != len(self.mean):
            raise ValueError(
                f"{name}: expected {len(self.mean)} numbers at each step, got {a.shape[1]}"
            )
        return a

    def _logarithms(self, name: str, series: Any, least: int) -> Array:
        """The series, or its logarithms."""
        a = self._fitting(name, series, least)
        if not self.log:
            return a
        wrong = a <= 0
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{name}: expected numbers above 0, which have a logarithm, got {a[place]:g} at "
                f"step {place[0]}"
            )
        return np.log(a)


def _largest(rows: Array) -> Array:
    """The largest size of the finite numbers in each column."""
    found: Array = np.abs(rows).max(axis=0, where=np.isfinite(rows), initial=0)
    return found
