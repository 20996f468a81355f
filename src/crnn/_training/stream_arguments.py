"""The arguments of `RNN.fit_stream` and `RNN.evaluate_stream`, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.losses import Wanted
from crnn._training.series import Series
from crnn._words import counted as counted_as
from crnn.reference import Array


def checked_series(
    config: Config,
    x: Any,
    y: Any = None,
    resets: Any = None,
    mask: Any = None,
    rows: int | None = None,
    *,
    of: str = "",
) -> Series:
    """The arguments of `RNN.fit_stream` as a Series; `rows` is the number of rows of one sequence.

    With rows=None a sequence becomes one row. Raises ValueError or TypeError.
    """
    if not config.every_step or config.direction != "forward":
        raise ValueError(
            "a stream needs a model with steps='all' and direction='forward', got "
            f"steps={config.steps!r}, direction={config.direction!r}"
        )
    a = _checked_x(config, f"{of}symbols", x)
    one = a.ndim == (1 if a.dtype.kind in "iu" else 2)  # one long sequence
    leading = a.shape[:1] if one else a.shape[:2]  # (N,) or (T, m)
    each = a.shape[len(leading) :] if y is None else ()
    least = 1 if rows is None or not one else rows
    seen = None if mask is None else _flags(f"{of}mask", mask, leading, each)
    again = None if resets is None else _flags(f"{of}resets", resets, leading, ())
    counted: Array | None = (
        None if seen is None else np.asarray(seen.reshape(*leading, -1).all(axis=-1))
    )  # (N,) or (T, m)
    if y is None:
        y = _next_of(config, a)
        counted = None if counted is None else counted[1:]
        if again is not None:  # the first step after a reset belongs to another sequence
            within: Array = ~again[1:]
            counted, again = within if counted is None else counted & within, again[:-1]
        a, seen = a[:-1], None if seen is None else seen[:-1]
    else:
        wanted = Wanted(f"{of}y", config.n_y, config.np_dtype, leading)
        y = config.objective.checked(y, wanted)
        seen = None  # x is read as it is
    if len(a) < least:
        least -= len(a) == leading[0]
        rows_of = f", one for each of the batch_size={rows} rows" if one and (rows or 1) > 1 else ""
        more = counted_as(least, "step") + rows_of
        raise ValueError(f"{of}symbols: expected more than {more}, got {leading[0]}")
    if counted is not None and not counted.any():
        name = "mask" if mask is not None else "resets"
        raise ValueError(f"{of}{name}: expected some steps that count, got none")
    parts = [a, y, _weights(config, counted), seen, again]
    if one:
        parts = [None if part is None else _in_rows(part, rows or 1) for part in parts]
    return Series(config, *parts)


def is_series(config: Config, x: Array) -> bool:
    """Whether x has more axes than a sequence of symbols (N,), or one float at each step."""
    return x.ndim > 1 or (x.ndim == 1 and x.dtype.kind == "f" and config.n_x == 1)


def _checked_x(config: Config, name: str, x: Any) -> Array:
    """Symbols (N,) or (T, m), or numbers (N, n_x) or (T, m, n_x), in their own dtype."""
    a = validate.plain(name, x)
    if a.ndim == 1 and is_series(config, a):
        a = a[:, None]
    if a.dtype.kind in "iu" and a.ndim in (1, 2):
        a = validate.class_range(name, a, config.n_x, None, *a.shape)
    elif a.dtype.kind not in "fiub" or a.ndim not in (2, 3) or a.shape[-1] != config.n_x:
        raise ValueError(
            f"{name}: expected numbers of shape (N, n_x) or (T, m, n_x) with n_x = {config.n_x}, "
            f"or integers of shape (N,) or (T, m), got {validate.described(a)}"
        )
    if 0 in a.shape:
        raise ValueError(f"{name}: expected at least one step, got {validate.described(a)}")
    return a


def _next_of(config: Config, a: Array) -> Array:
    """The targets if none are given: x of the next step."""
    symbols = a.dtype.kind in "iu" and a.ndim < 3
    same = config.n_x == (config.n_y if symbols else config.objective.n_targets(config.n_y))
    if config.objective.decides != symbols or not same:
        raise ValueError(
            "y: expected targets, since x of the next step is none for this model: symbols are "
            "for classes and numbers for values, of as many outputs as inputs"
        )
    return a[1:]


def _flags(name: str, flags: Any, leading: tuple[int, ...], more: tuple[int, ...]) -> Array:
    """True or False for each step, or with `more` for each number of a step."""
    a = validate.plain(name, flags)
    shapes = [leading] if not more else [leading, (*leading, *more)]
    if a.dtype.kind not in "biu" or a.shape not in shapes:
        raise ValueError(
            f"{name}: expected True or False in shape {' or '.join(map(str, shapes))}, got "
            f"{validate.described(a)}"
        )
    wrong = (a != 0) & (a != 1)
    if wrong.any():
        raise ValueError(f"{name}: expected True or False, or 1 or 0, got {a[wrong][0]}")
    return a.astype(bool)


def _weights(config: Config, counted: Array | None) -> Array | None:
    """Weights with a mean of 1: the same for all steps that count, else 0."""
    if counted is None or counted.all():
        return None
    weights: Array = (counted / counted.mean()).astype(config.np_dtype)
    return weights


def _in_rows(values: Array, m: int) -> Array:
    """One sequence (N, ...) in m equal parts side by side, (N // m, m, ...); the rest is left."""
    length = len(values) // m
    found: Array = values[: length * m].reshape(m, length, *values.shape[1:]).swapaxes(0, 1)
    return found
