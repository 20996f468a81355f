"""Timing calls within one process."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

#: The least seconds between two readings of the clock; a reading costs about 1e-7.
SAMPLE = 1e-4


def time_calls(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call in seconds, over samples that take about `seconds` in all.

    The first call is not timed: after another process's turn it refills the caches and wakes the
    threads.
    """
    call()
    number, samples = 1, []
    collecting = gc.isenabled()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while True:
            began = time.perf_counter()
            for _ in range(number):
                call()
            now = time.perf_counter()
            if now - began >= SAMPLE or number > 1:
                samples.append((now - began) / number)
                if now >= end:
                    return statistics.median(samples)
            else:
                number = max(2, round(SAMPLE / (now - began)))
    finally:
        if collecting:
            gc.enable()


def fastest(calls: Sequence[Callable[[], Any]], seconds: float = 0.01, rounds: int = 3) -> int:
    """The index of the fastest call. The calls take turns in every round."""
    times = [[time_calls(call, seconds) for call in calls] for _ in range(rounds)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    return medians.index(min(medians))
