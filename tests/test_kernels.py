"""The kernels against the reference, at every size around the vector widths.

Every kernel table that can run here is compared: the one in use with every kind of problem at each
size, the others with two opposite kinds at each size.
"""

import os
import subprocess
import sys
from itertools import cycle, product

import numpy as np
import pytest
from conftest import TABLES
from hypothesis import given, settings
from hypothesis import strategies as st

import crnn
from crnn import check, reference
from crnn._engine import kernels
from crnn.check import vanilla

SIZES = (1, 2, 3, 15, 16, 17, 31, 33, 64, 65, 100)
DTYPES = ("float32", "float64")
ACTIVATIONS = ("tanh", "relu")
KINDS = [
    pytest.param(kind, id=" ".join(k for k in kind if kind[k]) or "plain") for kind in check.KINDS
]

#: One kind of problem for each size; every kind is used, because there are more sizes than kinds.
KIND_OF_SIZE = dict(zip(SIZES, cycle(check.KINDS)))


def opposite(kind):
    """The kind with every option inverted: integers or floats, lengths or none, the direction."""
    return {option: not on for option, on in kind.items()}


def assert_right(T, m, n_x, n_a, **kind):
    p = check.problem(T, m, n_x, n_a, **kind)
    assert check.kernel_error(p).share <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", ["T", "m", "n_x", "n_a"])
def test_each_dimension_at_each_size(dimension, size, dtype, table):
    sizes = {"T": 4, "m": 3, "n_x": 5, "n_a": 6, dimension: size}
    cases = list(product(ACTIVATIONS, check.KINDS))
    if table != TABLES[0]:
        cases = [("tanh", KIND_OF_SIZE[size]), ("relu", opposite(KIND_OF_SIZE[size]))]
    for activation, kind in cases:
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
    dtype=st.sampled_from(DTYPES),
    activation=st.sampled_from(ACTIVATIONS),
    kind=st.sampled_from(check.KINDS),
    seed=st.integers(0, 5),
    name=st.sampled_from(TABLES),
)
def test_dimensions_together(sizes, dtype, activation, kind, seed, name):
    before = kernels.select(name)
    try:
        assert_right(**sizes, dtype=dtype, activation=activation, seed=seed, **kind)
    finally:
        kernels.select(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dimension", ["rows", "n", "n_y"])
def test_the_output_layer_at_each_size(dimension, size, dtype, table):
    sizes = {"rows": 7, "n": 6, "n_y": 5, dimension: size}
    rows, n, n_y = sizes.values()
    rng = np.random.default_rng(size)
    Wya, by, a, dy = (
        rng.standard_normal(shape).astype(dtype)
        for shape in ((n_y, n), n_y, (rows, n), (rows, n_y))
    )
    logits = np.full((rows, n_y), np.nan, dtype)
    dWya, dby, da = (np.full(shape, np.nan, dtype) for shape in ((n_y, n), n_y, (rows, n)))
    kernels.output_forward(Wya, by, a, logits)
    kernels.output_backward(Wya, dy, a, dWya, dby, da)
    Wya, by, a, dy = (array.astype("float64") for array in (Wya, by, a, dy))
    truths = (reference.output_forward(a, Wya, by), *reference.output_backward(dy, a, Wya))
    squares = (
        reference.output_forward(a**2, Wya**2, by**2),
        *reference.output_backward(dy**2, a**2, Wya**2),
    )
    terms = (n + 1, rows, rows, n_y)
    results = zip((logits, dWya, dby, da), truths, squares, terms, strict=True)
    for result, truth, square, count in results:
        error = check.relative_error(result, truth, np.sqrt(square))
        assert error <= check.tolerance(dtype, count)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_is_exact_to_1e_12_over_a_hundred_steps(kind, table):
    p = check.problem(100, 32, 64, 64, **kind)
    a = crnn.rnn_forward(**p.arguments, **p.options)
    g = check.backward_of(crnn.rnn_backward, p, a)
    truth = check.backward_of(reference.rnn_backward, p, a)
    for mine, theirs in zip(g, truth, strict=True):
        assert mine is theirs is None or check.relative_error(mine, theirs) <= 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 4])
def test_without_bias_and_initial_state(dtype, m, table):
    p = check.problem(5, m, 3, 7, dtype=dtype)
    x, Waa, Wax, *_ = p.arguments.values()
    a = crnn.rnn_forward(x, Waa, Wax)
    g = crnn.rnn_backward(p.da, a, x, Waa, Wax)
    tolerance = check.tolerance(dtype, 5 * m + 7)
    assert check.relative_error(a, reference.rnn_forward(x, Waa, Wax)) <= tolerance
    truth = reference.rnn_backward(p.da, a, x, Waa, Wax)
    for mine, theirs in zip(g, truth, strict=True):
        assert check.relative_error(mine, theirs) <= tolerance


@pytest.mark.parametrize("reverse", [False, True])
def test_more_rows_than_one_blas_call_takes(reverse):
    """More rows than a block of blas.pxd (2^20): nothing may go wrong where two blocks meet."""
    T, m = 3, 2**20 // 2 - 7
    assert T * m > 2**20
    p = check.problem(T, m, 2, 3, reverse=reverse)
    assert check.kernel_error(p).share <= 1


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


class TestTolerance:
    """The tolerance is little more than the rounding error, for sequences of any length."""

    @pytest.mark.parametrize("T", [1, 1000])
    @pytest.mark.parametrize(("dtype", "wrong"), [("float32", 5e-6), ("float64", 1e-14)])
    def test_sees_what_is_slightly_wrong(self, monkeypatch, T, dtype, wrong):
        p = check.problem(T, 4, 5, 16, dtype=dtype)
        assert check.kernel_error(p).share <= 1
        for name in ("rnn_forward", "rnn_backward"):
            with monkeypatch.context() as patch:
                patch.setattr(vanilla, name, self.times(1 + wrong, getattr(crnn, name)))
                assert check.kernel_error(p).share > 1

    def times(self, factor, function):
        def changed(*arguments, **options):
            result = function(*arguments, **options)
            if isinstance(result, np.ndarray):
                return result * result.dtype.type(factor)
            return result._replace(dx=result.dx * result.dx.dtype.type(factor))

        return changed

    def test_nan_is_never_explained(self):
        assert check.Error(float("nan"), 1.0).share == np.inf


class TestSpecialValues:
    def test_nan_and_infinity_flow_through_as_in_numpy(self, table):
        for activation in ("tanh", "relu"):
            for bad in (np.nan, np.inf, -np.inf):
                p = check.problem(4, 2, 3, 5, activation=activation)
                p.arguments["x"][1, 0, 0] = bad
                a = crnn.rnn_forward(**p.arguments, **p.options)
                with np.errstate(invalid="ignore"):
                    truth = reference.rnn_forward(**p.arguments, **p.options)
                np.testing.assert_allclose(a, truth, rtol=1e-13)  # NaN equals NaN here

    def test_what_stands_in_the_padding_is_never_seen(self, table):
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

    def test_past_the_length_states_and_dx_are_exactly_zero(self, table):
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

    def backward_as_in_numpy(self, p, a):
        """The gradients, each held against the reference's."""
        with np.errstate(invalid="ignore"):
            truth = check.backward_of(reference.rnn_backward, p, a)
        mine = check.backward_of(crnn.rnn_backward, p, a)
        for name, gradient, true in zip(mine._fields, mine, truth, strict=True):
            np.testing.assert_allclose(gradient, true, rtol=1e-12, atol=1e-12, err_msg=name)
        return mine

    def test_past_the_end_no_zero_meets_an_infinite_weight(self, table):
        """Waa' dz of the step past an example's end is nothing, not 0 times infinity."""
        p = check.problem(5, 4, 3, 6)
        p.options["lengths"] = np.array([2, 5, 1, 4])
        p.arguments["Waa"][0, 1] = np.inf
        a = crnn.rnn_forward(**p.arguments, **p.options)
        mine = self.backward_as_in_numpy(p, a)
        assert np.isfinite(mine.dx[0, 2]).all()  # of length 1

    def test_past_the_end_no_zero_meets_an_infinite_state(self, table):
        p = check.problem(5, 4, 3, 6, activation="relu")
        p.options["lengths"] = np.array([2, 5, 1, 4])
        a = crnn.rnn_forward(**p.arguments, **p.options)
        a[1, 0] = np.inf  # the last state of the first example, which no later step reads
        mine = self.backward_as_in_numpy(p, a)
        assert np.isfinite(mine.dWaa).all()


class TestThreads:
    """The same bits at any number of threads: each row and each sum has one order of its own."""

    @pytest.fixture(autouse=True)
    def threads(self):
        before = crnn.get_num_threads()
        yield
        crnn.set_num_threads(before)

    def assert_same_bits(self, results):
        """`results` is called at each number of threads and gives arrays."""
        first = None
        for n in (1, 2, 3, 4):
            crnn.set_num_threads(n)
            bits = [array.tobytes() for array in results() if array is not None]
            first = first or bits
            assert bits == first, f"{n} threads"

    @pytest.mark.parametrize("name", [name for name in TABLES if name != "blas"])
    @pytest.mark.parametrize("m", [1, 2, 3, 5, 7, 16, 33])
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("integers", [False, True], ids=["floats", "symbols"])
    def test_give_the_same_bits(self, name, m, dtype, integers, select):
        """The work is divided from 8e6 operations up, and always from 32e6 up: see threads.c."""
        select(name)
        T, n_x, n_a = 1800 // m, 35, 97
        for lengths, reverse in ((False, False), (True, True)):
            kind = {"integers": integers, "lengths": lengths, "reverse": reverse}
            self.assert_same_sequence(T, m, n_x, n_a, dtype=dtype, **kind)

    @pytest.mark.parametrize("name", [name for name in TABLES if name != "blas"])
    @pytest.mark.parametrize("m", [1, 2, 3, 7])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_that_share_columns_give_the_same_bits(self, name, m, dtype, select):
        """Few rows, and a step of more than 2e5 operations: the parts meet after each."""
        select(name)
        T, n_x, n_a = 24, 5, 600
        rng = np.random.default_rng(m)
        x, da, a0 = (
            rng.standard_normal(shape).astype(dtype)
            for shape in ((T, m, n_x), (T, m, n_a), (m, n_a))
        )
        Waa = rng.uniform(-0.03, 0.03, (n_a, n_a)).astype(dtype)
        Wax = rng.standard_normal((n_a, n_x)).astype(dtype)
        for reverse in (False, True):

            def results(reverse=reverse):
                a = crnn.rnn_forward(x, Waa, Wax, None, a0, reverse=reverse)
                return a, *crnn.rnn_backward(da, a, x, Waa, Wax, a0, reverse=reverse)

            self.assert_same_bits(results)

    def assert_same_sequence(self, *sizes, **kind):
        p = check.problem(*sizes, **kind)

        def results():
            a = crnn.rnn_forward(**p.arguments, **p.options)
            return a, *check.backward_of(crnn.rnn_backward, p, a)

        self.assert_same_bits(results)

    @pytest.mark.parametrize("name", [name for name in TABLES if name != "blas"])
    @pytest.mark.parametrize("m", [1, 2, 3, 5, 7, 16, 33])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_give_a_model_the_same_bits(self, name, m, dtype, select):
        select(name)
        model = crnn.RNN(5, 97, 130, num_layers=2, steps="all", dtype=dtype, rng=0)
        rng = np.random.default_rng(0)
        x, y = rng.standard_normal((1800 // m, m, 5)), rng.integers(0, 130, (1800 // m, m))

        def results():
            loss, gradients = model.gradients(x, y)
            return np.array(loss), *gradients.values()

        self.assert_same_bits(results)


class TestDispatch:
    def run(self, simd):
        code = "import crnn; crnn.show_config()"
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CRNN_SIMD": simd},
            capture_output=True,
            text=True,
        )

    @pytest.mark.parametrize("name", TABLES)
    def test_kernels_can_be_forced(self, name):
        done = self.run(name)
        assert done.returncode == 0
        assert f"kernels  {name}\n" in done.stdout

    def test_an_unknown_name_fails_the_import(self):
        done = self.run("abacus")
        assert done.returncode != 0
        assert "ImportError: CRNN_SIMD: expected 'blas', 'portable' or" in done.stderr
