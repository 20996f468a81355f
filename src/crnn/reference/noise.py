"""Normal numbers from a counter: each depends on the seed, t, the example and the unit only.

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011: Philox4x32-10, whose constants these are.
G. E. P. Box and M. E. Muller, "A note on the generation of random normal deviates", Annals of
Mathematical Statistics 29 (1958) 610-611.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.reference.loop import Array

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_LOW, _WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: Array, key: tuple[int, int]) -> Array:
    """Philox4x32-10: four random words (4, ...) from the words of a counter (4, ...) and a key.

    Parameters
    ----------
    counter : uint64 array (4, ...)
        Words below 2^32.
    key : two integers below 2^32

    Returns
    -------
    words : uint64 array (4, ...)

    Examples
    --------
    >>> [hex(word) for word in philox(np.zeros(4, np.uint64), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    for i in range(10):
        k0, k1 = (np.uint64((key[j] + i * _WEYL[j]) & 0xFFFFFFFF) for j in range(2))
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> _WORD) ^ c1 ^ k0, p1 & _LOW, (p0 >> _WORD) ^ c3 ^ k1, p0 & _LOW
    return np.stack([c0, c1, c2, c3])


def normal(seed: int, T: int, m: int, n: int) -> Array:
    """Standard normal numbers (T, m, n): two units share the four words of a counter.

    Parameters
    ----------
    seed : int
        64 bits.
    T, m, n : int

    Returns
    -------
    xi : float64 array (T, m, n)

    Examples
    --------
    >>> bool(abs(normal(0, 100, 10, 10).mean()) < 0.03)
    True
    """
    shape: Any = (T, m, (n + 1) // 2)
    t, example, pair = (
        np.broadcast_to(i, shape).astype(np.uint64) for i in np.ogrid[:T, :m, : shape[2]]
    )
    counter = np.stack([pair, example, t & _LOW, t >> _WORD])
    w0, w1, w2, w3 = philox(counter, (seed & 0xFFFFFFFF, seed >> 32))
    # 53 bits each: u in (0, 1], and an angle in [0, 2 pi)
    u = ((w0 << _WORD | w1) >> np.uint64(11)).astype(float) * 2.0**-53 + 2.0**-53
    angle = 2 * np.pi * (((w2 << _WORD | w3) >> np.uint64(11)).astype(float) * 2.0**-53)
    radius = np.sqrt(-2 * np.log(u))
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    xi: Array = pairs.reshape(T, m, -1)[:, :, :n]
    return xi
