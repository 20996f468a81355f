"""crnn and each installed peer under pytest-benchmark.

    python -m pytest bench --benchmark-only

Each group is a shape (T, m, n_x, n_a) and an operation. All implementations share one process and
one thread, which is convenient while working on a change. `crnn bench` runs them in separate
processes that take turns, so its ratios are the ones to quote.
"""

import numpy as np
import pytest

import crnn
from crnn.benchmark import OPERATIONS, PEERS, QUICK, Case, machine, peers, worker

NAMES = [peers.OURS, *(name for name, peer in PEERS.items() if not peer.on_request)]


@pytest.fixture(scope="module")
def handler():
    """A function that starts each implementation once, and skips the test if it cannot run here."""
    started = {}

    def start(name):
        peer = peers.find(name)
        reason = peer.missing()
        if reason is not None:
            pytest.skip(f"{name}: {reason}")
        if name not in started:
            for variable, value in peer.environment(1).items():
                patch.setenv(variable, value)
            started[name] = worker.Handler(peer(), threads=1)
        return started[name]

    threads = crnn.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, machine.pinned(1):
        yield start
    crnn.set_num_threads(threads)


@pytest.mark.filterwarnings("default")  # warnings of other libraries do not matter here
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("shape", QUICK)
def test_sequence(benchmark, handler, shape, operation, name):
    benchmark.group = f"{shape} {operation}"
    case, one = Case.parse(shape), handler(name)
    reasons = one.prepare(case)  # compares its numbers with crnn's
    if operation in reasons:
        pytest.skip(f"{name}: {reasons[operation]}")
    benchmark(one.call(case, operation))
    one.forget()


def test_training_step(benchmark):
    """One step of the model that `crnn train` trains, optimizer included."""
    benchmark.group = "training"
    model = crnn.RNN(100, 256, 100, steps="all", rng=0)
    symbols = np.random.default_rng(0).integers(0, 100, 32 * 64 + 32)
    adam = crnn.Adam()
    benchmark(model.fit_stream, symbols, epochs=1, optimizer=adam, clip_norm=1.0, progress=False)


def test_stream_step(benchmark):
    benchmark.group = "streaming"
    stream = crnn.RNN(64, 64, 8, steps="all", rng=0).stream()
    benchmark(stream.step, np.zeros((1, 64), np.float32))
