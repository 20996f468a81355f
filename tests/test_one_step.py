"""Calls of one step, which read the weights as they are up to 4 examples (csrc/unpacked.inc)."""

from itertools import product

import numpy as np
import pytest
from test_cells import assert_right

import crnn
from crnn import check
from crnn._check_cells import CELLS

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
    for n, integers in product((1, 17, 35), (False, True)):
        assert_right(name, 1, m, n, n, dtype=dtype, integers=integers)


@pytest.mark.parametrize("m", [1, 3])
def test_the_same_bits_on_two_threads(m):
    """With 700 units a step is divided, if the machine has two processors."""
    p = check.problem(1, m, 300, 700)
    before = crnn.get_num_threads()
    try:
        crnn.set_num_threads(1)
        one = crnn.rnn_forward(**p.arguments)
        crnn.set_num_threads(2)
        np.testing.assert_array_equal(crnn.rnn_forward(**p.arguments), one)
    finally:
        crnn.set_num_threads(before)


def test_nan_and_infinity_are_not_lost():
    for n in (3, 16, 17):
        Waa = np.zeros((n, n), "float32")
        x, Wax = np.full((1, 1, n), 0.5, "float32"), np.zeros((n, n), "float32")
        Wax[0, n - 1], Wax[1, 0], Wax[2, n - 1] = np.nan, np.inf, -np.inf
        a = crnn.rnn_forward(x, Waa, Wax)
        np.testing.assert_array_equal(a[0, 0, :4], [np.nan, 1, -1, 0][: min(n, 4)])
