"""Compare two builds of crnn, such as a wheel and what this machine compiles.

    python bench/two_builds.py PYTHON_OF_ONE PYTHON_OF_THE_OTHER

Each argument is the Python of an environment with crnn. The two take turns, in new processes, so
that both see the same machine. A time is the least of a round, in processor time of the thread,
which other programs disturb less than time on the clock; a ratio is the median over the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import time

SHAPES = [(100, 1, 32, 32), (100, 1, 512, 512), (100, 32, 128, 128), (1000, 32, 64, 64)]
GATED = (100, 32, 128, 128)
SECONDS = 0.15  # for each case and round


def cases():
    """Calls by name: the kernels of each cell, one step of a stream, an epoch."""
    import numpy as np

    import crnn

    crnn.set_num_threads(1)
    rng = np.random.default_rng(0)

    def draw(*shape):
        return 0.1 * rng.standard_normal(shape, dtype=np.float32)

    found = {}
    for cell, gates, shapes in (("rnn", 1, SHAPES), ("gru", 3, [GATED]), ("lstm", 4, [GATED])):
        forward = getattr(crnn, f"{cell}_forward")
        backward = getattr(crnn, f"{cell}_backward")
        for T, m, n_x, n_a in shapes:
            x, da = draw(T, m, n_x), draw(T, m, n_a)
            Waa, Wax, ba = draw(gates * n_a, n_a), draw(gates * n_a, n_x), draw(gates * n_a)
            s = forward(x, Waa, Wax, ba)
            size = f"{T}, {m}, {n_x}, {n_a}"
            found[f"{cell}_forward {size}"] = lambda f=forward, a=(x, Waa, Wax, ba): f(*a)
            found[f"{cell}_backward {size}"] = lambda f=backward, a=(da, s, x, Waa, Wax): f(*a)
    stream, x_t = crnn.RNN(64, 64, 8, rng=0).stream(), draw(1, 64)
    found["stream.step, 64 units"] = lambda: stream.step(x_t)
    model, x, y = crnn.RNN(32, 64, 8, rng=0), draw(50, 64, 32), rng.integers(0, 8, 64)
    found["fit, one epoch"] = lambda: model.fit(x, y, epochs=1, progress=False, rng=0)
    return found


def least(call):
    """Seconds of one call, the least of many."""
    call()
    begin = time.thread_time()
    call()
    once = max(time.thread_time() - begin, 1e-7)
    n = max(1, int(1e-3 / once))  # calls for each reading of the clock
    best = once
    for _ in range(max(8, min(60, int(SECONDS / (n * once))))):
        begin = time.thread_time()
        for _ in range(n):
            call()
        best = min(best, (time.thread_time() - begin) / n)
    return best


def measured_by(python):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, __file__, "--measure"], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({name: least(call) for name, call in cases().items()}))
        return
    if len(options.pythons) != 2:
        parser.error("expected two Pythons")
    rounds = []
    for k in range(options.rounds):
        order = options.pythons if k % 2 == 0 else options.pythons[::-1]
        times = {python: measured_by(python) for python in order}
        rounds.append([times[python] for python in options.pythons])
    ratios = {}
    for name in rounds[0][0]:
        ratios[name] = statistics.median(second[name] / first[name] for first, second in rounds)
        print(f"{name:36s} {1e6 * min(first[name] for first, _ in rounds):10.2f} us"
              f"   the other takes {ratios[name]:.3f} times that")  # fmt: skip
    print(f"geometric mean {statistics.geometric_mean(ratios.values()):.3f}")


if __name__ == "__main__":
    main()
