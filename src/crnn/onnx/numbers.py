"""Numbers that represent values, with which the reader follows a graph through any reshaping.

Every value that depends on the model's input gets its own number, and operators that only move
values (Transpose, Reshape, Gather, Concat, ...) are run on the numbers. Their new positions show
which value was moved where.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crnn.reference import Array

#: Numbers of all nodes. A graph of a few bytes may have any fixed sizes, and numbers take memory.
LARGEST = 2**27


@dataclass(eq=False)
class Rows:
    """`count` rows of `width` values each, numbered from `first` on."""

    first: int
    count: int
    width: int
    of: Any  # the object whose values they are

    @property
    def numbers(self) -> Array:
        """The numbers in order: (count, width)."""
        return self.first + np.arange(self.count * self.width).reshape(self.count, self.width)


#: The number that represents the value -inf.
LOWEST = -1


class Ledger:
    """All rows created so far. Their numbers begin at 1, since 0 represents the value 0."""

    def __init__(self) -> None:
        self._rows: list[Rows] = []

    def rows(self, count: int, width: int, of: Any) -> Rows:
        """New rows; raises ValueError if they are too many."""
        last = self._rows[-1] if self._rows else None
        first = 1 if last is None else last.first + last.count * last.width
        if first + count * width > LARGEST:
            raise ValueError(
                f"sizes: expected at most {LARGEST} values in all, got {count * width} more than "
                f"{first - 1}: export the graph with a symbolic T and m"
            )
        self._rows.append(Rows(first, count, width, of))
        return self._rows[-1]

    def owner(self, number: int) -> Rows | None:
        """The rows that contain a number."""
        for rows in self._rows:
            if rows.first <= number < rows.first + rows.count * rows.width:
                return rows
        return None

    def whole_rows(self, numbers: Array) -> list[tuple[Rows, Array]] | None:
        """What the last axis consists of, if it is whole rows side by side, each in order.

        Each item is some Rows, and the index of the row at each position of the other axes.
        """
        found, k = [], 0
        while k < numbers.shape[-1]:
            first = numbers[..., k]
            rows = self.owner(int(first.flat[0]))
            if rows is None or k + rows.width > numbers.shape[-1]:
                return None
            which = (first - rows.first) // rows.width
            if which.min() < 0 or which.max() >= rows.count:
                return None
            if not np.array_equal(numbers[..., k : k + rows.width], rows.numbers[which]):
                return None
            found.append((rows, which))
            k += rows.width
        return found or None
