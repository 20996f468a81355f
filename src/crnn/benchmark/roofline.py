"""What the hardware allows: its peaks, measured, and the least time that a case needs.

References
----------
S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52 (2009) 65-76.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from crnn._engine import probe
from crnn._engine.workspace import aligned
from crnn.benchmark import machine
from crnn.benchmark.cases import Case
from crnn.reference import Array

#: Seconds that one probe takes: 1 % of it is more than a thread needs to start.
PROBE = 4e-3


@dataclass(frozen=True)
class Peaks:
    """What a number of threads can do together: operations and bytes in a second."""

    fma: float  # float32
    L2: float
    L3: float


def flops(case: Case, operation: str) -> int:
    """Operations of the products, a multiply-add being two.

    Forward has ``Waa a<t-1>`` and ``Wax x<t>``. Backward has two of each: towards the state or
    input, and towards the weights. tanh and the bias are left out: they can be had beside the
    products.
    """
    forward = 2 * case.T * case.m * case.n_a * (case.n_a + case.n_x)
    return forward if operation == "forward" else 3 * forward


def weight_bytes(case: Case, operation: str) -> int:
    """Bytes of Waa that must be read: all of it at each step, forward and again backward.

    A step waits for the one before, so Waa cannot be read once for two of them; what is read once
    in all (Wax, x, the states) is left out.
    """
    sweeps = case.T if operation == "forward" else 2 * case.T
    return sweeps * case.n_a**2 * np.dtype(case.dtype).itemsize


def least_seconds(
    case: Case, operation: str, peaks: Peaks, threads: int = 1, caches: dict[int, int] | None = None
) -> float:
    """The time in which no program can do it: the slower of operations and weight reads.

    Each thread reads its share of Waa from the nearest cache that holds it. One that fits the
    first level costs nothing here; one that fits none is counted from the third.
    """
    caches = machine.caches() if caches is None else caches
    itemsize = np.dtype(case.dtype).itemsize
    computing = flops(case, operation) / (peaks.fma * 4 / itemsize)
    share = case.n_a**2 * itemsize / threads
    if share <= caches.get(1, 0):
        return computing
    bandwidth = peaks.L2 if share <= caches.get(2, 0) else peaks.L3
    return max(computing, weight_bytes(case, operation) / bandwidth)


class Probes:
    """The C probes, on a number of threads at once."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)
        caches = machine.caches()
        L2 = caches.get(2, 512 << 10)
        self._near = [_buffer(L2 // 2) for _ in range(threads)]
        self._far = [_buffer(4 * L2) for _ in range(threads)]

    def measure(self) -> Peaks:
        """One short measurement of everything."""
        return Peaks(
            fma=self._rate([probe.fma] * self._threads),
            L2=self._rate([_reader(x) for x in self._near]),
            L3=self._rate([_reader(x) for x in self._far]),
        )

    def _rate(self, probes: list[Callable[[int], float]]) -> float:
        """Work in a second, all threads together."""
        return sum(self._pool.map(_rate, probes))


def _reader(x: Array) -> Callable[[int], float]:
    return lambda rounds: probe.read(x, rounds)


def _buffer(size: int) -> Array:
    """Ones: size bytes of float32, aligned to cache lines, in whole blocks of the probe."""
    n = max(1, size // 4 // probe.BLOCK) * probe.BLOCK
    x = aligned(n, np.dtype("float32"))
    x[...] = 1
    return x


def _rate(probe: Callable[[int], float]) -> float:
    """Work in a second: rounds are doubled until one call lasts as long as it should."""
    rounds = 1
    while True:
        began = time.perf_counter()
        work = probe(rounds)
        seconds = time.perf_counter() - began
        if seconds >= PROBE:
            return work / seconds
        rounds *= 2 if seconds < PROBE / 4 else 4
