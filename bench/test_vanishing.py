"""A vanishing gradient becomes denormal, and must take no more time than one that does not vanish.

The cost of denormals depends on the processor: if they are not flushed to zero, the whole call
takes 1.4 times as long on AMD Zen 3, and many times as long on Intel processors. `CRNN_SIMD`
selects the kernels.
"""

import time

import numpy as np
import pytest

import crnn
from crnn._network.initial import orthogonal

T, M, N_X, N_A = 2000, 8, 8, 64  # 8 rows: enough for two threads
MOST = 1.1  # times the time of a healthy signal
TRIES = 3  # measurements before the test fails


def ratio(call, one, other):
    """The time of a call on one problem divided by that on another: the fastest of many, in turns.

    Both problems are copied into the same memory before timing starts, because the address of an
    array and the size of its pages can make a difference of 10 %.
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


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = crnn.get_num_threads()
    crnn.set_num_threads(request.param)
    yield
    crnn.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.995, 0.3])
def test_a_signal_that_vanishes_costs_no_more(scale, dtype, threads):
    """The same network with two signals: a normal one, and one that decays to denormals."""
    rng = np.random.default_rng(0)
    Waa = (scale * orthogonal(N_A, rng)).astype(dtype)
    Wax = rng.standard_normal((N_A, N_X)).astype(dtype)
    out, problems = np.empty((T, M, N_A), dtype), []

    def forward(x, a, da):
        crnn.rnn_forward(x, Waa, Wax, out=out)

    def backward(x, a, da):
        crnn.rnn_backward(da, a, x, Waa, Wax)

    for size in (0.1, 10 * np.finfo(dtype).tiny):
        x = np.zeros((T, M, N_X), dtype)
        x[0] = size
        a = crnn.rnn_forward(x, Waa, Wax)
        da = np.zeros_like(a)
        da[-1] = size
        problems.append((x, a, da))
    healthy, vanishing = problems
    for call in (forward, backward):
        assert any(ratio(call, vanishing, healthy) <= MOST for _ in range(TRIES))
