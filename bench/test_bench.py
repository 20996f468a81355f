"""Speed of the kernels and of training, under pytest-benchmark.

    python -m pytest bench --benchmark-only

Each group is a shape (T, m, n_x, n_a); the NumPy reference stands beside the kernels at the first.
"""

import numpy as np
import pytest

import crnn
from crnn import check, reference

SHAPES = [(100, 1, 32, 32), (100, 1, 512, 512), (100, 32, 128, 128), (64, 32, 256, 256)]


def name(shape):
    return "x".join(map(str, shape))


@pytest.fixture(params=SHAPES, ids=name)
def case(request, benchmark):
    benchmark.group = name(request.param)
    return check.problem(*request.param, dtype="float32")


def test_forward(benchmark, case):
    benchmark(crnn.rnn_forward, **case.arguments)


def test_backward(benchmark, case):
    a = crnn.rnn_forward(**case.arguments)
    benchmark(check.backward_of, crnn.rnn_backward, case, a)


@pytest.mark.parametrize("shape", SHAPES[2:3], ids=name)
class TestReference:
    def test_forward(self, benchmark, shape):
        benchmark.group = name(shape)
        benchmark(reference.rnn_forward, **check.problem(*shape, dtype="float32").arguments)

    def test_backward(self, benchmark, shape):
        benchmark.group = name(shape)
        case = check.problem(*shape, dtype="float32")
        a = reference.rnn_forward(**case.arguments)
        benchmark(check.backward_of, reference.rnn_backward, case, a)


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
