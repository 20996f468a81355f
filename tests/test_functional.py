"""The public functions convert an argument or refuse it by name, and change nothing else."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import crnn
from crnn import check, reference
from crnn._engine import validate


@pytest.fixture
def p():
    return check.problem(4, 3, 5, 6, dtype="float32")


def forward(p, **changed):
    return crnn.rnn_forward(**{**p.arguments, **p.options, **changed})


def backward(p, **changed):
    a = crnn.rnn_forward(**p.arguments, **p.options)
    arguments = {k: v for k, v in p.arguments.items() if k != "ba"}
    return crnn.rnn_backward(**{"da": p.da, "a": a, **arguments, **p.options, **changed})


class TestEveryLayoutIsRead:
    def variants(self, array):
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
        wide[..., ::2] = array
        read_only = array.copy()
        read_only.flags.writeable = False
        unaligned = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(array.dtype)
        return {
            "strided": wide[..., ::2],
            "Fortran": np.asfortranarray(array),
            "backwards": array[::-1].copy()[::-1],
            "read-only": read_only,
            "other byte order": array.astype(array.dtype.newbyteorder()),
            "unaligned": unaligned.reshape(array.shape),
            "list": list(array),  # of rows, or of NumPy numbers: tolist() would be float64
        }

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_forward_and_backward(self, dtype):
        p = check.problem(4, 3, 5, 6, dtype=dtype)
        a, g = forward(p), backward(p)
        assert a.dtype == dtype
        for name, array in p.arguments.items():
            for variant in self.variants(array).values():
                np.testing.assert_array_equal(forward(p, **{name: variant}), a)
                if name != "ba":
                    for mine, first in zip(backward(p, **{name: variant}), g, strict=True):
                        np.testing.assert_array_equal(mine, first)
        for variant in self.variants(p.da).values():
            np.testing.assert_array_equal(backward(p, da=variant).dWaa, g.dWaa)
        for variant in self.variants(a).values():
            np.testing.assert_array_equal(backward(p, a=variant).dWaa, g.dWaa)

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", ">i4", "uint64"])
    def test_integers_of_every_width(self, dtype):
        p = check.problem(4, 3, 5, 6, integers=True)
        np.testing.assert_array_equal(forward(p, x=p.arguments["x"].astype(dtype)), forward(p))

    def test_inputs_are_not_written(self, p):
        before = {name: array.copy() for name, array in p.arguments.items()}
        backward(p)
        for name, array in p.arguments.items():
            np.testing.assert_array_equal(array, before[name])

    def test_lengths_may_be_a_list_and_unsorted(self, p):
        a = forward(p, lengths=[2, 4, 1])
        truth = reference.rnn_forward(**p.arguments, lengths=np.array([2, 4, 1]))
        assert check.relative_error(a, truth) < check.tolerance("float32", 5 + 6 + 1)


class TestOut:
    def test_is_filled_and_returned(self, p):
        out = np.full((4, 3, 6), np.nan, np.float32)
        assert forward(p, out=out) is out
        np.testing.assert_array_equal(out, forward(p))

    @pytest.mark.parametrize(
        ("out", "error", "message"),
        [
            ([1.0], TypeError, "out: expected a numpy.ndarray, got list"),
            (np.empty((4, 3, 6)), TypeError, "out: expected float32, got float64"),
            (np.empty((4, 3, 5), "f4"), ValueError, r"out: expected shape \(4, 3, 6\)"),
            (np.empty((4, 3, 12), "f4")[..., ::2], ValueError, "out: expected a C-contiguous"),
        ],
    )
    def test_that_does_not_fit_is_refused(self, p, out, error, message):
        with pytest.raises(error, match=message):
            forward(p, out=out)

    def test_read_only_is_refused(self, p):
        out = np.empty((4, 3, 6), np.float32)
        out.flags.writeable = False
        with pytest.raises(ValueError, match="out: expected a C-contiguous, aligned and writeable"):
            forward(p, out=out)

    def test_shared_with_an_input_is_refused(self):
        p = check.problem(4, 3, 6, 6)
        x = p.arguments["x"].copy()
        with pytest.raises(ValueError, match=r"out: expected memory of its own, .* shared with x"):
            forward(p, out=p.arguments["x"])
        np.testing.assert_array_equal(p.arguments["x"], x)

    @pytest.mark.parametrize("view", [memoryview, lambda a: a[::1], lambda a: a.view()])
    def test_shared_with_an_input_of_any_kind_is_refused(self, view):
        p = check.problem(4, 3, 6, 6)
        out = p.arguments["x"]
        with pytest.raises(ValueError, match="out: expected memory of its own"):
            forward(p, x=view(out), out=out)


class TestOutOfBackward:
    def empty(self, p, **changed):
        """Arrays for the gradients, filled with NaN."""
        like = {"dWaa": "Waa", "dWax": "Wax", "dba": "ba", "dx": "x", "da0": "a0"}
        arrays = {name: np.full_like(p.arguments[of], np.nan) for name, of in like.items()}
        return crnn.Gradients(**{**arrays, **changed})

    def test_is_filled_and_returned(self, p):
        out = self.empty(p)
        assert backward(p, out=out) is out
        assert backward(p, out=out, x=list(p.arguments["x"])) is out  # converted first
        for mine, truth in zip(out, backward(p), strict=True):
            np.testing.assert_array_equal(mine, truth)

    def test_the_reference_fills_it_as_well(self, p):
        given = {name: value for name, value in p.arguments.items() if name != "ba"}
        out = self.empty(p)
        assert reference.rnn_backward(p.da, forward(p), **given, out=out) is out
        assert check.relative_error(backward(p).dWaa, out.dWaa) < check.tolerance("float32", 100)

    def test_dx_and_da0_may_be_left_out(self, p):
        truth = backward(p)
        g = backward(p, out=self.empty(p, dx=None, da0=None))
        assert g.dx is None
        assert g.da0 is None
        for name in ("dWaa", "dWax", "dba"):
            np.testing.assert_array_equal(getattr(g, name), getattr(truth, name))

    def test_what_does_not_fit_is_refused_by_name_and_nothing_written(self, p):
        shared = np.empty((6, 6), np.float32)
        x = p.arguments["x"]
        wrong = [
            ({"dWaa": np.empty((6, 5), "f4")}, ValueError, r"out.dWaa: expected shape \(6, 6\)"),
            ({"da0": np.empty((3, 6))}, TypeError, "out.da0: expected float32, got float64"),
            ({"dba": None}, TypeError, "out.dba: expected a numpy.ndarray"),
            ({"dx": x}, ValueError, "out.dx: .* shared with x"),
            ({"dWaa": shared, "da0": shared[:3]}, ValueError, "out.da0: .* shared with out.dWaa"),
        ]
        for changed, error, message in wrong:
            out = self.empty(p, **changed)
            with pytest.raises(error, match=message):
                backward(p, out=out)
            assert np.isnan(out.dWax).all()
        with pytest.raises(TypeError, match=r"out: expected crnn\.Gradients, got list"):
            backward(p, out=list(self.empty(p)))
        integers = check.problem(4, 3, 5, 6, integers=True)
        with pytest.raises(ValueError, match=r"out\.dx: expected None for integer x"):
            backward(integers, out=self.empty(p))


WRONG = [
    ("x", np.zeros((4, 3)), ValueError, r"x: expected float32 of shape \(T, m, n_x\), n_x = 5"),
    ("x", np.zeros((4, 3, 5), int), ValueError, "or integers of shape"),
    ("x", np.zeros((4, 3, 5)), TypeError, "x: expected float32, the dtype of Waa, got float64"),
    ("x", np.zeros((4, 3, 4), "f4"), ValueError, r"x: expected shape \(T, m, n_x\) = \(4, 3, 5\)"),
    ("x", np.zeros((0, 3, 5), "f4"), ValueError, "with T >= 1 and m >= 1"),
    ("x", np.zeros((4, 0, 5), "f4"), ValueError, "with T >= 1 and m >= 1"),
    ("x", np.full((4, 3), 5), ValueError, r"x: expected integers in 0..4, got 5 at \(0, 0\)"),
    ("x", np.full((4, 3), -1), ValueError, "x: expected integers in 0..4, got -1"),
    ("x", [[1.0], [1.0, 2.0]], ValueError, "x: expected an array, got list"),
    ("x", np.ma.zeros((4, 3, 5), "f4"), TypeError, "x: expected a plain array, got a masked"),
    ("Waa", np.zeros((6, 5), "f4"), ValueError, r"Waa: expected shape \(n_a, n_a\)"),
    ("Waa", np.zeros((0, 0), "f4"), ValueError, r"Waa: expected shape \(n_a, n_a\) with n_a >= 1"),
    ("Waa", np.zeros((6, 6), "f2"), TypeError, "Waa: expected float32 or float64, got float16"),
    ("Waa", np.zeros((6, 6), "c8"), TypeError, "Waa: expected float32 or float64, got complex64"),
    ("Waa", np.zeros((6, 6), object), TypeError, "Waa: expected float32 or float64, got object"),
    ("Wax", np.zeros(6, "f4"), ValueError, r"Wax: expected shape \(n_a, n_x\)"),
    ("Wax", np.zeros((7, 5), "f4"), ValueError, r"Wax: expected shape \(n_a, n_x\) = \(6, 5\)"),
    ("Wax", np.zeros((6, 0), "f4"), ValueError, "Wax: expected shape"),
    ("Wax", np.zeros((6, 5)), TypeError, "Wax: expected float32, the dtype of Waa"),
    ("ba", np.zeros((6, 1), "f4"), ValueError, r"ba: expected shape \(n_a,\) = \(6,\)"),
    ("a0", np.zeros((1, 6), "f4"), ValueError, r"a0: expected shape \(m, n_a\) = \(3, 6\)"),
    ("lengths", [1, 2, 5], ValueError, "lengths: expected integers in 1..T = 1..4, got 5 at 2"),
    ("lengths", [0, 2, 4], ValueError, "lengths: expected integers in 1..T = 1..4, got 0 at 0"),
    ("lengths", [1.0, 2.0, 3.0], TypeError, "lengths: expected integers, got float64"),
    ("lengths", [True, True, True], TypeError, "lengths: expected integers, got bool"),
    ("lengths", [1, 2], ValueError, r"lengths: expected shape \(m,\) = \(3,\)"),
    ("reverse", 1, TypeError, "reverse: expected True or False, got 1"),
    ("activation", "gelu", ValueError, "activation: expected one of 'tanh', 'relu', got 'gelu'"),
    ("activation", None, ValueError, "activation: expected one of"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), WRONG)
def test_what_does_not_fit_is_refused_by_name(p, name, value, error, message):
    out = np.full((4, 3, 6), 7, np.float32)
    with pytest.raises(error, match=message):
        forward(p, out=out, **{name: value})
    assert np.all(out == 7), "nothing may be written before everything is checked"
    if name != "ba":
        with pytest.raises(error, match=message):
            backward(p, **{name: value})


@pytest.mark.parametrize("name", ["da", "a"])
def test_what_does_not_fit_backward_is_refused_by_name(p, name):
    with pytest.raises(ValueError, match=rf"{name}: expected shape \(T, m, n_a\) = \(4, 3, 6\)"):
        backward(p, **{name: np.zeros((4, 3, 5), "f4")})
    with pytest.raises(TypeError, match=f"{name}: expected float32"):
        backward(p, **{name: np.zeros((4, 3, 6))})


@pytest.mark.parametrize("lengths", [None, [4, 1, 3]])
def test_dx_is_left_out_where_it_is_not_needed_and_nothing_else_changes(p, lengths, table):
    g, without = (backward(p, lengths=lengths, need_dx=need) for need in (True, False))
    assert without.dx is None
    for mine, with_dx in zip(without._replace(dx=0), g._replace(dx=0), strict=True):
        np.testing.assert_array_equal(mine, with_dx)
    a = forward(p)
    given = {name: value for name, value in p.arguments.items() if name != "ba"}
    assert reference.rnn_backward(p.da, a, **given, need_dx=False).dx is None
    with pytest.raises(TypeError, match="need_dx: expected True or False, got 1"):
        backward(p, need_dx=1)


class TestTogether:
    def test_python_threads_at_once_get_the_right_numbers(self):
        problems = [check.problem(20, 8, 9, 33, seed=seed) for seed in range(8)]
        alone = [(forward(p), backward(p).dWaa) for p in problems]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                together = pool.map(lambda p: (forward(p), backward(p).dWaa), problems)
                for (a, dWaa), (a_alone, dWaa_alone) in zip(together, alone, strict=True):
                    np.testing.assert_array_equal(a, a_alone)
                    np.testing.assert_array_equal(dWaa, dWaa_alone)

    @pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    # Of JAX, where a test of an adapter has imported it before.
    @pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")
    def test_a_fork_after_use_works(self):
        p = check.problem(20, 64, 64, 64)
        a = forward(p)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for result in pool.map(_forward, [p, p]):
                np.testing.assert_array_equal(result, a)


def _forward(p):
    return forward(p)


def test_dx_is_left_out_where_it_is_not_needed(p):
    full, without = backward(p), backward(p, need_dx=False)
    assert without.dx is None
    for name in ("dWaa", "dWax", "dba", "da0"):
        np.testing.assert_array_equal(getattr(without, name), getattr(full, name))
    with pytest.raises(TypeError, match="need_dx: expected True or False, got 1"):
        backward(p, need_dx=1)


class TestFastPath:
    """The compiled call accepts arguments that need no conversion, so these skip validation."""

    def test_what_fits_is_never_validated(self, p, monkeypatch):
        monkeypatch.setattr(validate, "sequence", None)
        for options in ({}, {"lengths": np.array([4, 2, 1])}, {"reverse": True}):
            a = forward(p, **options)
            assert forward(p, **options, out=np.empty_like(a)).shape == a.shape
            backward(p, **options)
        symbols = np.array([[0, 1, 4]] * 4)
        backward(p, x=symbols, a=forward(p, x=symbols))

    def test_an_output_that_only_touches_an_input_is_refused(self, p):
        T, m, n_a = p.da.shape
        memory = np.zeros(2 * p.da.size - 1, np.float32)
        x = memory[: p.da.size].reshape(T, m, n_a)
        out = memory[p.da.size - 1 :].reshape(T, m, n_a)
        Wax = np.zeros((n_a, n_a), np.float32)
        with pytest.raises(ValueError, match="out: expected memory of its own, got memory shared"):
            forward(p, x=x, Wax=Wax, out=out)


def test_an_output_may_be_a_memory_map(p, tmp_path):
    """A subclass of ndarray, which the fast path leaves to validation."""
    a = forward(p)
    out = np.memmap(tmp_path / "states", "float32", "w+", shape=a.shape)
    assert forward(p, out=out) is out
    np.testing.assert_array_equal(out, a)
