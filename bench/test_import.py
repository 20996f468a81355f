"""The time of `import crnn`, compared with importing the libraries that it needs."""

import statistics
import subprocess
import sys
import time

MOST = 0.1  # seconds


def seconds(modules):
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
    return time.perf_counter() - began


def test_importing_costs_at_most_a_tenth_of_a_second():
    """Beyond the time of numpy and scipy.linalg: medians of interleaved runs."""
    base, with_crnn = "numpy, scipy.linalg", "numpy, scipy.linalg, crnn"
    times = [(seconds(base), seconds(with_crnn)) for _ in range(5)]
    without, whole = (statistics.median(column) for column in zip(*times, strict=True))
    assert whole - without < MOST
