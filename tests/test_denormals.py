"""A gradient that vanishes ends in denormals, and must cost no more than one that does not."""

import time

import numpy as np
import pytest

import crnn
from crnn import _kernels
from crnn.initial import orthogonal


def fastest(call):
    times = []
    for _ in range(15):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def test_a_vanishing_gradient_costs_what_a_healthy_one_does():
    """1.02 times was measured; with denormals left on it is tens of times."""
    T, m, n_a = 2000, 4, 64
    rng = np.random.default_rng(0)
    x = (0.01 * rng.standard_normal((T, m, 8))).astype("f4")
    Wax = (0.1 * rng.standard_normal((n_a, 8))).astype("f4")
    Waa = orthogonal(n_a, rng).astype("f4")
    seconds = {}
    for name, scale in (("healthy", 1.0), ("vanishing", 0.3)):
        W = np.float32(scale) * Waa
        a = crnn.rnn_forward(x, W, Wax)
        da = np.zeros_like(a)
        da[-1] = 1
        g = crnn.rnn_backward(da, a, x, W, Wax)
        assert np.all(g.dx[0] == 0) == (name == "vanishing")
        faded = np.zeros_like(x)
        faded[0] = 1e-3  # the state itself fades to nothing
        seconds[name] = (
            fastest(lambda W=W, faded=faded: crnn.rnn_forward(faded, W, Wax)),
            fastest(lambda W=W, da=da, a=a: crnn.rnn_backward(da, a, x, W, Wax)),
        )
    for healthy, vanishing in zip(seconds["healthy"], seconds["vanishing"], strict=True):
        assert vanishing < 1.5 * healthy


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_denormals_are_left_on(threads):
    before = crnn.get_num_threads()
    crnn.set_num_threads(threads)
    crnn.rnn_forward(np.ones((200, 64, 64)), np.eye(64), np.eye(64))
    _kernels.sgd(np.ones(4), np.ones(4), None, 0.1, 0.0)
    crnn.set_num_threads(before)
    assert np.float32(1e-40) * np.float32(0.5) > 0
