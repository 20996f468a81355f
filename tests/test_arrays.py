"""Arrays of other libraries are read in place, copied if docs/arrays.md says so, or refused."""

import array
import re
from pathlib import Path

import numpy as np
import pages
import pytest
import scipy.sparse

import crnn
from crnn import check
from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.data import Sequences

PAGE = Path(__file__).parent.parent / "docs" / "arrays.md"


class Interface:
    """Has `__array_interface__` and nothing else."""

    def __init__(self, a):
        self.a, self.__array_interface__ = a, a.__array_interface__


class Conversion:
    """Has `__array__` and nothing else."""

    def __init__(self, a):
        self.a = a

    def __array__(self, dtype=None, copy=None):
        return self.a


class DLPack:
    """Has `__dlpack__`, and a length and items, so that NumPy by itself would ask for each."""

    def __init__(self, a):
        self.a = a

    def __dlpack__(self, **options):
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()

    def __len__(self):
        return len(self.a)

    def __getitem__(self, k):
        raise AssertionError("items must not be asked for")


class OldDLPack(DLPack):
    """As before DLPack 1.0, which has no flag for read-only arrays."""

    def __dlpack__(self, *, stream=None):
        return self.a.__dlpack__()


class Subclass(np.ndarray):
    pass


def read_only(a):
    a = a.view()
    a.flags.writeable = False
    return a


IN_PLACE = {
    "ndarray": lambda a: a,
    "read-only ndarray": read_only,
    "buffer": memoryview,
    "read-only buffer": lambda a: memoryview(a).toreadonly(),
    "array interface": Interface,
    "array method": Conversion,
    "DLPack": DLPack,
    "old DLPack": OldDLPack,
    "subclass": lambda a: a.view(Subclass),
    "matrix": lambda a: np.matrix(a, copy=False) if a.ndim == 2 else a.view(Subclass),
}
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # before it, NumPy does not export these
    IN_PLACE["read-only DLPack"] = lambda a: DLPack(read_only(a))
KINDS = pytest.mark.parametrize("kind", IN_PLACE)
# np.matrix says of itself that it is out of fashion.
quiet = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")


def unaligned(a):
    raw = np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:]
    return raw.view(a.dtype).reshape(a.shape)


def strided(a):
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def arguments(p, **changed):
    return {**p.arguments, **p.options, **changed}


class TestTheSequence:
    @quiet
    @KINDS
    @pytest.mark.parametrize("integers", [False, True])
    def test_all_arguments_of_any_kind_give_the_same_bits(self, kind, integers):
        p = check.problem(4, 3, 5, 6, dtype="float32", integers=integers, lengths=True)
        foreign = {name: IN_PLACE[kind](a) for name, a in p.arguments.items()}
        lengths = IN_PLACE[kind](p.options["lengths"])
        a = crnn.rnn_forward(**arguments(p))
        mine = crnn.rnn_forward(**foreign, lengths=lengths)
        np.testing.assert_array_equal(mine, a)
        truth = check.backward_of(crnn.rnn_backward, p, a)
        foreign.pop("ba")
        g = crnn.rnn_backward(IN_PLACE[kind](p.da), IN_PLACE[kind](a), **foreign, lengths=lengths)
        for one, other in zip(g, truth, strict=True):
            np.testing.assert_array_equal(one, other)

    @quiet
    @KINDS
    @pytest.mark.parametrize("name", ["x", "Waa", "Wax", "ba", "a0", "lengths"])
    def test_every_argument_is_read_where_it_is(self, kind, name):
        """So an `out` over the same memory is refused."""
        p = check.problem(40, 3, 5, 6, dtype="float64", lengths=True)
        given = arguments(p)[name]
        memory = np.zeros(40 * 3 * 6)
        place = memory[: given.size].view(given.dtype).reshape(given.shape)
        place[...] = given
        with pytest.raises(ValueError, match=f"out: .* memory shared with {name}"):
            crnn.rnn_forward(
                **arguments(p, **{name: IN_PLACE[kind](place)}), out=memory.reshape(40, 3, 6)
            )
        np.testing.assert_array_equal(place, given)

    @pytest.mark.parametrize("copied", [strided, unaligned, np.asfortranarray, np.ndarray.tolist])
    def test_layouts_that_are_copied(self, copied):
        p = check.problem(4, 3, 5, 6, dtype="float64", lengths=True)
        a = crnn.rnn_forward(**arguments(p))
        for name, given in arguments(p).items():
            if isinstance(given, np.ndarray):
                mine = crnn.rnn_forward(**arguments(p, **{name: copied(given)}))
                np.testing.assert_array_equal(mine, a)

    def test_what_is_copied_shares_no_memory(self):
        """An `out` over memory that was copied from is no error, and right."""
        memory = np.random.default_rng(0).standard_normal((6, 4, 3)).astype("f4").T  # (3, 4, 6)
        x = memory.copy()
        Waa, Wax = np.eye(6, dtype="f4"), np.eye(6, dtype="f4")
        a = crnn.rnn_forward(x, Waa, Wax)
        out = memory.T.reshape(3, 4, 6)
        assert np.shares_memory(memory, out)
        np.testing.assert_array_equal(crnn.rnn_forward(memory, Waa, Wax, out=out), a)

    def test_other_integers_are_copied_as_intp(self):
        p = check.problem(4, 3, 5, 6, integers=True)
        a = crnn.rnn_forward(**arguments(p))
        for dtype in ("i1", "u2", ">i8"):
            x = memoryview(p.arguments["x"].astype(dtype)) if dtype != ">i8" else (
                p.arguments["x"].astype(dtype))  # fmt: skip
            np.testing.assert_array_equal(crnn.rnn_forward(**arguments(p, x=x)), a)

    def test_a_one_dimensional_array_of_python(self):
        p = check.problem(4, 3, 5, 6, dtype="float64")
        ba = array.array("d", p.arguments["ba"])
        assert validate.plain("ba", ba).ctypes.data == ba.buffer_info()[0]
        np.testing.assert_array_equal(
            crnn.rnn_forward(**arguments(p, ba=ba)), crnn.rnn_forward(**arguments(p))
        )


class TestTheModel:
    T, m = 6, 5

    @pytest.fixture(params=["cross_entropy", "mse"])
    def model(self, request):
        return crnn.RNN(3, 4, 3, steps="all", loss=request.param, rng=0)

    def examples(self, model):
        rng = np.random.default_rng(1)
        x = rng.standard_normal((self.T, self.m, 3)).astype("f4")
        lengths = np.array([6, 1, 3, 2, 6])
        if model.config.classifies:
            return x, rng.integers(0, 3, (self.T, self.m)), lengths
        return x, rng.standard_normal((self.T, self.m, 3)).astype("f4"), lengths

    @quiet
    @KINDS
    def test_every_method_reads_every_kind(self, model, kind):
        x, y, lengths = self.examples(model)
        xs, ys, ls = (IN_PLACE[kind](a) for a in (x, y, lengths))
        np.testing.assert_array_equal(model.predict(xs, ls), model.predict(x, lengths))
        assert model.evaluate(xs, ys, ls) == model.evaluate(x, y, lengths)
        g, g_mine = (model.gradients(*given)[1] for given in ((x, y, lengths), (xs, ys, ls)))
        for name in g:
            np.testing.assert_array_equal(g_mine[name], g[name])
        listed = [IN_PLACE[kind](np.ascontiguousarray(x[:n, i])) for i, n in enumerate(lengths)]
        for one, other in zip(model.predict(listed), model.predict(x, lengths).swapaxes(0, 1),
                              strict=True):  # fmt: skip
            np.testing.assert_array_equal(one, other[: len(one)])
        twin = crnn.RNN(3, 4, 3, steps="all", loss=model.config.loss, rng=0)
        options = {"epochs": 2, "batch_size": 2, "progress": False, "rng": 0}
        model.fit(x, y, lengths=lengths, validation=(x, y, lengths), **options)
        twin.fit(xs, ys, lengths=ls, validation=(xs, ys, ls), **options)
        for name, value in model.parameters.items():
            np.testing.assert_array_equal(twin.parameters[name], value)

    @quiet
    @KINDS
    def test_a_call_over_all_examples_reads_them_where_they_are(self, model, kind):
        x, y, _ = self.examples(model)
        sequences = Sequences(model.config, IN_PLACE[kind](x), IN_PLACE[kind](y))
        (batch,) = sequences.batches()
        assert batch.x.ctypes.data == x.ctypes.data
        assert batch.y.ctypes.data == y.ctypes.data
        symbols = np.zeros((self.T, self.m), np.intp)
        assert np.shares_memory(Sequences(model.config, symbols).batch().x, symbols)

    def test_other_floats_and_layouts_are_converted(self, model):
        x, y, lengths = self.examples(model)
        y_hat = model.predict_proba(x, lengths)
        for copied in (strided, unaligned, np.asfortranarray, lambda a: a.astype("f8")):
            np.testing.assert_array_equal(model.predict_proba(copied(x), lengths), y_hat)
            assert model.evaluate(x, copied(y) if y.dtype == "f4" else unaligned(y)) == (
                model.evaluate(x, y)
            )

    @quiet
    @KINDS
    def test_streams_and_symbols(self, kind):
        model = crnn.RNN(3, 4, 3, steps="all", rng=0)
        x, out = (
            np.random.default_rng(0).standard_normal((2, 3)).astype("f4"),
            np.empty((2, 3), "f4"),
        )
        first, second = model.stream(2), model.stream(2)
        np.testing.assert_array_equal(second.step(IN_PLACE[kind](x), out), first.step(x))
        symbols = np.array([2, 0])
        np.testing.assert_array_equal(second.step(IN_PLACE[kind](symbols)), first.step(symbols))
        first.state = [IN_PLACE[kind](a) for a in second.state]
        np.testing.assert_array_equal(first.state, second.state)
        text = np.arange(60) % 3
        assert model.evaluate_stream(IN_PLACE[kind](text)) == model.evaluate_stream(text)
        prime = IN_PLACE[kind](text[:4])
        np.testing.assert_array_equal(
            model.sample(5, prime=prime, rng=0), model.sample(5, prime=text[:4], rng=0)
        )
        model.parameters["ba"] = IN_PLACE[kind](np.ones(4))
        assert np.all(model.parameters["ba"] == 1)

    def test_an_answer_over_the_symbols_read_is_refused(self):
        stream = crnn.RNN(2, 3, 2, dtype="float64", rng=0).stream()
        memory = np.zeros(2)
        with pytest.raises(ValueError, match=r"out: .* memory shared with x_t"):
            stream.step(memory[:1].view(np.intp), memory.reshape(1, 2))


class Elsewhere(DLPack):
    """On another device; a library that would fetch it without a word."""

    device = (2, 1)

    def __dlpack_device__(self):
        return self.device

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("it must not be fetched")


class Unknown(Elsewhere):
    device = (99, 0)


class Pinned(DLPack):
    """Memory of the host that a graphics card reads too."""

    __array_interface__ = property(lambda self: self.a.__array_interface__)

    def __dlpack_device__(self):
        return (3, 0)


class NeedsGrad:
    requires_grad = True

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach")


class Failing:
    dtype, device = "bfloat16", "abacus:0"

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


ZEROS = np.zeros((4, 3, 5), "f4")
REFUSED = [
    (Elsewhere(ZEROS), "x: expected an array on the CPU, got Elsewhere on cuda:1"),
    (Unknown(ZEROS), "x: expected an array on the CPU, got Unknown on device type 99:0"),
    (NeedsGrad(), "x: expected a tensor that requires no grad, got one that does"),
    (
        Failing(RuntimeError("no such dtype")),
        "x: expected an array, got Failing (dtype bfloat16, device abacus:0): no such dtype",
    ),
    (Failing(BufferError("no")), "x: expected an array, got Failing"),
    (np.ma.zeros((4, 3, 5)), "x: expected a plain array, got a masked array"),
    (scipy.sparse.eye_array(5), "x: expected an array, got dia_array"),
    (None, "x: expected an array, got NoneType"),
    ({1: 2}, "x: expected an array, got dict"),
    (iter([1]), "x: expected an array, got list_iterator"),
    ([None], "x: expected float32 of shape (T, m, n_x), n_x = 5"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "message"), REFUSED)
def test_what_gives_no_array_is_refused_by_name(x, message):
    W = np.zeros((5, 5), "f4")
    with pytest.raises((TypeError, ValueError), match="^" + re.escape(message)):
        crnn.rnn_forward(x, W, W)
    if not isinstance(x, list):
        with pytest.raises(TypeError, match="^" + re.escape(message)):
            crnn.RNN(5, 4, 2, rng=0).predict(x)


def test_memory_of_the_host_may_be_pinned():
    assert validate.plain("x", Pinned(ZEROS)).ctypes.data == ZEROS.ctypes.data


def test_too_little_memory_is_said_as_such():
    with pytest.raises(MemoryError):
        crnn.RNN(5, 4, 2, rng=0).predict(Failing(MemoryError()))


def test_ndarrays_pass_before_anything_is_asked():
    """An ndarray costs `validate.plain` only one comparison."""
    assert validate.plain("x", ZEROS) is ZEROS
    config = Config(5, 4, 2)
    assert Sequences(config, ZEROS).batch().x.base is ZEROS


def test_the_page_runs_without_any_other_library(tmp_path):
    """Its last part, which needs torch and JAX, runs in tests/adapters."""
    text = PAGE.read_text(encoding="utf-8")
    first, rest = text.split("## PyTorch and JAX\n")
    assert "import torch" in rest
    page = tmp_path / "arrays.md"
    page.write_text(first, encoding="utf-8")
    names = pages.run_python(page)
    assert len(names) > 5
