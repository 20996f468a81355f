"""The training kernels (losses, updates, sums) of every table, compared with NumPy."""

import numpy as np
import pytest

from crnn import check, reference
from crnn._engine import kernels
from crnn._training import optim

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


def test_numbers_beyond_two_limits_are_counted(n, dtype):
    values = draw(n, dtype, 4, 3, 2)[:, :, 0]  # (4, 3, n), rows apart
    values[1, 2, 0] = np.nan
    below, above = kernels.count_beyond(values, -0.25, 0.75)
    assert (below, above) == (np.sum(values <= -0.25), np.sum(values >= 0.75))


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


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop(n, dtype, momentum):
    p, g, square, u = (draw(n, dtype, seed=seed) for seed in range(4))
    square = square**2
    exact = [array.astype("float64") for array in (p, g, square, u)]
    given = u.copy() if momentum else None
    kernels.rmsprop(p, g.copy(), square, given, 0.1, 0.8, 1e-3, momentum)
    mean = 0.8 * exact[2] + 0.2 * exact[1] ** 2
    velocity = momentum * exact[3] + exact[1] / (np.sqrt(mean) + 1e-3)
    assert_near(square, mean, dtype, 2)
    assert check.relative_error(
        p, exact[0] - 0.1 * velocity, np.abs(exact[0]) + np.abs(velocity)
    ) <= check.tolerance(dtype, 4)
    if momentum:
        assert check.relative_error(
            given, velocity, np.abs(exact[3]) + np.abs(velocity)
        ) <= check.tolerance(dtype, 4)


def test_a_confident_cross_entropy_keeps_its_digits(n, dtype):
    """log(1 + 4e-9) is 0 in float32; so is 1 - y_hat_y, the gradient of the class itself."""
    logits = draw(n, dtype, 7)
    y = np.random.default_rng(n).integers(0, n, 7)
    logits[np.arange(7), y] += logits.dtype.type(20)
    exact = logits.astype("float64")
    loss, _ = kernels.cross_entropy(logits, y)
    # Each exponential is off by the rounding of its exponent, of up to 30, and by 2 ulp.
    tolerance = 32 * float(np.finfo(dtype).eps) + check.tolerance(dtype, n)
    truth = reference.cross_entropy(exact, y) / 7
    assert (0 < truth < 1e-6) if n > 1 else truth == 0
    assert loss == pytest.approx(truth, rel=tolerance)
    dy = reference.cross_entropy_backward(exact, y) / 7
    np.testing.assert_allclose(logits, dy, rtol=tolerance)


def test_cross_entropy_leaves_out_rows_of_no_weight(n, dtype):
    logits, w = draw(n, dtype, 7), np.ones(7, dtype)
    y = np.random.default_rng(n).integers(0, n, 7)
    w[[1, 4]] = 0
    spoiled = logits.copy()
    spoiled[1], spoiled[4] = np.nan, np.inf
    assert kernels.cross_entropy(spoiled, y, w) == kernels.cross_entropy(logits, y, w)
    np.testing.assert_array_equal(spoiled, logits)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_cross_entropy_of_an_answer_that_is_not_finite_is_nan(n, dtype, bad):
    """Also where the infinite logit is that of y: softmax has no answer there."""
    for y in {0, n // 2, n - 1}:
        for k in {0, n - 1}:
            logits = draw(n, dtype, 1)
            logits[0, k] = bad
            loss, _ = kernels.cross_entropy(logits, np.array([y]))
            assert np.isnan(loss)
            assert np.isnan(logits).any()


def test_adam_after_a_gradient_whose_square_overflows(n, dtype):
    """The second moment stays finite, and the parameters follow Adam in exact arithmetic."""
    huge = {"float32": 1e20, "float64": 1e160}[dtype]
    adam, p = optim.Adam(0.1), np.zeros(n, dtype)
    memory = adam.start(p)
    exact, first, second = 0.0, 0.0, 0.0
    for t in range(1, 6):
        g = -huge if t == 1 else 1.0
        adam.step(p, np.full(n, g, dtype), memory)
        # Over `huge` throughout: the ratio of the moments is that of the gradients' multiples.
        first = 0.9 * first + 0.1 * g / huge
        second = 0.999 * second + 0.001 * (g / huge) ** 2
        exact -= 0.1 * first / (1 - 0.9**t) / np.sqrt(second / (1 - 0.999**t))
        assert all(np.isfinite(memory[name]).all() for name in ("m", "v"))
        np.testing.assert_allclose(p, exact, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_adam_and_numbers_that_are_not_finite(n, dtype, bad):
    """NaN stays NaN; an infinite gradient is a huge one."""
    adam, p = optim.Adam(0.1), np.zeros(n, dtype)
    memory = adam.start(p)
    g = np.ones(n, dtype)
    g[n // 2] = bad
    for _ in range(2):
        adam.step(p, g.copy(), memory)
    others = np.arange(n) != n // 2
    assert np.isfinite(p[others]).all()
    assert np.isnan(p[n // 2]) == np.isnan(bad)
    assert np.isnan(bad) or np.sign(p[n // 2]) == -np.sign(bad)
