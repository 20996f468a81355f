"""Weights that are packed once: the same bits as ever, and never those of weights gone by."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import crnn
from crnn._engine import packed as module

N_X, N_A = 3, 37  # more than two blocks of 16 units, and no multiple of a vector
GATES = {"vanilla": 1, "leaky": 1, "gru": 3, "lstm": 4}
FUNCTIONS = {
    "vanilla": crnn.rnn_forward,
    "leaky": crnn.leaky_forward,
    "gru": crnn.gru_forward,
    "lstm": crnn.lstm_forward,
}


def weights(cell, dtype="float32"):
    rng = np.random.default_rng(0)
    rows = GATES[cell] * N_A
    found = {
        "Waa": rng.standard_normal((rows, N_A)) / 6,
        "Wax": rng.standard_normal((rows, N_X)),
        "ba": rng.standard_normal(rows),
    }
    if cell == "gru":
        found["baa"] = rng.standard_normal(N_A)
    return {name: value.astype(dtype) for name, value in found.items()}


def options(cell):
    return {"leak": 0.3} if cell == "leaky" else {}


def called(cell, x, **arguments):
    """What the function of the cell gives for inference: a, and for an LSTM c_n."""
    keep = {} if cell == "vanilla" else {"keep": False}
    return FUNCTIONS[cell](x, **weights(cell, x.dtype if x.dtype.kind == "f" else "float32"),
                           **options(cell), **keep, **arguments)  # fmt: skip


def assert_same(first, second):
    first, second = (s if isinstance(s, tuple) else (s,) for s in (first, second))
    for a, b in zip(first, second, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", GATES)
class TestPrepared:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("reverse", [False, True])
    def test_it_gives_the_bits_of_the_function(self, cell, dtype, reverse):
        """Also when calls of few and of many rows, and of symbols, take turns."""
        rng = np.random.default_rng(1)
        prepared = crnn.Prepared(cell, **weights(cell, dtype), **options(cell))
        for m in (1, 9, 2, 1, 9):
            x = rng.standard_normal((5, m, N_X)).astype(dtype)
            a0 = rng.standard_normal((m, N_A)).astype(dtype)
            lengths = rng.integers(1, 6, m)
            for given in ({}, {"a0": a0}, {"lengths": lengths}):
                found = prepared.forward(x, reverse=reverse, **given)
                assert_same(found, called(cell, x, reverse=reverse, **given))
            if dtype == "float32":
                symbols = rng.integers(0, N_X, (5, m))
                assert_same(prepared.forward(symbols), called(cell, symbols))

    def test_input_that_does_not_fit_is_converted_as_ever(self, cell):
        x = np.random.default_rng(1).standard_normal((5, 2, N_X)).astype("float32")
        prepared = crnn.Prepared(cell, **weights(cell), **options(cell))
        assert_same(prepared.forward(np.asfortranarray(x)), called(cell, x))
        rows, lengths = x[:, 0], [5]  # packed rows of one example
        assert_same(prepared.forward(rows, lengths=lengths), called(cell, rows, lengths=lengths))
        with pytest.raises(ValueError, match="x: expected"):
            prepared.forward(x[..., :2])
        with pytest.raises(ValueError, match="lengths: expected"):
            prepared.forward(x, lengths=[6, 1])

    def test_an_output_may_be_a_subclass(self, cell, tmp_path):
        x = np.ones((5, 2, N_X), "float32")
        out = np.memmap(tmp_path / "states", "float32", "w+", shape=(5, 2, N_A))
        found = crnn.Prepared(cell, **weights(cell), **options(cell)).forward(x, out=out)
        assert (found if cell == "vanilla" else found.a) is out
        assert_same(found, called(cell, x))

    def test_the_weights_are_copied(self, cell):
        given = weights(cell)
        x = np.ones((4, 1, N_X), "float32")
        prepared = crnn.Prepared(cell, **given, **options(cell))
        for value in given.values():
            value[...] = np.nan
        assert_same(prepared.forward(x), called(cell, x))

    def test_threads_share_it(self, cell):
        prepared = crnn.Prepared(cell, **weights(cell), **options(cell))
        x = np.random.default_rng(1).standard_normal((50, 3, N_X)).astype("float32")
        expected = called(cell, x)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: prepared.forward(x), range(40)):
                assert_same(found, expected)


def test_prepared_draws_the_noise_of_the_function():
    prepared = crnn.Prepared("leaky", **weights("leaky"), leak=0.3)
    x = np.ones((5, 2, N_X), "float32")
    found = prepared.forward(x, noise=0.5, seed=3)
    assert_same(found, called("leaky", x, noise=0.5, seed=3))
    assert (found.a != prepared.forward(x, noise=0.5).a).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cell": "elman"}, ValueError, "cell: expected one of"),
        ({"cell": "gru", "activation": "relu"}, ValueError, "activation: expected 'tanh' with"),
        ({"cell": "lstm", "leak": 0.5}, ValueError, "leak: expected None with cell='lstm'"),
        ({"cell": "leaky"}, TypeError, "leak: expected a number"),
        ({"cell": "lstm", "baa": 0.5}, ValueError, "baa: expected None with cell='lstm'.*got 0.5"),
        ({"cell": "gru", "Wax": np.ones((3, 2))}, ValueError, "Wax: expected"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(arguments, error, message):
    given = weights(arguments["cell"] if arguments["cell"] in GATES else "vanilla", "float64")
    with pytest.raises(error, match=message):
        crnn.Prepared(**{**given, **arguments})


def test_options_of_a_call_that_the_cell_does_not_have_are_refused():
    prepared = crnn.Prepared("gru", **weights("gru"))
    x = np.ones((2, 1, N_X), "float32")
    with pytest.raises(ValueError, match="noise, seed: expected 0 and None with cell='gru'"):
        prepared.forward(x, noise=0.1)
    assert_same(prepared.forward(x, noise=0), prepared.forward(x))  # 0 and None are no options
    with pytest.raises(ValueError, match="c0: expected None with cell='gru'"):
        prepared.forward(x, c0=np.zeros((1, N_A), "float32"))


@pytest.mark.parametrize("cell", ["gru", "leaky"])
@pytest.mark.parametrize("noise", [np.zeros(2), False, "0", 0j, None])
def test_noise_that_is_no_number_is_refused_by_name(cell, noise):
    prepared = crnn.Prepared(cell, **weights(cell), **options(cell))
    with pytest.raises(TypeError, match="noise: expected a number, got"):
        prepared.forward(np.ones((2, 1, N_X), "float32"), noise=noise)


@pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
class TestModels:
    def fresh(self, rnn, x):
        """The answer of a model that has never packed anything."""
        return crnn.RNN._of(rnn.config, dict(rnn.parameters), {}).predict_proba(x)

    def test_weights_written_through_a_view_count_at_the_next_call(self, cell):
        rnn = crnn.RNN(N_X, N_A, 2, cell=cell, num_layers=2, direction="bidirectional", rng=0)
        x = np.random.default_rng(1).standard_normal((5, 2, N_X))
        rnn.predict_proba(x)
        for name in rnn.parameters:
            view = rnn.parameters[name]
            view.flat[-1] += 0.5
            np.testing.assert_array_equal(rnn.predict_proba(x), self.fresh(rnn, x))

    def test_they_are_packed_once_while_they_stay_the_same(self, cell):
        rnn = crnn.RNN(N_X, N_A, 2, cell=cell, rng=0)
        x = np.random.default_rng(1).standard_normal((5, 2, N_X))
        rnn.predict_proba(x)
        before = rnn._network._packed._kept
        rnn.predict_proba(x)
        rnn.evaluate(x, [0, 1])
        assert rnn._network._packed._kept is before
        rnn.parameters["Waa"] = 0
        rnn.predict_proba(x)
        assert rnn._network._packed._kept is not before

    def test_calls_of_many_rows_keep_nothing(self, cell):
        rnn = crnn.RNN(N_X, N_A, 2, cell=cell, rng=0)
        rnn.predict_proba(np.zeros((2, module.FEW_ROWS // 2, N_X)))
        assert rnn._network._packed._kept == ([], [])


def prepared_after_a_call(n_a):
    rng = np.random.default_rng(0)
    gru = crnn.Prepared(
        "gru", rng.standard_normal((3 * n_a, n_a)), rng.standard_normal((3 * n_a, 2))
    )
    gru.forward(np.ones((4, 2, 2)))
    return gru


def test_packed_weights_of_another_size_never_reach_the_kernels():
    gru = prepared_after_a_call(8)
    gru._packed = prepared_after_a_call(1)._packed
    with pytest.raises(ValueError, match=r"packed: expected the weights of this call, \d+ numbers"):
        gru.forward(np.ones((4, 2, 2)))


def test_weights_that_other_kernels_packed_are_packed_again(select, tables):
    gru, x = prepared_after_a_call(8), np.ones((4, 2, 2))
    packings = [tables[0]]
    for name in tables[1:]:
        select(name)
        before = set(gru._packed)
        fresh = prepared_after_a_call(8).forward(x).a
        np.testing.assert_array_equal(gru.forward(x).a, fresh)
        packings += [name] * (set(gru._packed) != before)
    # "blas" leaves a GRU to the best of the other tables, which has packed already.
    assert packings == [name for name in tables if name != "blas"]


def test_pickled_prepared_carries_no_packed_weights():
    """Another process may have kernels that pack weights in another way."""
    rng = np.random.default_rng(0)
    gru = crnn.Prepared("gru", rng.standard_normal((9, 3)), rng.standard_normal((9, 2)))
    x = rng.standard_normal((4, 2, 2))
    expected = gru.forward(x).a
    again = pickle.loads(pickle.dumps(gru))
    assert gru._packed
    assert not again._packed
    np.testing.assert_array_equal(again.forward(x).a, expected)


def test_options_may_be_numpy_strings():
    relu = np.str_("relu")
    model = crnn.RNN(1, 2, 2, activation=relu, rng=0)
    assert model.predict(np.ones((3, 1, 1))).shape == (1,)
    rnn = crnn.Prepared("vanilla", np.eye(2), np.ones((2, 1)), activation=relu)
    np.testing.assert_array_equal(rnn.forward(np.ones((3, 1, 1)))[:, 0, 0], [1, 2, 3])
