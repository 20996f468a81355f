"""Calls of one step, which up to 4 examples have a path of their own (csrc/one_step.inc)."""

from itertools import product

import numpy as np
import pytest
from test_cells import assert_right

import crnn
from crnn import check
from crnn.check import cells as check_cells
from crnn.check.cells import CELLS

#: Around the rows of W and the vectors that are multiplied together.
SIZES = (1, 3, 4, 7, 8, 16, 17, 31, 33, 65)
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_vanilla(m, dtype, table):
    for n, integers in product(SIZES, (False, True)):
        p = check.problem(1, m, n, n + m, dtype=dtype, integers=integers, lengths=integers)
        assert check.kernel_error(p).share <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("name", CELLS)
def test_cells_and_what_they_keep_for_backward(name, m, dtype, table):
    for (n_x, n_a), integers in product(((1, 1), (1, 35), (17, 16), (35, 17)), (False, True)):
        assert_right(name, 1, m, n_x, n_a, dtype=dtype, integers=integers, reverse=integers)
    assert_right(name, 1, m, 5, 18, dtype=dtype, initial=False, lengths=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_x", [1, 19])
@pytest.mark.parametrize("name", ["current", "gru", "lstm"])
def test_an_example_has_the_same_bits_beside_others(name, n_x, dtype):
    for n_a in (5, 16, 37):
        p = check_cells.problem(name, 1, 4, n_x, n_a, dtype=dtype)
        p.noise = {}  # it depends on the example's number
        x, initial = p.arguments["x"], p.initial
        together = p.forward().a
        for rows in (slice(0, 1), slice(1, 3), slice(1, 4)):
            p.arguments["x"] = np.ascontiguousarray(x[:, rows])
            p.initial = {state: values[rows] for state, values in initial.items()}
            np.testing.assert_array_equal(p.forward().a, together[:, rows])


def moved(array, numbers):
    """A copy that begins so many numbers after a cache line."""
    room = np.empty(array.size + 32, array.dtype)
    first = -room.ctypes.data % 64 // array.itemsize + numbers
    copy = room[first : first + array.size].reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 3])
def test_where_an_array_begins_does_not_matter(m, dtype, table):
    """Long rows are read in vectors that do not cross cache lines, and short ones as they come.

    With AVX-512 and one example, the weights of 640 units are read a row at a time, and what they
    multiply is copied.
    """
    if table == "blas":
        pytest.skip("its bits are those of the BLAS")
    for n in (64, 72, 100, 133, 632):
        arguments = check.problem(1, m, n, n + 8, dtype=dtype).arguments
        a = crnn.rnn_forward(**{name: moved(array, 0) for name, array in arguments.items()})
        for numbers in (1, 2, 4, 8, 15):
            elsewhere = {
                name: moved(array, (numbers * k) % 16)
                for k, (name, array) in enumerate(arguments.items(), 1)
            }
            np.testing.assert_array_equal(crnn.rnn_forward(**elsewhere), a)


@pytest.mark.parametrize("less", [0, 4, 5, 6])
@pytest.mark.parametrize(("n_a", "dtype"), [(352, "float32"), (256, "float64")])
def test_rows_that_are_read_one_at_a_time(n_a, dtype, less, table):
    """Rows begin at one place of a cache line, or at several."""
    n_a -= less
    assert_right("lstm", 1, 1, n_a + 3, n_a, dtype=dtype)
    if table == "blas":
        return
    p = check_cells.problem("lstm", 1, 1, n_a + 3, n_a, dtype=dtype)
    a = p.forward().a
    for numbers in (0, 1, 6, 15):
        p.arguments = {name: moved(array, numbers) for name, array in p.arguments.items()}
        np.testing.assert_array_equal(p.forward().a, a)


@pytest.mark.parametrize("n_a", [700, 704])
def test_a_row_does_not_touch_those_beside_it(n_a, table):
    """They share cache lines with it, unless a row is whole lines long."""
    Waa = np.zeros((n_a, n_a), "float32")
    Waa[5, 0], Waa[5, -1], Waa[9, 0], Waa[12, -1] = np.nan, np.nan, np.inf, -np.inf
    x, Wax = np.zeros((1, 1, 2), "float32"), np.zeros((n_a, 2), "float32")
    a = crnn.rnn_forward(x, Waa, Wax, a0=np.ones((1, n_a), "float32"))[0, 0]
    expected = np.zeros(n_a, "float32")
    expected[[5, 9, 12]] = np.nan, 1, -1
    np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_the_same_bits_on_two_threads(name, m):
    """With 800 units a product is divided in a loop of calls."""
    p = check_cells.problem(name, 1, m, 300, 800, dtype="float32")
    before = crnn.get_num_threads()
    try:
        crnn.set_num_threads(1)
        one = p.forward().a
        crnn.set_num_threads(2)
        for a in [p.forward().a for _ in range(20)]:
            np.testing.assert_array_equal(a, one)
    finally:
        crnn.set_num_threads(before)


def test_nan_and_infinity_are_not_lost():
    for n in (3, 16, 17):
        Waa = np.zeros((n, n), "float32")
        x, Wax = np.full((1, 1, n), 0.5, "float32"), np.zeros((n, n), "float32")
        Wax[0, n - 1], Wax[1, 0], Wax[2, n - 1] = np.nan, np.inf, -np.inf
        a = crnn.rnn_forward(x, Waa, Wax)
        np.testing.assert_array_equal(a[0, 0, :4], [np.nan, 1, -1, 0][: min(n, 4)])
