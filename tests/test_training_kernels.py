"""The kernels of training, on every table, against NumPy: losses, updates, sums."""

import numpy as np
import pytest

from crnn import check, reference
from crnn._engine import kernels

SIZES = (1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 100)
DTYPES = ("float32", "float64")

pytestmark = [
    pytest.mark.usefixtures("table"),
    pytest.mark.parametrize("dtype", DTYPES),
    pytest.mark.parametrize("n", SIZES),
]


def draw(n, dtype, *more, seed=0):
    return np.random.default_rng([n, seed]).standard_normal((*more, n)).astype(dtype)


def assert_near(result, truth, dtype, terms):
    assert check.relative_error(result, truth) <= check.tolerance(dtype, terms)


def test_softmax(n, dtype):
    logits = 5 * draw(n, dtype, 7)
    truth = reference.softmax(logits.astype("float64"))
    kernels.softmax(logits)
    assert_near(logits, truth, dtype, n)


@pytest.mark.parametrize("large", [0, 1e4], ids=["", "large"])
def test_cross_entropy(n, dtype, large):
    logits = 5 * draw(n, dtype, 7)
    logits[:, n // 2] += logits.dtype.type(large)
    y = np.random.default_rng(n).integers(0, n, 7)
    exact = logits.astype("float64")
    loss, accuracy = kernels.cross_entropy(logits, y)
    truth = reference.cross_entropy(exact, y) / 7
    # Off by the rounding of the sum of exponentials only: the logits are subtracted in double.
    assert abs(loss - truth) <= check.tolerance(dtype, n) + 4e-16 * abs(truth)
    assert accuracy == np.mean(exact.argmax(axis=1) == y)
    difference = logits - reference.cross_entropy_backward(exact, y) / 7
    assert np.max(np.abs(difference)) * 7 <= check.tolerance(dtype, n)


def test_weighted_cross_entropy(n, dtype):
    logits = 5 * draw(n, dtype, 7)
    rng = np.random.default_rng(n)
    y, w = rng.integers(0, n, 7), rng.exponential(size=7).astype(dtype)
    w[3] = 0
    exact, exact_w = logits.astype("float64"), w.astype("float64")
    loss, accuracy = kernels.cross_entropy(logits, y, w)
    truth = reference.cross_entropy(exact, y, exact_w) / 7
    assert abs(loss - truth) <= w.max() * check.tolerance(dtype, n) + 4e-16 * abs(truth)
    assert accuracy == pytest.approx(np.mean(exact_w * (exact.argmax(axis=1) == y)), rel=1e-15)
    difference = logits - reference.cross_entropy_backward(exact, y, exact_w) / 7
    assert np.max(np.abs(difference)) * 7 <= w.max() * check.tolerance(dtype, n)
    assert np.all(logits[3] == 0)


def test_the_norm_and_clipping_to_it(n, dtype):
    g = draw(n, dtype)
    truth = np.sqrt(np.sum(np.square(g, dtype="float64")))
    clipped = g * g.dtype.type(truth / 2 / truth)
    assert kernels.clip(g, truth / 2) == pytest.approx(truth, rel=check.tolerance("float64", n))
    np.testing.assert_allclose(g, clipped, rtol=4 * np.finfo(dtype).eps)


def test_what_is_not_finite_is_found_wherever_it_is(n, dtype):
    p = draw(n, dtype)
    assert kernels.all_finite(p)
    for bad in (np.nan, np.inf, -np.inf):
        for k in range(n):
            q = p.copy()
            q[k] = bad
            assert not kernels.all_finite(q)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_gradient_descent(n, dtype, momentum):
    p, g, v = (draw(n, dtype, seed=seed) for seed in range(3))
    velocity = momentum * v.astype("float64") + g
    truth = p - 0.1 * velocity
    given = v.copy() if momentum else None
    kernels.sgd(p, g.copy(), given, 0.1, momentum)
    assert_near(p, truth, dtype, 3)
    if momentum:
        assert_near(given, velocity, dtype, 2)


def test_adam(n, dtype):
    p, g, mean, square = (draw(n, dtype, seed=seed) for seed in range(4))
    square = square**2
    exact = [array.astype("float64") for array in (p, g, mean, square)]
    kernels.adam(p, g.copy(), mean, square, 0.8, 0.9, 0.1, 1.5, 1e-3)
    first = 0.8 * exact[2] + 0.2 * exact[1]
    second = 0.9 * exact[3] + 0.1 * exact[1] ** 2
    step = 0.1 * first / (1.5 * np.sqrt(second) + 1e-3)
    assert_near(mean, first, dtype, 2)
    assert_near(square, second, dtype, 2)
    assert check.relative_error(p, exact[0] - step, np.abs(exact[0]) + np.abs(step)) <= (
        check.tolerance(dtype, 4)
    )
