"""A gradient that vanishes ends in denormals, and must cost no more than one that does not."""

import time

import numpy as np
import pytest

import crnn
from crnn import _kernels
from crnn.initial import orthogonal

T, M, N_X, N_A = 2000, 8, 8, 64  # 8 rows: enough for two threads


def ratio(call, one, other):
    """The time of a call on one problem over that on another: each the fastest of many, in turns.

    Both problems are copied into the same memory before the clock starts: where an array lies, and
    in pages of which size, may be worth a tenth.
    """
    place, fastest = [np.empty_like(array) for array in one], [np.inf, np.inf]
    for _ in range(12):
        for k, problem in enumerate((one, other)):
            for here, array in zip(place, problem, strict=True):
                np.copyto(here, array)
            began = time.perf_counter()
            call(*place)
            fastest[k] = min(fastest[k], time.perf_counter() - began)
    return fastest[0] / fastest[1]


@pytest.mark.parametrize("n", [1, 2], ids=["1 thread", "2 threads"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.995, 0.3])
def test_what_vanishes_costs_what_is_healthy(scale, dtype, n, table, threads):
    """The same network, with a signal and an error so small that they fade into denormals.

    At 0.995 a step they would stay there for the whole of the sequence. What that costs depends on
    the processor (1.4 times as much on AMD Zen 3, many times on Intel's), so it is also seen that
    nothing denormal comes out, of any thread.
    """
    threads(n)
    rng = np.random.default_rng(0)
    Waa = (scale * orthogonal(N_A, rng)).astype(dtype)
    Wax = rng.standard_normal((N_A, N_X)).astype(dtype)
    tiny = np.finfo(dtype).tiny
    out, problems = np.empty((T, M, N_A), dtype), []

    def forward(x, a, da):
        crnn.rnn_forward(x, Waa, Wax, out=out)

    def backward(x, a, da):
        crnn.rnn_backward(da, a, x, Waa, Wax)

    for size in (0.1, 10 * tiny):
        x = np.zeros((T, M, N_X), dtype)
        x[0] = size
        a = crnn.rnn_forward(x, Waa, Wax)
        da = np.zeros_like(a)
        da[-1] = size
        g = crnn.rnn_backward(da, a, x, Waa, Wax)
        # The products after the last step may run on BLAS's threads, which keep their denormals.
        for result in (a,) if table == "blas" and n > 1 else (a, g.dx, g.dWaa):
            assert not np.any((result != 0) & (np.abs(result) < tiny))
        problems.append((x, a, da))
    healthy, vanishing = problems
    for call in (forward, backward):
        assert any(ratio(call, vanishing, healthy) <= 1.1 for _ in range(3))


@pytest.fixture
def threads():
    before = crnn.get_num_threads()
    yield crnn.set_num_threads
    crnn.set_num_threads(before)


@pytest.mark.parametrize("n", [1, 2])
def test_the_callers_denormals_are_left_on(n, threads):
    threads(n)
    crnn.rnn_forward(np.ones((200, 64, 64)), np.eye(64), np.eye(64))
    _kernels.sgd(np.ones(4), np.ones(4), None, 0.1, 0.0)
    assert np.float32(1e-40) * np.float32(0.5) > 0
