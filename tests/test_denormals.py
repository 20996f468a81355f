"""A vanishing gradient becomes denormal; the kernels flush denormals to zero.

`bench/test_vanishing.py` measures the time that this saves.
"""

import numpy as np
import pytest

import crnn
from crnn._engine import kernels
from crnn._network.initial import orthogonal

T, M, N_X, N_A = 2000, 8, 8, 64  # 8 rows: enough for two threads


@pytest.mark.parametrize("n", [1, 2], ids=["1 thread", "2 threads"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.995, 0.3])
def test_nothing_denormal_comes_out(scale, dtype, n, table, threads):
    """States and gradients that decay to denormals are flushed on every thread.

    They decay by a factor of 0.995 per step, so they would be denormal for the rest of the
    sequence.
    """
    threads(n)
    rng = np.random.default_rng(0)
    Waa = (scale * orthogonal(N_A, rng)).astype(dtype)
    Wax = rng.standard_normal((N_A, N_X)).astype(dtype)
    tiny = np.finfo(dtype).tiny  # the smallest normal number
    x = np.zeros((T, M, N_X), dtype)
    x[0] = 10 * tiny
    a = crnn.rnn_forward(x, Waa, Wax)
    da = np.zeros_like(a)
    da[-1] = 10 * tiny
    g = crnn.rnn_backward(da, a, x, Waa, Wax)
    assert np.any(a)
    assert np.any(g.dx)
    # The products after the last step may run on BLAS's threads, which keep their denormals.
    for result in (a,) if table == "blas" and n > 1 else (a, g.dx, g.dWaa):
        assert not np.any((result != 0) & (np.abs(result) < tiny))


@pytest.fixture
def threads():
    before = crnn.get_num_threads()
    yield crnn.set_num_threads
    crnn.set_num_threads(before)


@pytest.mark.parametrize("n", [1, 2])
def test_the_callers_denormals_are_left_on(n, threads):
    threads(n)
    crnn.rnn_forward(np.ones((200, 64, 64)), np.eye(64), np.eye(64))
    kernels.sgd(np.ones(4), np.ones(4), None, 0.1, 0.0)
    assert np.float32(1e-40) * np.float32(0.5) > 0
