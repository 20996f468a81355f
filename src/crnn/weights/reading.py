"""What the weights of every library have in common: checks of one array, and of all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crnn._engine import validate
from crnn._network.config import Config
from crnn.reference import Array

Named = dict[str, Array]


def matrix(what: str, a: Array) -> Array:
    """The array, if it is a matrix with entries."""
    if a.ndim != 2 or not a.size:
        raise ValueError(f"{what}: expected a matrix of numbers, got {validate.described(a)}")
    return a


def read_floats(what: str, a: Array, name: str, shape: tuple[int, ...]) -> Array:
    """The array, if it has floats in the shape of the parameter of this name."""
    if a.dtype.kind != "f" or a.shape != shape:
        error = ValueError if a.dtype.kind == "f" else TypeError
        raise error(
            f"{what}: expected floats of shape {shape}, for {name}, got {validate.described(a)}"
        )
    return a


def dtype_of(given: Iterable[Array], dtype: Any) -> Any:
    """The requested dtype, or the one that all weights have."""
    if dtype is not None:
        return dtype
    names = sorted({a.dtype.name for a in given})
    if names not in (["float32"], ["float64"]):
        raise TypeError(
            f"dtype: expected float32 or float64 to be asked for, the weights are {listed(names)}"
        )
    return names[0]


def check_left_out(parameters: Named, **kept: Any) -> None:
    """A bias may be left out only if it is zero."""
    for bias, keep in kept.items():
        if not validate.flag(bias, keep):
            for name, value in parameters.items():
                if name.startswith(bias) and value.any():
                    raise ValueError(f"{bias}: expected True, since {name} is not zero, got False")


def listed(keys: list[Any]) -> str:
    """Names as an error shows them."""
    return ", ".join(map(repr, keys))


def check_initial_state(method: str, config: Config, whose: str) -> None:
    """Refuse a model with a trained initial state, for which `whose` weights have no place."""
    if config.initial_state != "zeros":
        raise ValueError(
            f"{method}: expected a model with initial_state='zeros', got "
            f"{config.initial_state!r}, for which {whose} weights have no place"
        )
