"""A sequence cut into segments of steps, for passes that keep few states and recompute the others.

Steps are counted in the order in which they are read, as in csrc/call.inc: step s is t = s, or read
from right to left t = T-1-s, with lengths (csrc/lengths.inc) t = lengths[i]-1-s.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from crnn.reference import Array

#: A product of fewer rows is computed in another order (`chains_for` in csrc/tile.inc). So the
#: first segment, the only one that can be shorter than a chunk, has at least so many rows before
#: its last step.
FEWEST_ROWS = 4

#: Rows whose sum the kernels add to dWya at once: STRETCH in csrc/sums.inc. To add in the same
#: order, so many rows of features are gathered.
STRETCH = 1 << 14


class Window(NamedTuple):
    """The steps `begin` to `end` of a recurrence over all examples."""

    T: int
    reverse: bool
    lengths: Array | None  # (m,)
    begin: int
    end: int

    @property
    def steps(self) -> int:
        """The number of steps."""
        return self.end - self.begin

    @property
    def t0(self) -> int:
        """The first t of the steps in arrays (T, m, ...), if they are neighbours there."""
        return self.T - self.end if self.reverse and self.lengths is None else self.begin

    @property
    def own_lengths(self) -> Array | None:
        """The lengths counted from `begin`, as the kernels take those of a segment."""
        return None if self.lengths is None else self.lengths - self.begin

    def of(self, whole: Array) -> Array:
        """These steps of an array (T, m, ...): a view, or a copy if each example has its own t."""
        if not self._scattered:
            return whole[self.t0 : self.t0 + self.steps]
        found = np.zeros((self.steps, *whole.shape[1:]), whole.dtype)
        for i, n, t in self._places():
            found[:n, i] = whole[t, i][::-1]
        return found

    def copy_of(self, whole: Array) -> Array:
        """These steps as a contiguous array of their own."""
        return self.of(whole) if self._scattered else np.array(self.of(whole), order="C")

    def put(self, steps: Array, whole: Array, add: bool = False) -> None:
        """Write these steps to an array (T, m, ...), or add them to what it has."""
        if not self._scattered:
            _put(steps, whole[self.t0 : self.t0 + self.steps], add)
            return
        for i, n, t in self._places():
            _put(steps[:n, i][::-1], whole[t, i], add)

    @property
    def _scattered(self) -> bool:
        return self.reverse and self.lengths is not None

    def _places(self) -> Iterator[tuple[int, int, slice]]:
        """Each example that has steps here, their number, and their t in rising order."""
        assert self.own_lengths is not None
        for i, left in enumerate(self.own_lengths.tolist()):
            n = min(left, self.steps)
            if n > 0:
                yield i, n, slice(left - n, left)


def _put(values: Array, place: Array, add: bool) -> None:
    if add:
        place += values
    else:
        place[...] = values


def chunk_begins(T: int, m: int, lengths: Array | None, rows: int) -> list[int]:
    """The steps at which the kernels' chunks begin, in rising order.

    Counted from the last step, a chunk is as many steps as have at least `rows` valid rows. Sums
    are the same bits only if a segment begins where a chunk does.
    """
    if lengths is None:
        steps = -(-rows // m)
        begins = [0, *sorted(range(T - steps, 0, -steps))]
    else:
        # valid[k]: the rows of the last k steps
        running = m - np.bincount(lengths, minlength=T + 1).cumsum()[:T]  # (T,): examples
        valid = np.concatenate([[0], running[::-1].cumsum()])
        begins, k = [], 0
        while k < T:
            k = min(int(np.searchsorted(valid, valid[k] + rows)), T)
            begins.append(T - k)
        begins.reverse()
    if len(begins) > 1:
        steps = begins[1] - 1
        first = steps * m if lengths is None else int(np.minimum(lengths, steps).sum())
        if first < FEWEST_ROWS:
            del begins[1]
    return begins


def grouped(begins: list[int], T: int, most: int) -> list[int]:
    """Where segments begin that consist of whole chunks and have at most `most` steps.

    A chunk of more steps is a segment of its own. The last segments are as long as possible.
    """
    found: list[int] = []
    end, begin = T, begins[-1]
    for chunk in reversed(begins[:-1]):
        if end - chunk > most:
            found.append(begin)
            end = begin
        begin = chunk
    found.append(begin)
    return found[::-1]
