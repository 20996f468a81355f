"""Dropout between layers: the outputs of a layer, on their way to the layer above."""

from __future__ import annotations

from typing import NamedTuple

from crnn._engine import kernels
from crnn.reference import Array


class Dropout(NamedTuple):
    """Drops the units of one pass. It keeps no mask: the same call drops the same units."""

    rate: float
    seed: int  # below 2^63

    def apply(
        self, layer: int, x: Array, out: Array, t0: int = 0, ends: Array | None = None
    ) -> Array:
        """Fill out (T, m, n) with what `layer` reads of x, or with the gradient of x from its own.

        Both may be the same array. Step s of them is ``t0 + s``, or with ends (m,), those of a
        window in the order of reading, ``ends - 1 - s``.
        """
        # The keys from 2^63 on: the noise of the cells has those below, so the two are independent.
        kernels.dropout(x, out, self.rate, (1 << 63) + (self.seed + layer) % (1 << 63), t0, ends)
        return out
