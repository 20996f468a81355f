"""Weights that are packed once for many forward calls, while they stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crnn._engine import kernels
from crnn._engine.recurrence import Packed
from crnn.reference import Array

#: Calls of at least this many rows pack again: that takes less than a hundredth of their time.
FEW_ROWS = 2000


class PackedWeights:
    """The packed weights of some recurrences, and copies of the arrays that hold those weights.

    Weights may be written at any time, through any view of their memory. So each call compares
    them with the copies, byte by byte. Packing takes 1.2 to 3 times as long as that.
    """

    def __init__(self) -> None:
        # One tuple, so that a thread never sees the copies of another thread's packed weights.
        self._kept: tuple[list[Array], list[Packed]] = ([], [])

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy starts anew: weights are packed for the kernels of one process.
        return PackedWeights, ()

    def of(self, weights: Sequence[Array], recurrences: int, rows: int) -> list[Packed | None]:
        """The packed weights of each recurrence, for a call of so many rows.

        `weights` are contiguous arrays that together hold the weights and biases of them all.
        """
        if rows >= FEW_ROWS:
            return [None] * recurrences
        copies, packed = self._kept
        same = len(copies) == len(weights) and all(map(kernels.same_bits, weights, copies))
        if not same:
            copies = [a.reshape(-1).copy() for a in weights]
            packed = [{} for _ in range(recurrences)]
            self._kept = copies, packed
        return [*packed]
