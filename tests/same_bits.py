"""Two results of `gradients` are the same: to the bit, or over a BLAS, up to its rounding."""

import numpy as np
import pytest

from crnn._engine import config


def assert_same_bits(one, other):
    """Compare two pairs (loss, gradients); of `other` only the names in `one`."""
    loss, gradients = one
    other_loss, others = other
    assert loss == (pytest.approx(other_loss, rel=1e-5) if config._simd == "blas" else other_loss)
    for name, value in gradients.items():
        if config._simd == "blas":  # a BLAS rounds products of other sizes differently
            worst = (4096 + 256) * np.finfo(value.dtype).eps / 2 * np.abs(value).max()
            np.testing.assert_allclose(value, others[name], rtol=0, atol=worst, err_msg=name)
        else:
            assert value.tobytes() == others[name].tobytes(), name
