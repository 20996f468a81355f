"""Dropout by a counter: whether a unit is dropped depends on the seed, t, the example and the unit.

References
----------
N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way
to prevent neural networks from overfitting", Journal of Machine Learning Research 15 (2014)
1929-1958.
W. Zaremba, I. Sutskever and O. Vinyals, "Recurrent neural network regularization", arXiv:1409.2329
(2014): between layers, not between steps.
"""

from __future__ import annotations

import numpy as np

from crnn.reference.loop import Array
from crnn.reference.noise import philox


def dropout(seed: int, T: int, m: int, n: int, rate: float) -> Array:
    """The factors of dropout: 0 for a share `rate` of the units, and 1 / (1 - rate) for the others.

    Four units share the four words of a counter: unit ``32 b + 8 k + p`` has word k of counter
    ``8 b + p``.

    Parameters
    ----------
    seed : int
        64 bits.
    T, m, n : int
    rate : float
        In [0, 1).

    Returns
    -------
    factors : float64 array (T, m, n)

    Examples
    --------
    >>> bool(abs(dropout(0, 100, 10, 10, 0.2).mean() - 1) < 0.03)
    True
    """
    blocks = -(-n // 32)
    t, example, counter = (
        np.broadcast_to(i, (T, m, 8 * blocks)).astype(np.uint64)
        for i in np.ogrid[:T, :m, : 8 * blocks]
    )
    low, word = np.uint64(0xFFFFFFFF), np.uint64(32)
    key = (seed & 0xFFFFFFFF, seed >> 32)
    words = philox(np.stack([counter, example, t & low, t >> word]), key)  # (4, T, m, 8 blocks)
    by_unit = words.reshape(4, T, m, blocks, 8).transpose(1, 2, 3, 0, 4).reshape(T, m, -1)[..., :n]
    kept: Array = by_unit >= np.uint64(int(rate * 2**32))
    return kept / (1 - rate)
