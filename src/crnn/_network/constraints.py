"""Constraints on weights: entries that stay 0 (masks), and signs that stay (Dale's law).

A mask says which connections exist. Dale's principle says that a neuron excites all neurons that
it projects to, or inhibits them all: a column of Waa or Wya, which holds the weights from one unit,
then has one sign. The weights that fit are a box, so the nearest ones are found entry by entry, and
each step of training ends there (projected gradient descent).

References
----------
H. F. Song, G. R. Yang and X.-J. Wang, "Training excitatory-inhibitory recurrent neural networks
for cognitive tasks: a simple and flexible framework", PLoS Computational Biology 12 (2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn._engine import validate
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn._network.config import Config


class Patterns(Mapping[str, Array]):
    """Read-only arrays by name that are compared by their values: all masks, or all signs."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = {name: a.copy() for name, a in arrays.items()}
        for a in self._arrays.values():
            a.flags.writeable = False

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Patterns):
            return NotImplemented
        return self.keys() == other.keys() and all(
            np.array_equal(a, other[name]) for name, a in self.items()
        )

    def __hash__(self) -> int:
        return hash(frozenset((name, a.tobytes()) for name, a in self.items()))

    def __repr__(self) -> str:
        shown = (f"{name!r}: <{a.dtype} {a.shape}>" for name, a in self.items())
        return "{" + ", ".join(shown) + "}"

    def __deepcopy__(self, memo: Any) -> Patterns:
        return self  # nothing can change it

    def __reduce__(self) -> tuple[Any, ...]:
        return Patterns, (self._arrays,)


def checked_masks(value: Any, shapes: Mapping[str, tuple[int, ...]]) -> Patterns | None:
    """Masks in the shapes of their weights, of bool; None if there are none."""
    return _checked("masks", value, shapes, (0, 1), np.bool_)


def checked_signs(value: Any, shapes: Mapping[str, tuple[int, ...]]) -> Patterns | None:
    """Signs in the shapes of their weights, of int8; None if there are none."""
    return _checked("signs", value, shapes, (-1, 0, 1), np.int8)


def _checked(
    field: str,
    value: Any,
    shapes: Mapping[str, tuple[int, ...]],
    allowed: tuple[int, ...],
    dtype: Any,
) -> Patterns | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"{field}: expected a dict of names to arrays, got {type(value).__name__}")
    weights = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    found: dict[str, Array] = {}
    for name, given in value.items():
        if name not in weights:
            raise ValueError(
                f"{field}: expected names among {', '.join(weights)}, got {validate.shown(name)}"
            )
        of = f"{field}[{name!r}]"
        a = validate.plain(of, given)
        if a.dtype.kind not in "biuf" or not np.isin(a, allowed).all():
            raise ValueError(
                f"{of}: expected numbers among {', '.join(map(str, allowed))}, "
                f"got {validate.shown(given)}"
            )
        try:
            found[name] = np.broadcast_to(a, weights[name]).astype(dtype)
        except ValueError:
            raise ValueError(
                f"{of}: expected shape {weights[name]}, or one that broadcasts to it, got {a.shape}"
            ) from None
    return Patterns(found) if found else None


def _of(config: Config) -> tuple[Patterns, Patterns]:
    """Masks and signs."""
    return config.masks or Patterns({}), config.signs or Patterns({})


class Constraints:
    """Keeps the weights of a network to its masks and signs."""

    def __init__(self, config: Config) -> None:
        masks, signs, dtype = *_of(config), config.np_dtype
        #: True where a weight stays 0, in the weight's shape.
        self._closed = {name: ~mask for name, mask in masks.items()}
        #: The least and the largest value of each entry, in the weight's shape.
        self._limits: dict[str, tuple[Array, Array]] = {}
        for name in dict.fromkeys([*masks, *signs]):
            sign = signs[name] if name in signs else np.int8(0)
            closed = self._closed.get(name, np.False_)
            least = np.where((sign > 0) | closed, 0, -np.inf).astype(dtype)
            most = np.where((sign < 0) | closed, 0, np.inf).astype(dtype)
            self._limits[name] = least, most

    def project(self, parameters: Mapping[str, Array]) -> None:
        """Move each weight to the nearest value that fits, in place; NaN stays NaN."""
        for name, (least, most) in self._limits.items():
            weight = parameters[name]
            np.clip(weight, least, most, out=weight)
            weight += 0  # -0 becomes 0

    def of_flat(self, numbers: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
        """For compiled steps: places in a flat array, whether each is closed, and its limits.

        `numbers` has, for each name of a parameter, its places in the flat array.
        """
        names = [*self._limits]
        closed = [self._closed.get(n, np.zeros(numbers[n].shape, np.bool_)) for n in names]
        parts = ([numbers[n] for n in names], closed, *zip(*self._limits.values(), strict=True))
        places, shut, least, most = (np.concatenate([a.ravel() for a in part]) for part in parts)
        return places.astype(np.intp), shut, least, most

    def mask(self, gradients: Mapping[str, Array]) -> None:
        """Set the gradients of weights that stay 0 to 0, in place."""
        for name, closed in self._closed.items():
            np.copyto(gradients[name], 0, where=closed)


def constrain_initial(config: Config, parameters: Mapping[str, Array]) -> None:
    """Give initial values the signs and the mask of their weight; see `balanced` for Waa."""
    masks, signs = _of(config)
    recurrent = {"Waa" + recurrence.suffix for recurrence in config.recurrences()}
    for name in dict.fromkeys([*masks, *signs]):
        weight = parameters[name]
        mask = masks[name] if name in masks else np.ones(weight.shape, np.bool_)
        sign = signs[name] if name in signs else np.zeros(weight.shape, np.int8)
        if name in recurrent:
            for first in range(0, len(weight), config.n_a):  # each gate is a matrix of its own
                rows = slice(first, first + config.n_a)
                weight[rows] = balanced(weight[rows], mask[rows], sign[rows])
        else:
            weight[...] = _signed(weight, mask, sign)


def balanced(Waa: Array, mask: Array, sign: Array) -> Array:
    """Recurrent initial values (n_a, n_a) with a mask and signs, without an outlier eigenvalue.

    If the signs were only put on random values, the columns would have means of their own. With
    many more excitatory than inhibitory units, the constant vector is then nearly an eigenvector.
    Its eigenvalue, the mean sum of a row, grows as the root of n_a, far outside the disk that holds
    all others. So the inhibitory values of each row are scaled until the row sums to 0, which makes
    that eigenvalue 0. Then all values are scaled until no eigenvalue is outside the disk that there
    was before.

    For large n_a the radius of a disk is the root of the summed variances of its columns. With some
    tens of units the largest eigenvalue is up to 1.8 times as far out, so it is computed. Both are
    needed: a mask without loops leaves no eigenvalue but 0.

    References
    ----------
    K. Rajan and L. F. Abbott, "Eigenvalue spectra of random matrices for neural networks", Physical
    Review Letters 97 (2006) 188104: the outlier, the condition on the rows, and the radius.
    Song, Yang and Wang (above), equations 11 and 12, balance the means in the same way.
    """
    if mask.all() and not sign.any():
        return Waa
    n = len(Waa)
    signed = _signed(Waa.astype(np.float64), mask, sign)
    excited = signed.sum(axis=1, where=sign > 0)  # (n,)
    inhibited = -signed.sum(axis=1, where=sign < 0)  # (n,)
    both = (excited > 0) & (inhibited > 0)
    ratio = np.divide(excited, inhibited, out=np.ones(n), where=both)
    signed = np.where(sign < 0, signed * ratio[:, None], signed)
    disk = np.linalg.norm(signed - signed.mean(axis=0)) / np.sqrt(n)
    radius = max(disk, _spectral_radius(signed))
    wanted = np.linalg.norm(Waa.astype(np.float64)) / np.sqrt(n)
    scaled: Array = signed * (wanted / radius) if radius > 0 else signed
    return scaled + 0.0  # -0 becomes 0


def _spectral_radius(W: Array) -> float:
    """The largest modulus of an eigenvalue of W (n, n), too large by a few percent at most.

    Gelfand's formula, ``|W^k|^(1/k)`` for large k, here 2^8: eight products, which take less time
    than all eigenvalues do. The powers are scaled to norm 1 on the way.
    """
    logarithm = 0.0
    for i in range(9):
        norm = np.linalg.norm(W)
        if norm == 0:
            return 0.0
        logarithm += np.log(norm) / 2**i
        W = W / norm
        W = W @ W
    return float(np.exp(logarithm))


def _signed(weight: Array, mask: Array, sign: Array) -> Array:
    """The weight with the signs, where they are not 0, and exactly 0 where the mask is False."""
    return np.where(mask, np.where(sign == 0, weight, np.abs(weight) * sign), 0)
