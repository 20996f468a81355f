"""The arguments of this package's functions, checked: models, cells, states and inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.model import Model
from crnn.inspect._cells import Cell
from crnn.reference import Array
from crnn.text.units import Units


def in_float64(model: Any) -> tuple[Config, Mapping[str, Array]]:
    """A model's configuration and parameters in float64. Raises TypeError if it is no model."""
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a crnn.RNN, got {validate.shown(model)}")
    config = replace(model.config, dtype="float64")
    return config, {k: np.asarray(p, np.float64) for k, p in model.parameters.items()}


def cell_of(model: Any, cell: Any) -> Cell:
    """The cell with this number."""
    config, parameters = in_float64(model)
    places = config.recurrences()
    number = validate.count("cell", cell, least=0, most=len(places) - 1)
    return Cell(config, places[number], parameters)


def one_sequence(config: Config, x: Any) -> Array:
    """One example, time first: numbers (T, 1, n_x), or symbols (T, 1).

    It may also come without the axis of examples, as (T, n_x) or symbols (T,).
    """
    a = validate.plain("x", x)
    symbols = a.dtype.kind in "iu" and a.ndim in (1, 2)
    if a.ndim == (1 if symbols else 2):
        a = a[:, None]
    checked = Sequences(config, a).x
    assert isinstance(checked, np.ndarray)
    if checked.shape[1] != 1:
        raise ValueError(
            f"x: expected one sequence, (T, n_x), (T, 1, n_x) or symbols (T,), "
            f"got {validate.described(a)}"
        )
    return checked


def symbols_of(text: str, vocabulary: Units | None) -> Array:
    """The symbols of a text."""
    if vocabulary is None:
        raise ValueError(
            "x: expected numbers or symbols, since the model's metadata have no vocabulary, got a "
            "str"
        )
    try:
        return vocabulary.encode(text)
    except ValueError as error:
        raise ValueError(f"x: {error}") from None


def states(name: str, value: Any, cell: Cell, other: str = "") -> Array:
    """States (N,) or (rows, N) in float64; of an LSTM also as a pair (a, c).

    `other` is what else the argument may be, for the message of an error.
    """
    names = cell.place.cell.states
    if isinstance(value, tuple) and len(names) > 1:
        if len(value) != len(names):
            raise ValueError(f"{name}: expected a pair ({', '.join(names)}), got {len(value)}")
        parts = [_numbers(name, part, "n_a", cell.n_a, other) for part in value]
        if parts[0].shape != parts[1].shape:
            shapes = " and ".join(str(part.shape) for part in parts)
            raise ValueError(f"{name}: expected a pair of one shape, got {shapes}")
        return np.concatenate(parts, axis=-1)
    return _numbers(name, value, validate.times(len(names), "n_a"), cell.size, other)


def inputs_of(x: Any, cell: Cell, rows: int) -> Array:
    """What a cell reads in one step: numbers (rows, n_in), or symbols (rows,) of intp.

    One input, (n_in,) or one symbol, is repeated for all rows.
    """
    a = validate.plain("x", x)
    n_in = cell.place.n_in
    if a.dtype.kind in "iu" and cell.place.layer == 0:
        if a.ndim > 0 and a.shape != (rows,):
            raise ValueError(
                f"x: expected numbers of shape (n_in,) or (rows, n_in), or integers, which are "
                f"symbols, of shape () or ({rows},), got {validate.described(a)}"
            )
        a = np.atleast_1d(a)
        a = validate.class_numbers("x", a, n_in, None, len(a))
        return np.ascontiguousarray(np.broadcast_to(a, (rows,)))
    if a.ndim == 1 or (a.ndim == 2 and len(a) != rows):
        a = _numbers("x", a, "n_in", n_in)
        if a.ndim == 2:
            expected = "one input of shape (n_in,)" if rows == 1 else f"one row or {rows}"
            raise ValueError(f"x: expected {expected}, got {validate.described(a)}")
    return np.ascontiguousarray(np.broadcast_to(_numbers("x", a, "n_in", n_in), (rows, n_in)))


def _numbers(name: str, value: Any, size: str, n: int, other: str = "") -> Array:
    a = validate.plain(name, value)
    if a.dtype.kind not in "fiu" or a.ndim not in (1, 2) or a.shape[-1] != n or a.size == 0:
        raise ValueError(
            f"{name}: expected {other}numbers of shape ({size},) or (rows, {size}) with "
            f"{size} = {n}, got {validate.described(a)}"
        )
    return np.ascontiguousarray(a, np.float64)
