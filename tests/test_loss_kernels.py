"""The loss kernels of every table: definitions, weights, and numbers at the ends of their range.

`tests/c/check_losses.c` compares them with plain C at every size.
"""

import numpy as np
import pytest

from crnn import check
from crnn._engine import losses

pytestmark = [
    pytest.mark.usefixtures("table"),
    pytest.mark.parametrize("dtype", ["float32", "float64"]),
]
ROWS, LEVELS = 4, (0.1, 0.5, 0.8)
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def binary(z, y):
    return np.logaddexp(0, z) - z * y


def squared(z, y):
    return (z - y) ** 2


def absolute(z, y):
    return abs(z - y)


def huber(z, y):
    e = abs(z - y)
    return np.where(e <= 0.7, e**2 / 2, 0.7 * (e - 0.35))


def pinball(z, y):
    u = y[:, None] - z.reshape(len(z), len(LEVELS), -1)
    q = np.array(LEVELS)[:, None]
    return np.where(u >= 0, q * u, (q - 1) * u)


def gaussian(z, y):
    mean, v = np.split(z, 2, axis=1)
    return ((mean - y) ** 2 * np.exp(-v) + v + np.log(2 * np.pi)) / 2


def of_values(kind, delta=0.0):
    return lambda z, y, w: losses.of_values(kind, z, y, w, delta)


#: Of each kernel: itself, its definition, and the logits of each target.
KERNELS = {
    "binary": (of_values(losses.BINARY), binary, 1),
    "squared": (of_values(losses.SQUARED), squared, 1),
    "absolute": (of_values(losses.ABSOLUTE), absolute, 1),
    "huber": (of_values(losses.HUBER, 0.7), huber, 1),
    "pinball": (lambda z, y, w: losses.pinball(z, y, np.array(LEVELS), w), pinball, 3),
    "gaussian": (losses.gaussian, gaussian, 2),
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def problem(kernel, s, dtype):
    """A kernel and its definition, logits (ROWS, parts s) and targets (ROWS, s)."""
    call, definition, parts = KERNELS[kernel]
    rng = np.random.default_rng(s)
    y = rng.standard_normal((ROWS, s))
    # Errors of 0.05, 0.15, ...: no kink, at 0 or 0.7, is near.
    errors = rng.choice([-1, 1], (ROWS, parts * s)) * (rng.integers(0, 40, (ROWS, parts * s)) + 0.5)
    z = np.tile(y, parts) + errors / 10
    if kernel == "binary":
        y = rng.integers(0, 2, y.shape)
    return call, definition, z.astype(dtype), y.astype(dtype)


@each_kernel
@pytest.mark.parametrize("s", [1, 15, 17])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradient(kernel, s, weighted, dtype):
    call, definition, z, y = problem(kernel, s, dtype)
    w = np.random.default_rng(1).exponential(size=ROWS).astype(dtype) if weighted else None
    of_row = np.ones(ROWS) if w is None else w.astype("float64")

    def truth(z):
        each = definition(z, y.astype("float64")).reshape(ROWS, -1)
        return np.mean(of_row[:, None] * each)

    exact, found = z.astype("float64"), z.copy()
    loss, _ = call(found, y, w)
    assert loss == pytest.approx(truth(exact), rel=8 * EPS[dtype])
    gradient = check.finite_difference(lambda: truth(exact), exact)
    size = np.abs(gradient).max()
    np.testing.assert_allclose(found, gradient, atol=(1e-9 + 8 * EPS[dtype]) * size, rtol=0)


@each_kernel
def test_weights_of_one_change_no_bit_and_a_row_of_no_weight_may_be_nan(kernel, dtype):
    call, _, z, y = problem(kernel, 17, dtype)
    kept = np.ones(ROWS, dtype)
    plain, weighted = z.copy(), z.copy()
    assert call(plain, y, None) == call(weighted, y, kept)
    np.testing.assert_array_equal(plain, weighted)
    kept[2] = 0
    spoiled, of_y = z.copy(), y.copy()
    spoiled[2] = of_y[2] = np.nan
    weighted = z.copy()
    assert call(weighted, y, kept) == call(spoiled, of_y, kept)
    np.testing.assert_array_equal(weighted, spoiled)
    assert not weighted[2].any()


@each_kernel
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_is_not_hidden(kernel, bad, dtype):
    call, _, z, y = problem(kernel, 3, dtype)
    if kernel == "binary" and np.isinf(bad):
        y[...] = bad < 0  # certain, and wrong
    z[1, 0] = bad
    loss, _ = call(z, y, None)
    assert not np.isfinite(loss)


def test_a_certain_label_keeps_the_digits_of_its_loss(dtype):
    z = np.array([[30.0, -30.0, 600.0, -600.0, 80.0, -80.0]], dtype)
    y = np.array([[1, 0, 1, 0, 0, 1]], dtype)
    tiny = np.exp(-30.0) / (1 + np.exp(-30.0))
    least = np.exp(-600.0) if dtype == "float64" else 0
    gradient = z.copy()
    losses.of_values(losses.BINARY, gradient, y, None)
    expected = np.array([[-tiny, tiny, -least, least, 1, -1]]) / 6
    np.testing.assert_allclose(gradient, expected, rtol=4 * EPS[dtype], atol=0)
    loss, right = losses.of_values(losses.BINARY, z[:, :2].copy(), y[:, :2].copy(), None)
    assert loss == pytest.approx(np.log1p(np.exp(-30.0)), rel=4 * EPS[dtype])
    assert right == 1


def test_labels_are_right_where_the_probability_is_above_a_half(dtype):
    z = np.array([[1e-3, -1e-3, 0.0, 0.0, 2.0]], dtype)
    y = np.array([[1, 0, 0, 1, 0]], dtype)
    assert losses.of_values(losses.BINARY, z, y, None)[1] == pytest.approx(3 / 5)


@pytest.mark.parametrize("kernel", ["absolute", "huber", "pinball", "squared"])
def test_an_error_of_zero_has_no_gradient(kernel, dtype):
    call, _, z, y = problem(kernel, 17, dtype)
    z = np.tile(y, z.shape[1] // 17)
    assert call(z, y, None)[0] == 0
    assert not z.any()


def test_a_large_error_of_a_float_has_a_finite_square(dtype):
    z, y = np.full((1, 3), 1e30, dtype), np.zeros((1, 3), dtype)
    assert losses.of_values(losses.SQUARED, z, y, None)[0] == pytest.approx(1e60, rel=1e-6)


def test_a_small_variance_with_a_large_error_is_finite_where_its_loss_is(dtype):
    z, y = np.array([[1e3, -80.0]], dtype), np.zeros((1, 1), dtype)
    loss, _ = losses.gaussian(z, y, None)
    assert loss == pytest.approx((1e6 * np.exp(80) - 80 + np.log(2 * np.pi)) / 2, rel=1e-6)


def test_coverage_counts_both_ends(dtype):
    z = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], dtype)
    y = np.array([[0], [1], [0.5], [1.5]], dtype)
    assert losses.pinball(z.copy(), y, np.array(LEVELS), None)[1] == 3 / 4
    w = np.array([1, 1, 0, 2], dtype)
    assert losses.pinball(z.copy(), y, np.array(LEVELS), w)[1] == 2 / 4
    one = losses.pinball(z[:, 2:].copy(), y, np.array([0.5]), None)
    assert one[1] == 3 / 4, "of one level: the targets up to its value"


def test_sigmoid(dtype):
    z = np.concatenate([np.linspace(-90, 90, 101), [-np.inf, np.inf, np.nan]]).astype(dtype)
    found = z.copy()[None]
    losses.sigmoid(found)
    with np.errstate(over="ignore"):
        truth = 1 / (1 + np.exp(-z.astype("float64")))
    np.testing.assert_allclose(found[0], truth, atol=2 * EPS[dtype])
    assert (found[0, -3], found[0, -2]) == (0, 1)
