"""An argument that is one number: which values are taken for one, whichever library made them."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import crnn

NUMBERS = [
    0.5,
    Fraction(1, 2),
    Decimal("0.5"),
    np.float32(0.5),
    np.array(0.5),
    np.array(0.5, ">f4"),
]
OTHERS = [
    True, np.True_, np.array(True), 0.5j, np.complex64(0.5), np.array(0.5 + 0j), "0.5", b"0.5",
    np.str_("0.5"), np.array("0.5"), np.array(b"0.5"), np.array([0.5]), np.zeros(2), [0.5], None,
    np.array(0.5, object), np.timedelta64(1),
]  # fmt: skip


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_one_real_number_is_accepted(value):
    lr = crnn.SGD(value).lr
    assert type(lr) is float
    assert lr == 0.5


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_anything_else_is_refused_by_name(value):
    with pytest.raises(TypeError, match="lr: expected a number, got"):
        crnn.SGD(value)


def test_tensors_are_numbers_by_the_same_rule():
    torch = pytest.importorskip("torch")
    assert crnn.SGD(torch.tensor(0.5)).lr == 0.5
    for value in (torch.tensor(True), torch.tensor(0.5j), torch.zeros(1), torch.zeros(2)):
        with pytest.raises(TypeError, match="lr: expected a number, got"):
            crnn.SGD(value)
