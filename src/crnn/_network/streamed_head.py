"""The output layer at every step, on outputs that come and go a window at a time."""

from __future__ import annotations

import numpy as np

from crnn._engine import kernels
from crnn._network.passes import Pass
from crnn._network.segments import STRETCH, Window
from crnn.reference import Array


class StreamedHead:
    """Logits of all rows, and the gradients, from the top's outputs in rising, then falling order.

    Only for a model that reads left to right: its windows are neighbouring rows of the logits.
    """

    def __init__(self, run: Pass, T: int, m: int) -> None:
        lengths, buffers = run.lengths, run.buffers
        self._Wya, self._by = run.parameters["Wya"], run.parameters["by"]
        self._n_y, self._n_a = self._Wya.shape
        self._m, self._buffers = m, buffers
        #: (T + 1,): the valid rows before each step, with lengths
        self._before: Array | None = None
        self._rows = T * m
        if lengths is not None:
            running = m - np.bincount(lengths, minlength=T + 1).cumsum()[:T]
            self._before = np.concatenate([[0], running.cumsum()])
            self._rows = int(self._before[-1])
        self.logits = buffers.array("logits", (self._rows, self._n_y))
        self._sums: list[Array] = []  # dWya of each stretch, the last one first
        self._stretch = (self._rows - 1) // STRETCH  # the one whose rows come now

    def forward(self, window: Window, a: Array) -> None:
        """Fill the logits of a window from its outputs (steps, m, n_a)."""
        r0, r1, features = self._features(window, a)
        kernels.output_forward(self._Wya, self._by, features, self.logits[r0:r1])

    def backward(self, window: Window, a: Array) -> Array:
        """dL/da (steps, m, n_a) of a window's outputs; the logits are their gradient by now."""
        r0, r1, features = self._features(window, a)
        self._sum(r0, r1, features)
        da = self._buffers.array("da", a.shape)
        mask = self._valid(window)
        rows = da.reshape(-1, self._n_a)
        if mask is not None:
            rows.fill(0)  # past an example's length
        found = rows if mask is None else np.empty_like(features)  # (rows, n_a)
        zeros = np.zeros(self._n_a, a.dtype)
        kernels.output_forward(self._Wya.T.copy(), zeros, self.logits[r0:r1], found)
        if mask is not None:
            rows[mask] = found
        return da

    def write_sums(self, dWya: Array, dby: Array) -> None:
        """Fill the gradients after the first window."""
        dWya[...] = self._sums.pop()
        while self._sums:
            dWya += self._sums.pop()
        kernels.sum_rows(self.logits, dby)

    def _valid(self, window: Window) -> Array | None:
        """The rows of a window that count (steps m,), or None for all."""
        lengths = window.own_lengths
        if lengths is None:
            return None
        return (np.arange(window.steps)[:, None] < lengths).reshape(-1)

    def _features(self, window: Window, a: Array) -> tuple[int, int, Array]:
        """The rows of the logits that a window has, and their features (rows, n_a)."""
        rows, mask = a.reshape(-1, self._n_a), self._valid(window)
        if self._before is None:
            return window.begin * self._m, window.end * self._m, rows
        return int(self._before[window.begin]), int(self._before[window.end]), rows[mask]

    def _sum(self, r0: int, r1: int, features: Array) -> None:
        """Add rows r0 to r1 to the sums. Rows that an earlier call had may come again."""
        r1 = min(r1, (self._stretch + 1) * STRETCH)
        while r1 > r0:
            begin = self._stretch * STRETCH
            end = min(begin + STRETCH, self._rows)
            stretch = self._buffers.array("stretch", (min(STRETCH, self._rows), self._n_a))
            low = max(r0, begin)
            stretch[low - begin : r1 - begin] = features[low - r0 : r1 - r0]
            if low == begin:
                dWya, dby = np.empty_like(self._Wya), np.empty_like(self._by)
                kernels.output_backward(
                    self._Wya, self.logits[begin:end], stretch[: end - begin], dWya, dby, None
                )
                self._sums.append(dWya)
                self._stretch -= 1
            r1 = low
