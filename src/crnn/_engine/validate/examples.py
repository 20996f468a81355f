"""What belongs to examples: their lengths, class numbers, weights and the order of their axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine.validate.arrays import in_order
from crnn._engine.validate.foreign import described, plain
from crnn._engine.validate.hints import to_class_numbers
from crnn._engine.validate.values import LARGEST, shown
from crnn.reference import Array


def lengths_of(value: Any, T: int, m: int, name: str = "lengths") -> Array | None:
    """Integers (m,), each in 1..T, or None if every example has all T steps."""
    if value is None:
        return None
    a = plain(name, value)
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {described(a)}")
    if a.shape != (m,):
        raise ValueError(f"{name}: expected shape (m,) = ({m},), got {described(a)}")
    wrong = (a < 1) | (a > T)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"{name}: expected integers in 1..T = 1..{T}, got {a[i]} at {i}")
    return None if (a == T).all() else in_order(a, np.intp)


def packed_lengths(value: Any, rows: int) -> Array:
    """Integers (m,) >= 1 that never increase and whose sum is the number of packed rows."""
    a = plain("lengths", value)
    if a.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got {described(a)}")
    fits = a.ndim == 1 and a.size > 0 and a[0] <= rows  # no sum below overflows
    if not fits or (a < 1).any() or (a[1:] > a[:-1]).any() or a.sum() != rows:
        raise ValueError(
            "lengths: expected integers (m,) of at least 1 that never increase, and whose sum is "
            f"the {rows} rows of a packed x, got {shown(a)}"
        )
    return in_order(a, np.intp)


#: Rows that are checked at a time: the array may be mapped from a file larger than memory.
BLOCK = 1 << 20


def class_numbers(name: str, value: Any, n: int, lengths: Array | None, *shape: int) -> Array:
    """Integers in 0..n-1 of the given shape; values past an example's length are ignored."""
    return in_order(class_range(name, value, n, lengths, *shape), np.intp)


def class_range(name: str, value: Any, n: int, lengths: Array | None, *shape: int) -> Array:
    """As `class_numbers`, but with their own integer dtype and strides."""
    a = plain(name, value)
    if a.dtype.kind not in "iub":  # False and True are classes 0 and 1
        raise TypeError(
            f"{name}: expected integers (class numbers), got {described(a)}"
            + to_class_numbers(name, a, shape)
        )
    if a.shape != shape:
        raise ValueError(
            f"{name}: expected shape {shape}, got {described(a)}" + to_class_numbers(name, a, shape)
        )
    counted = None if lengths is None else steps_counted(shape[0], lengths)
    for begin in range(0, len(a), BLOCK):
        part = a[begin : begin + BLOCK]
        wrong = (part < 0) | (part >= n)
        if counted is not None:
            wrong &= counted[begin : begin + BLOCK]
        if wrong.any():
            first, *rest = (int(i) for i in np.argwhere(wrong)[0])
            where = (begin + first, *rest)
            raise ValueError(f"{name}: expected integers in 0..{n - 1}, got {a[where]} at {where}")
    return a


def weights(name: str, value: Any, lengths: Array | None, *shape: int) -> Array:
    """Numbers of at least 0, float64, of the given shape; 0 past an example's length."""
    a = plain(name, value)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {described(a)}")
    if a.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {described(a)}")
    a = np.array(a, np.float64, order="C")  # a copy, contiguous even where `a` is broadcast
    if lengths is not None:
        a[~steps_counted(shape[0], lengths)] = 0
    wrong = ~((a >= 0) & (a < np.inf))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: expected finite numbers >= 0, got {a[where]:g} at {where}")
    return a


def steps_counted(T: int, lengths: Array) -> Array:
    """True where step t of an example is within its length: (T, m)."""
    return np.arange(T)[:, None] < lengths


def time_and_examples(name: str, a: Array, what: str) -> tuple[int, int]:
    """The first two sizes T and m of an array, both at least 1."""
    T, m = a.shape[:2]
    if T < 1 or not 1 <= m <= LARGEST:
        raise ValueError(f"{name}: expected {what} with T >= 1 and m >= 1, got {described(a)}")
    return T, m
