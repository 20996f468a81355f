"""The limits of the hardware: its measured peaks, and the least time that a case needs.

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

#: Seconds of one probe. Starting a thread takes less than 1 % of it.
PROBE = 4e-3


@dataclass(frozen=True)
class Peaks:
    """Operations and bytes per second of a number of threads together."""

    fma: float  # float32
    L2: float
    L3: float


def flops(case: Case, operation: str) -> int:
    """Floating-point operations of the products; a multiply-add is two.

    Forward has ``Waa a<t-1>`` and ``Wax x<t>``. Backward has two products for each of them: one for
    the gradient of the state or input, one for that of the weights. Each gate has products of its
    own. What is done to each element is not counted, because it can overlap with the products.
    """
    forward = 2 * case.T * case.m * case.gates * case.n_a * (case.n_a + case.n_x)
    return forward if operation == "forward" else 3 * forward


def weight_bytes(case: Case, operation: str) -> int:
    """Bytes of Waa that must be read: all of it at each step, forward and again backward.

    A step needs the result of the one before, so one reading of Waa cannot serve two steps. Arrays
    that are read only once (Wax, x, the states) are not counted.
    """
    sweeps = case.T if operation == "forward" else 2 * case.T
    return sweeps * case.gates * case.n_a**2 * np.dtype(case.dtype).itemsize


def least_seconds(
    case: Case, operation: str, peaks: Peaks, threads: int = 1, caches: dict[int, int] | None = None
) -> float:
    """A lower bound for the time of any program: that of the operations or of reading Waa.

    Each thread reads its share of Waa from the nearest cache that can hold it. Reading a share that
    fits into the first level is free; one that fits into no cache is taken to be in the third.
    """
    caches = machine.caches() if caches is None else caches
    itemsize = np.dtype(case.dtype).itemsize
    computing = flops(case, operation) / (peaks.fma * 4 / itemsize)
    share = case.gates * case.n_a**2 * itemsize / threads
    if share <= caches.get(1, 0):
        return computing
    bandwidth = peaks.L2 if share <= caches.get(2, 0) else peaks.L3
    return max(computing, weight_bytes(case, operation) / bandwidth)


class Probes:
    """The C probes, run on several threads at once."""

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
        """Work per second of all threads together."""
        return sum(self._pool.map(_rate, probes))


def _reader(x: Array) -> Callable[[int], float]:
    return lambda rounds: probe.read(x, rounds)


def _buffer(size: int) -> Array:
    """About `size` bytes of float32 ones, aligned to cache lines, in whole blocks of the probe."""
    n = max(1, size // 4 // probe.BLOCK) * probe.BLOCK
    x = aligned(n, np.dtype("float32"))
    x[...] = 1
    return x


def _rate(probe: Callable[[int], float]) -> float:
    """Work per second. The number of rounds grows until a call takes PROBE seconds."""
    rounds = 1
    while True:
        began = time.perf_counter()
        work = probe(rounds)
        seconds = time.perf_counter() - began
        if seconds >= PROBE:
            return work / seconds
        rounds *= 2 if seconds < PROBE / 4 else 4
