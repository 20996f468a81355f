"""Single values: flags, words, whole and real numbers, seeds."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

LARGEST = 2**31 - 1  # of m and of each n: BLAS uses 32-bit integers


def shown(value: Any) -> str:
    """A value as an error shows it: at most a line, even if it has no repr."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as an integer of 5000 digits
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else text[:77] + "..."


def given(name: str, value: Any) -> Any:
    """Targets, which must not be None."""
    if value is None:
        raise TypeError(f"{name}: expected targets, got None")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False; numbers are refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of the given strings, as a plain str: the kernels take no subclass, such as np.str_."""
    if not isinstance(value, str) or value not in choices:
        words = ", ".join(map(repr, choices))
        raise ValueError(f"{name}: expected one of {words}, got {shown(value)}")
    return str(value)


def count(name: str, value: Any, least: int = 1, most: int = LARGEST) -> int:
    """A whole number from `least` to `most`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        n = operator.index(value)
    except (TypeError, OverflowError):
        raise TypeError(f"{name}: expected a whole number, got {shown(value)}") from None
    if n < least:
        raise ValueError(f"{name}: expected a whole number >= {least}, got {shown(n)}")
    if n > most:
        raise ValueError(f"{name}: expected a whole number <= {most}, got {shown(n)}")
    return n


def number(
    name: str, value: Any, *, least: float = 0.0, above: bool = False, below: float = np.inf
) -> float:
    """A finite real number, at least `least` (or above it) and below `below`."""
    x = _real(value)
    if x is None:
        raise TypeError(f"{name}: expected a number, got {shown(value)}")
    if not (-np.inf < x < below and (x > least if above else x >= least)):
        limits = f" {'>' if above else '>='} {least:g}" if least > -np.inf else ""
        if below < np.inf:
            limits += f" and < {below:g}"
        raise ValueError(f"{name}: expected a finite number{limits}, got {shown(value)}")
    return x


def _real(value: Any) -> float | None:
    """A real number as a float; None for a bool, a complex number, a string or an array."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        real = not isinstance(value, (bool, str, bytes, bytearray))
    else:  # a scalar or an array () of NumPy or another library, whose own float() may accept more
        kind = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
        real = kind.startswith(("float", "bfloat", "int", "uint")) and value.ndim == 0
    try:
        return float(value) if real else None
    except OverflowError:  # an integer beyond the largest double
        return np.inf
    except (TypeError, ValueError, RuntimeError):
        return None


def finite_as(name: str, x: float, dtype: Any) -> float:
    """The number, if it is finite in this dtype too."""
    if abs(x) > float(np.finfo(dtype).max):
        raise ValueError(f"{name}: expected a number that is finite in {dtype}, got {x:g}")
    return x


def float_name(name: str, value: Any) -> str:
    """The name "float32" or "float64", from anything that NumPy accepts for one of them."""
    try:
        dtype = np.dtype(value)
    except Exception:  # NumPy parses strings, and its parser raises many kinds of error
        dtype = None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: expected float32 or float64, got {shown(value)}")
    return str(dtype.name)


def generator(rng: Any) -> np.random.Generator:
    """A Generator from a seed, a Generator (used, not copied) or None (fresh entropy).

    The one rule for randomness, as in Scientific Python's SPEC 7.
    """
    try:
        if isinstance(rng, (list, tuple)) and any(isinstance(item, (list, tuple)) for item in rng):
            raise TypeError  # NumPy recurses into seeds: a list that contains itself would crash
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng: expected None, a seed or a numpy.random.Generator, got {shown(rng)}"
        ) from None


def seed_of(noise: float, seed: Any) -> int:
    """The 64 bits that noise is drawn from: a whole number, or fresh ones for None."""
    if seed is None:
        return int(np.random.default_rng().integers(1 << 63)) if noise else 0
    return count("seed", seed, least=0, most=(1 << 64) - 1)
