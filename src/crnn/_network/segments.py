"""A sequence cut into segments of steps, for passes that keep few states and recompute the others.

Steps are counted in the order in which they are read, as in csrc/call.inc: step s is t = s, or read
from right to left t = T-1-s, with lengths t = lengths[i]-1-s.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn.reference import Array

#: A product of fewer rows is computed in another order (`chains_for` in csrc/tile.inc). So the
#: first segment, the only one that can be shorter than a chunk, has at least so many rows before
#: its last step.
FEWEST_ROWS = 4

#: Rows whose sum the kernels add to dWya at once: STRETCH in csrc/linear.inc. To add in the same
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
        s, t, i = self._places()
        found[s, i] = whole[t, i]
        return found

    def put(self, steps: Array, whole: Array, add: bool = False) -> None:
        """Write these steps to an array (T, m, ...), or add them to what it has."""
        if not self._scattered:
            place = whole[self.t0 : self.t0 + self.steps]
            place[...] = place + steps if add else steps
            return
        s, t, i = self._places()
        whole[t, i] = whole[t, i] + steps[s, i] if add else steps[s, i]

    @property
    def _scattered(self) -> bool:
        return self.reverse and self.lengths is not None

    def _places(self) -> tuple[Array, Array, Array]:
        """s, counted from `begin`, t and example of every valid step."""
        assert self.lengths is not None
        s, i = np.nonzero(np.arange(self.begin, self.end)[:, None] < self.lengths)
        return s, self.lengths[i] - 1 - self.begin - s, i


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
