"""Measure how long single steps of a stream take, and how much that varies.

    python bench/stream_latency.py --json bench/results/stream_avx512.json

One example, n_x = n_a inputs and units, an output layer of one unit, float32, one thread. Each step
is timed on its own, in two ways: one step after the other; and at a fixed rate, 1000 a second, with
`time.sleep` until the next is due. After a pause caches are colder and the processor may have
slowed down, so a step takes longer. A step is missed if it ends after the next one was due,
for instance because the system ran another program meanwhile.

The garbage collector is off while steps are timed, as docs/streaming.md advises. On a machine that
does other work, `chrt -f 50 python ...` (Linux, as root) gives the process priority over it.
"""

import argparse
import gc
import json
import time
from pathlib import Path

import numpy as np

import crnn
from crnn.benchmark import machine

QUANTILES = {"median": 0.5, "p99": 0.99, "p99.9": 0.999, "most": 1.0}


def prepared(cell, units):
    """A function that runs one step of a new stream."""
    model = crnn.RNN(units, units, 1, cell=cell, steps="all", loss="mse", rng=0)
    stream = model.stream()
    x = np.random.default_rng(0).standard_normal((1, units)).astype("float32")
    y_hat = np.empty((1, 1), "float32")
    return lambda: stream.step(x, y_hat)


def one_after_another(step, n):
    """Seconds of each of n steps."""
    clock, times = time.perf_counter_ns, np.empty(n, np.int64)
    for k in range(n):
        began = clock()
        step()
        times[k] = clock() - began
    return times / 1e9


def at_a_rate(step, n, rate):
    """Seconds of each of n steps at a rate, and how many ended after the next one was due."""
    clock, times, missed = time.perf_counter, np.empty(n), 0
    start = clock() + 0.01
    for k in range(n):
        due = start + k / rate
        while (left := due - clock()) > 0:
            time.sleep(left)
        began = clock()
        step()
        ended = clock()
        times[k] = ended - began
        missed += ended > due + 1 / rate
    return times, missed


def in_microseconds(times):
    return {name: float(np.quantile(times, q)) * 1e6 for name, q in QUANTILES.items()}


def measured(cell, units, steps, rate, seconds):
    """A row: the two ways of one model."""
    step = prepared(cell, units)
    one_after_another(step, 1000)
    gc.collect()
    gc.disable()
    try:
        busy = one_after_another(step, steps)
        paced, missed = at_a_rate(step, int(rate * seconds), rate)
    finally:
        gc.enable()
    return {
        "cell": cell,
        "units": units,
        "one after another": in_microseconds(busy),
        "at a rate": in_microseconds(paced),
        "missed": missed,
        "due": len(paced),
    }


def main(cells, units, steps, rate, seconds, path):
    crnn.set_num_threads(1)
    rows = []
    whole = {"machine": machine.describe(), "versions": {}, "steps": steps, "rate": rate}
    print(f"microseconds a step: {', '.join(QUANTILES)}; steps missed at {rate:g} a second")
    for cell in cells:
        for n in units:
            row = measured(cell, n, steps, rate, seconds)
            rows.append(row)
            ways = (
                " ".join(f"{value:9.2f}" for value in row[way].values())
                for way in ("one after another", "at a rate")
            )
            print(f"{cell:8} {n:4} | {' | '.join(ways)} | {row['missed']} of {row['due']}")
    if path is not None:
        path.write_text(json.dumps(whole | {"rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=["vanilla", "gru", "lstm"])
    parser.add_argument("--units", type=int, nargs="+", default=[16, 64, 128, 256, 512])
    parser.add_argument("--steps", type=int, default=100_000, help="one after another")
    parser.add_argument("--rate", type=float, default=1000.0, help="steps a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="at that rate")
    parser.add_argument("--json", type=Path, dest="path", metavar="FILE")
    main(**vars(parser.parse_args()))
