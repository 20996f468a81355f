"""What the tests of crnn.jax share."""

import jax
import pytest

from crnn import check

#: The types of an error raised in a handler, which depend on how JAX calls the compiled code.
REFUSED = (jax.errors.JaxRuntimeError, ValueError)


@pytest.fixture(autouse=True)
def float64():
    """JAX has float64 only if it is told to."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def assert_close(ours, theirs, terms, name=""):
    """Check equality up to the rounding of sums taken in another order."""
    assert ours.shape == theirs.shape
    assert check.relative_error(ours, theirs) <= check.tolerance(ours.dtype, terms), name
