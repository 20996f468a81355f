"""What the values of a graph can be: the input, the states of a cell, or outputs."""

from __future__ import annotations

from dataclasses import dataclass

from crnn.onnx import states
from crnn.onnx.numbers import Rows
from crnn.reference import Array


@dataclass(frozen=True)
class Input:
    """The input of the first layer: rows of x, or rows of a table selected by the integers of x."""

    table: Array | None  # (symbols, n_x); None: x itself, or one-hot rows


@dataclass(frozen=True)
class Symbols:
    """The integers of x, before a node looks them up in a table."""


@dataclass(frozen=True)
class Cell:
    """One direction of a recurrent node; its rows are states, numbered by step and example."""

    below: list[Rows]  # of an Input, or of one cell or more
    reverse: bool
    activation: str
    Waa: Array
    Wax: Array
    ba: Array
    kind: str = "vanilla"  # or "gru", "lstm"
    baa: Array | None = None  # of a GRU
    starts: tuple[states.Place, ...] = ()  # one per state; none: from zeros


@dataclass(frozen=True)
class LastCell:
    """Y_c of one direction of a node LSTM, which no node may read; its rows are examples."""

    of: Cell


@dataclass(frozen=True)
class Linear:
    """``Wya a + by``, and what is made of it; its rows are numbered by (step and) example."""

    below: list[Rows]  # of cells
    steps: str
    Wya: Array
    by: Array
    link: str = "linear"  # as `crnn._network.losses` names it


@dataclass
class Followed:
    """The numbers (see `crnn.onnx.numbers`) of values that depend on x."""

    numbers: Array
