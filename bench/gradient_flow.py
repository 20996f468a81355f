"""What `crnn.inspect.gradient_flow` and `fit(inspect=True)` cost beside `RNN.gradients` and `fit`.

    python bench/gradient_flow.py

On one thread. Both take turns, and the ratio of the medians of processor time is printed, which
other load on the machine affects least. An epoch of `fit` has 32 batches, of which one is measured.
"""

import statistics
import time

import numpy as np

import crnn

SHAPES = (1000, 32, 64, 64), (100, 32, 128, 128), (100, 64, 256, 256), (100, 16, 64, 64)
ROUNDS, BATCHES = 15, 32


def seconds(function):
    began = time.process_time()
    function()
    return time.process_time() - began


def ratio(function, other, rounds):
    """The median time of function and how many times as long other takes."""
    function(), other()
    times = [(seconds(function), seconds(other)) for _ in range(rounds)]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    return first, second / first


def measure(cell, T, m, n_x, n_a):
    model = crnn.RNN(n_x, n_a, 5, cell=cell, rng=0)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((T, m, n_x), np.float32), rng.integers(0, 5, m)
    plain, flow = ratio(
        lambda: model.gradients(x, y), lambda: crnn.inspect.gradient_flow(model, x, y), ROUNDS
    )
    data = np.tile(x[: T // 4], (1, BATCHES, 1)), np.tile(y, BATCHES)
    options = {"epochs": 1, "batch_size": m, "progress": False, "rng": 0}
    epoch, inspected = ratio(
        lambda: model.fit(*data, **options),
        lambda: model.fit(*data, **options, inspect=True),
        ROUNDS // 3,
    )
    print(
        f"{f'{T}, {m}, {n_x}, {n_a}':18} {cell:8} {1e3 * plain:9.2f} ms {flow:6.2f} "
        f"{1e3 * epoch:9.2f} ms {inspected:9.3f}",
        flush=True,
    )


def main():
    crnn.set_num_threads(1)
    print(f"{'T, m, n_x, n_a':18} {'cell':8} {'gradients':>12} {'flow':>6} {'epoch':>12} inspected")
    for shape in SHAPES:
        for cell in ("vanilla", "gru", "lstm"):
            measure(cell, *shape)


if __name__ == "__main__":
    main()
