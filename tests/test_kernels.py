"""The kernels against the reference, at every size around the vector widths."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crnn
from crnn import check, reference

SIZES = (1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 100)
KINDS = [
    pytest.param(kind, id=" ".join(k for k in kind if kind[k]) or "plain") for kind in check.KINDS
]


def assert_right(T, m, n_x, n_a, **kind):
    p = check.problem(T, m, n_x, n_a, **kind)
    assert check.kernel_error(p) <= check.tolerance(kind["dtype"], T, m, n_x, n_a)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", ["T", "m", "n_x", "n_a"])
def test_each_dimension_at_each_size(dimension, size, dtype, kind):
    sizes = {"T": 4, "m": 3, "n_x": 5, "n_a": 6, dimension: size}
    activation = "relu" if size % 2 else "tanh"
    assert_right(**sizes, dtype=dtype, activation=activation, **kind)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    sizes=st.fixed_dictionaries(
        {
            "T": st.sampled_from(SIZES[:7]),
            "m": st.sampled_from(SIZES),
            "n_x": st.sampled_from(SIZES),
            "n_a": st.sampled_from(SIZES),
        }
    ),
    dtype=st.sampled_from(["float32", "float64"]),
    activation=st.sampled_from(["tanh", "relu"]),
    kind=st.sampled_from(check.KINDS),
    seed=st.integers(0, 5),
)
def test_dimensions_together(sizes, dtype, activation, kind, seed):
    assert_right(**sizes, dtype=dtype, activation=activation, seed=seed, **kind)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_is_exact_to_1e_12_over_a_hundred_steps(kind):
    p = check.problem(100, 32, 64, 64, **kind)
    assert check.kernel_error(p) <= 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 4])
def test_without_bias_and_initial_state(dtype, m):
    p = check.problem(5, m, 3, 7, dtype=dtype)
    x, Waa, Wax, *_ = p.arguments.values()
    a = crnn.rnn_forward(x, Waa, Wax)
    g = crnn.rnn_backward(p.da, a, x, Waa, Wax)
    tolerance = check.tolerance(dtype, 5, m, 3, 7)
    assert check.relative_error(a, reference.rnn_forward(x, Waa, Wax)) <= tolerance
    truth = reference.rnn_backward(p.da, a, x, Waa, Wax)
    for mine, theirs in zip(g, truth, strict=True):
        assert check.relative_error(mine, theirs) <= tolerance


@pytest.mark.parametrize("reverse", [False, True])
def test_more_rows_than_one_blas_call_takes(reverse):
    """T * m beyond a block of _blas.pxd (2^20 rows): the seam must not show."""
    T, m = 3, 2**20 // 2 - 7
    assert T * m > 2**20
    p = check.problem(T, m, 2, 3, reverse=reverse)
    assert check.kernel_error(p) <= check.tolerance("float64", T, m, 2, 3)


@pytest.mark.large
def test_arrays_beyond_2_to_the_31_bytes():
    """Offsets must be counted in 64 bits: needs about 9 GB of memory."""
    T, m, n_x = 3, 2**20, 200  # x: 2.5 GB
    x = np.ones((T, m, n_x), np.float32)
    Waa, Wax = np.full((1, 1), 0.5, np.float32), np.full((1, n_x), 1 / n_x, np.float32)
    a = crnn.rnn_forward(x, Waa, Wax, activation="relu")
    np.testing.assert_allclose(a[:, [0, -1], 0], [[1, 1], [1.5, 1.5], [1.75, 1.75]], rtol=1e-5)
    g = crnn.rnn_backward(np.ones_like(a), a, x, Waa, Wax, activation="relu")
    np.testing.assert_allclose(g.dx[:, -1, -1] * n_x, [1.75, 1.5, 1], rtol=1e-5)
    np.testing.assert_allclose(g.dWax, m * (1.75 + 1.5 + 1), rtol=1e-4)


class TestSpecialValues:
    def test_nan_and_infinity_flow_through_as_in_numpy(self):
        for activation in ("tanh", "relu"):
            for bad in (np.nan, np.inf, -np.inf):
                p = check.problem(4, 2, 3, 5, activation=activation)
                p.arguments["x"][1, 0, 0] = bad
                a = crnn.rnn_forward(**p.arguments, **p.options)
                with np.errstate(invalid="ignore"):
                    truth = reference.rnn_forward(**p.arguments, **p.options)
                np.testing.assert_allclose(a, truth, rtol=1e-13)  # NaN equals NaN here

    def test_what_stands_in_the_padding_is_never_seen(self):
        lengths = np.array([2, 4, 1])
        for reverse in (False, True):
            for kind in ("float", "integers"):
                p = check.problem(4, 3, 5, 6, integers=kind == "integers", reverse=reverse)
                p.options["lengths"] = lengths
                a = crnn.rnn_forward(**p.arguments, **p.options)
                g = check.backward_of(crnn.rnn_backward, p, a)
                padding = np.arange(4)[:, None] >= lengths
                p.arguments["x"][padding] = -99 if kind == "integers" else np.nan
                p.da[padding] = np.nan
                a_nan = crnn.rnn_forward(**p.arguments, **p.options)
                np.testing.assert_array_equal(a_nan, a)
                for mine, clean in zip(check.backward_of(crnn.rnn_backward, p, a), g, strict=True):
                    np.testing.assert_array_equal(mine, clean)

    def test_past_the_length_states_and_dx_are_exactly_zero(self):
        lengths = np.array([2, 4, 1])
        padding = np.arange(4)[:, None] >= lengths
        for reverse in (False, True):
            p = check.problem(4, 3, 5, 6, reverse=reverse)
            p.options["lengths"] = lengths
            p.arguments["Wax"][0, 0] = np.inf  # 0 * inf would be NaN
            a = crnn.rnn_forward(**p.arguments, **p.options)
            g = check.backward_of(crnn.rnn_backward, p, a)
            assert np.all(a[padding] == 0)
            assert np.all(g.dx[padding] == 0)


class TestDispatch:
    def run(self, simd):
        code = "import crnn; crnn.show_config()"
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CRNN_SIMD": simd},
            capture_output=True,
            text=True,
        )

    def test_kernels_can_be_forced(self):
        done = self.run("portable")
        assert done.returncode == 0
        assert "kernels  portable" in done.stdout

    def test_an_unknown_name_fails_the_import(self):
        done = self.run("abacus")
        assert done.returncode != 0
        assert "ImportError: CRNN_SIMD: no kernels called 'abacus'" in done.stderr
