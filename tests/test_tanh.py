"""tanh and the logistic function in every kernel table.

tanh is accurate to 2 ulp, odd, monotone, and exact at special values; the logistic function is
accurate to 2.5 ulp and gives NaN for NaN.
"""

import mpmath
import numpy as np
import pytest

import crnn
from crnn._engine import kernels

MOST_ULP = 2
INFINITY = 0x7F800000  # the bits of the largest float32 that is not NaN


def tanh(x):
    z = x.copy()
    kernels.tanh(z)
    return z


def ulps(z, hi, lo=0.0):
    """The error of each z in ulp of its dtype, where hi + lo is the exact value."""
    return np.abs((z.astype(np.float64) - hi) - lo) / np.spacing(np.abs(hi.astype(z.dtype)))


def floats(first, last, step=1):
    """The float32 numbers whose bits are first, first + step, ... below last."""
    return np.arange(first, last, step, dtype=np.uint32).view(np.float32)


@pytest.fixture(scope="module")
def sample32():
    """Every 1009th non-negative float32, in order, with its tanh."""
    x = floats(0, INFINITY, 1009)
    return x, np.tanh(x.astype(np.float64))


@pytest.fixture(scope="module")
def sample64():
    """float64 numbers of all magnitudes, with their tanh as an unevaluated sum of two."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(0, 22, 8000), 10 ** rng.uniform(-320, 3, 4000),
                        10 ** rng.uniform(-4, 1.5, 8000)])  # fmt: skip
    with mpmath.workprec(200):
        truth = [mpmath.tanh(mpmath.mpf(float(value))) for value in x]
        hi = np.array([float(value) for value in truth])
        lo = np.array([float(t - mpmath.mpf(h)) for t, h in zip(truth, hi.tolist(), strict=True)])
    return x, hi, lo


def test_float32_is_odd_monotone_and_accurate_to_2_ulp(table, sample32):
    x, truth = sample32
    z = tanh(x)
    assert ulps(z, truth).max() <= MOST_ULP
    assert np.all(np.diff(z) >= 0)
    np.testing.assert_array_equal(tanh(-x).view(np.uint32), (-z).view(np.uint32))


def test_float64_is_odd_monotone_and_accurate_to_2_ulp(table, sample64):
    x, hi, lo = sample64
    z = tanh(x)
    assert ulps(z, hi, lo).max() <= MOST_ULP
    assert np.all(np.diff(z[np.argsort(x)]) >= 0)
    np.testing.assert_array_equal(tanh(-x).view(np.uint64), (-z).view(np.uint64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestExactResults:
    def test_special_values(self, table, dtype):
        x = np.array([0.0, -0.0, np.inf, -np.inf, 1e30, -1e30], dtype)
        z = tanh(x)
        np.testing.assert_array_equal(z, np.array([0, 0, 1, -1, 1, -1], dtype))
        np.testing.assert_array_equal(np.signbit(z), np.signbit(x))

    def test_nan_stays_nan(self, table, dtype):
        unsigned = {"float32": np.uint32, "float64": np.uint64}[dtype]
        quiet = np.array([np.nan, -np.nan], dtype)
        odd = (quiet.view(unsigned) | 12345).view(dtype)  # NaN with another payload
        assert np.isnan(tanh(np.concatenate([quiet, odd]))).all()

    def test_tanh_of_a_denormal_is_the_denormal(self, table, dtype):
        x = np.finfo(dtype).smallest_subnormal * np.arange(100).astype(dtype)
        np.testing.assert_array_equal(tanh(x), x)

    def test_results_do_not_depend_on_the_length_of_the_array(self, table, dtype):
        """The vector loop and the remainder at the end of a row compute the same bits."""
        x = np.random.default_rng(0).standard_normal(70).astype(dtype) * 3
        z = tanh(x)
        for n in range(1, 70):
            np.testing.assert_array_equal(tanh(x[:n]), z[:n])


@pytest.mark.exhaustive
def test_every_float32(tables, select):
    """All 2^32 bit patterns, which takes some minutes for each table."""
    size = 1 << 24
    last = dict.fromkeys(tables, np.float32(0))
    for first in range(0, INFINITY + 1, size):
        x = floats(first, min(first + size, INFINITY + 1))
        truth = np.tanh(x.astype(np.float64))
        for name in tables:
            select(name)
            z = tanh(x)
            assert ulps(z, truth).max() <= MOST_ULP, name
            assert np.all(np.diff(z, prepend=last[name]) >= 0), name
            assert np.all(tanh(-x).view(np.uint32) == (-z).view(np.uint32)), name
            last[name] = z[-1]
    for first in range(INFINITY + 1, 1 << 31, size):
        nan = floats(first, min(first + size, 1 << 31))
        for name in tables:
            select(name)
            assert np.isnan(tanh(nan)).all(), name
            assert np.isnan(tanh(-nan)).all(), name


def logistic(z):
    """The logistic function, as the output gate of LSTM units whose tanh(c) is 1."""
    n, dtype = len(z), z.dtype
    ba = np.concatenate([np.zeros(n), np.full(n, 1e4), np.zeros(n), z]).astype(dtype)  # i f g o
    x, Wax, c0 = np.zeros((1, 1, 1), dtype), np.zeros((4 * n, 1), dtype), np.full((1, n), 50, dtype)
    return crnn.lstm_forward(x, np.zeros((4 * n, n), dtype), Wax, ba, c0=c0).a[0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logistic_is_accurate_to_its_last_digits_in_the_tails_too(table, dtype):
    x = np.concatenate([np.linspace(-80, 80, 301), np.linspace(-8, 8, 301)]).astype(dtype)
    with mpmath.workprec(200):
        truth = [1 / (1 + mpmath.exp(-mpmath.mpf(float(value)))) for value in x]
        hi = np.array([float(value) for value in truth])
        lo = np.array([float(t - mpmath.mpf(h)) for t, h in zip(truth, hi.tolist(), strict=True)])
    assert ulps(logistic(x), hi, lo).max() <= 2.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logistic_of_special_values(table, dtype):
    z = logistic(np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(z[2:], np.array([0.5, 0.5, 1, 1, np.nan], dtype))
    assert np.all((z[:2] >= 0) & (z[:2] < 1e-37))
