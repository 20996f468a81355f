"""A layer over the rows of a PackedSequence: forward beside backward, without padding to T.

The rows are sorted by time, and the examples by falling length: step t consists of the first
`batch_sizes[t]` examples. The steps are cut into pieces where half of a piece's examples have
finished. A piece in which no example finishes is read and written where it lies, as an array
(T, m, features). Any other is copied into one, and at most half of that is padding. Each piece is
one call of crnn, and the states that pass from one piece to the next are rows of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import crnn

__all__ = ["batch_sizes_of", "lengths_of", "packed_backward", "packed_forward"]

Array = NDArray[Any]

#: Rows of padding that cost less than one more call of crnn.
SMALL = 256


def batch_sizes_of(lengths: Array) -> Array:
    """How many examples each step has, (T,), from their falling lengths (m,)."""
    return len(lengths) - np.searchsorted(lengths[::-1], np.arange(lengths[0]), side="right")


def lengths_of(batch_sizes: Array) -> tuple[Array, Array]:
    """The falling lengths of the examples (m,), and the row in which each one's last step lies."""
    examples = np.arange(batch_sizes[0])
    lengths = len(batch_sizes) - np.searchsorted(batch_sizes[::-1], examples, side="right")
    return lengths, (np.cumsum(batch_sizes) - batch_sizes)[lengths - 1] + examples


class _Piece(NamedTuple):
    """Some steps of the first m examples."""

    T: int
    m: int
    rows: slice  # of the packed rows
    before: int  # the first row of the step before
    lengths: Array | None  # (m,) of falling steps in this piece; None where all have T
    places: Array | None  # of its rows among the T m of the padded array; None where all are rows

    def read(self, packed: Array, copy: bool = False, fill: bool = False) -> Array:
        """The piece's rows as (T, m, features); past an example's length anything, or zeros."""
        if self.places is None:
            view = packed[self.rows].reshape(self.T, self.m, -1)
            return view.copy() if copy else view
        new = np.zeros if fill else np.empty
        padded = new((self.T * self.m, packed.shape[1]), packed.dtype)
        padded[self.places] = packed[self.rows]
        return padded.reshape(self.T, self.m, -1)

    def to_write(self, packed: Array) -> Array:
        """An array (T, m, features) for results, which `write` then takes to the packed rows."""
        shape = self.T, self.m, packed.shape[1]
        if self.places is None:
            return packed[self.rows].reshape(shape)
        return np.empty(shape, packed.dtype)

    def write(self, values: Array, packed: Array) -> None:
        """Take what was written into the array of `to_write` to the packed rows."""
        if self.places is not None:
            flat = values.reshape(self.T * self.m, -1)
            np.take(flat, self.places, axis=0, out=packed[self.rows], mode="clip")


def _pieces(lengths: Array) -> list[_Piece]:
    """The pieces of a packed sequence, in the order of time."""
    batch_sizes = batch_sizes_of(lengths)
    T, rising = len(batch_sizes), batch_sizes[::-1]
    first_rows = np.zeros(T + 1, np.intp)
    np.cumsum(batch_sizes, out=first_rows[1:])
    pieces: list[_Piece] = []
    start = 0
    while start < T:
        m = int(batch_sizes[start])
        end = T - int(np.searchsorted(rising, m // 2, side="right"))  # at most half from here on
        if m * (T - end) - (first_rows[T] - first_rows[end]) <= SMALL:
            end = T
        rows = slice(int(first_rows[start]), int(first_rows[end]))
        inner = places = None
        if batch_sizes[end - 1] < m:
            inner = np.minimum(lengths[:m], end) - start
            places = np.flatnonzero(np.arange(m) < batch_sizes[start:end, None])
        before = int(first_rows[max(start - 1, 0)])
        pieces.append(_Piece(end - start, m, rows, before, inner, places))
        start = end
    return pieces


def _with_states_before(
    lengths: Array, a: Array, a0: Array | None, reverse: bool
) -> Iterator[tuple[_Piece, int, Array | None]]:
    """Each piece in the order in which it is read, with the states before its first step read.

    Between them stands how many of these states come from the piece read before; the others, from
    right to left, are those of a0. The states are read from `a` as late as they are asked for.
    """
    pieces = _pieces(lengths)
    known = 0
    for k in reversed(range(len(pieces))) if reverse else range(len(pieces)):
        piece = pieces[k]
        if not reverse:
            yield (piece, 0, a0) if k == 0 else (piece, piece.m, _rows(a, piece.before, piece.m))
            continue
        states = None if a0 is None else a0[: piece.m]
        if known > 0:
            states = (
                np.zeros((piece.m, a.shape[1]), a.dtype) if a0 is None else a0[: piece.m].copy()
            )
            states[:known] = _rows(a, pieces[k + 1].rows.start, known)
        yield piece, known, states
        known = piece.m


def _rows(packed: Array, first: int, count: int) -> Array:
    return packed[first : first + count]


def packed_forward(
    x: Array,
    Waa: Array,
    Wax: Array,
    ba: Array | None,
    a0: Array | None,
    lengths: Array,
    reverse: bool,
    activation: str,
    a: Array,
) -> None:
    """Write the states of every row into `a` (rows, n_a), from x (rows, n_x) and lengths (m,)."""
    for piece, _, states in _with_states_before(lengths, a, a0, reverse):
        out = piece.to_write(a)
        crnn.rnn_forward(
            piece.read(x),
            Waa,
            Wax,
            ba,
            states,
            lengths=piece.lengths,
            reverse=reverse,
            activation=activation,
            out=out,
        )
        piece.write(out, a)


def packed_backward(
    da: Array,
    a: Array,
    x: Array,
    Waa: Array,
    Wax: Array,
    a0: Array | None,
    lengths: Array,
    reverse: bool,
    activation: str,
    out: crnn.Gradients,
) -> None:
    """Fill `out`, whose dx is (rows, n_x); its dx and da0 may be None."""
    da_before: Array | None = None  # dL/da of the states before the piece that was done last
    read = list(_with_states_before(lengths, a, a0, reverse))
    for k, (piece, known, states) in reversed(list(enumerate(read))):
        da_piece = piece.read(da, copy=da_before is not None)
        if da_before is not None:
            da_piece[0 if reverse else -1, : len(da_before)] += da_before
        first_done = k == len(read) - 1
        dWaa, dWax, dba = out[:3] if first_done else map(np.empty_like, out[:3])
        dx = None if out.dx is None else piece.to_write(out.dx)
        da_states = np.empty((piece.m, a.shape[1]), a.dtype)
        g = crnn.Gradients(dWaa, dWax, dba, dx, da_states)
        crnn.rnn_backward(
            da_piece,
            piece.read(a, fill=True),
            piece.read(x),
            Waa,
            Wax,
            states,
            lengths=piece.lengths,
            reverse=reverse,
            activation=activation,
            out=g,
        )
        if not first_done:
            for total, part in zip(out[:3], g[:3], strict=True):
                total += part
        if dx is not None and out.dx is not None:
            piece.write(dx, out.dx)
        if out.da0 is not None:
            out.da0[known : piece.m] = da_states[known:]
        da_before = da_states[:known]
