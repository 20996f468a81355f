"""Many sequences in one call: groups of similar length, bounded memory, the caller's order."""

import tracemalloc

import numpy as np
import pytest

import crnn
from crnn._network import grouping
from crnn._network.data import Sequences

RNG = np.random.default_rng(0)
LENGTHS = np.array([3, 9, 1, 9, 4, 20, 2, 7, 1, 12])
T, M, N_X, N_Y = 21, len(LENGTHS), 3, 4  # one step more than the longest example
X = RNG.standard_normal((T, M, N_X))
KINDS = [(steps, loss) for steps in ("last", "all") for loss in ("cross_entropy", "mse")]


def model(steps="last", loss="cross_entropy", **options):
    options = {"dtype": "float64", "rng": 1, **options}
    return crnn.RNN(N_X, 5, N_Y, steps=steps, loss=loss, **options)


def targets(steps, loss):
    shape = (M,) if steps == "last" else (T, M)
    if loss == "cross_entropy":
        return np.random.default_rng(1).integers(0, N_Y, shape)
    return np.random.default_rng(1).random((*shape, N_Y))


def as_list(a, steps="all"):
    return [a[:n, i] for i, n in enumerate(LENGTHS)] if steps == "all" else a


def assert_same(found, expected):
    pairs = zip(found, expected, strict=True) if isinstance(found, list) else [(found, expected)]
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.fixture(params=["by length", "one at a time"])
def make_small_groups(request, monkeypatch):
    """A function that lowers the limits, so that short examples form groups too."""

    def make():
        monkeypatch.setattr(grouping, "FEW_STEPS", 4)
        if request.param == "one at a time":
            monkeypatch.setattr(grouping, "MOST_BYTES", 1)

    return make


@pytest.mark.parametrize(("steps", "loss"), KINDS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
class TestGroupingKeepsResults:
    """Results equal those of one padded batch, which other tests check by finite differences."""

    @pytest.mark.parametrize("kind", ["array", "lengths", "list"])
    def test_predictions(self, steps, loss, direction, kind, make_small_groups):
        rnn = model(steps, loss, direction=direction)
        given = {"array": (X,), "lengths": (X, LENGTHS), "list": (as_list(X),)}[kind]
        whole = rnn.predict(*given), rnn.predict_proba(*given)
        make_small_groups()
        assert_same(rnn.predict(*given), whole[0])
        assert_same(rnn.predict_proba(*given), whole[1])

    @pytest.mark.parametrize("kind", ["array", "lengths", "list"])
    @pytest.mark.parametrize("w", [None, [2.0, 0, 1, 0.5, 1, 3, 0, 1, 2, 1]], ids=["", "weighted"])
    def test_losses_and_gradients(self, steps, loss, direction, kind, w, make_small_groups):
        rnn, y = model(steps, loss, direction=direction), targets(steps, loss)
        x, y, lengths = {
            "array": (X, y, None),
            "lengths": (X, y, LENGTHS),
            "list": (as_list(X), as_list(y, steps), None),
        }[kind]
        (loss_of_all, g), means = rnn.gradients(x, y, lengths, w), rnn.evaluate(x, y, lengths, w)
        make_small_groups()
        found, h = rnn.gradients(x, y, lengths, w)
        assert found == pytest.approx(loss_of_all, rel=1e-13)
        for name in g:
            np.testing.assert_allclose(g[name], h[name], rtol=1e-11, atol=1e-14)
        assert rnn.evaluate(x, y, lengths, w) == pytest.approx(means, rel=1e-13)
        history = rnn.fit(
            x, y, lengths=lengths, epochs=1, optimizer=crnn.SGD(1e-30), progress=False,
            validation=(x, y, lengths, w),
        )  # fmt: skip
        assert (history.val_loss[0], history.val_metric[0]) == pytest.approx(means, rel=1e-13)


def test_without_grouping_results_have_the_bits_of_one_pass():
    rnn = model("all", dtype="float32")
    for lengths in (None, np.arange(M) + 11):
        sequences = Sequences(rnn.config, X, lengths=lengths)
        assert sequences.groups() == [None]
        trace = rnn._network.forward(sequences.batch())
        y_hat = rnn.predict_proba(X, lengths).reshape(T * M, N_Y)
        rows = slice(None) if trace.counted is None else trace.counted
        np.testing.assert_array_equal(y_hat[rows], rnn._network.loss.y_hat(trace.logits))


@pytest.mark.parametrize("backward", [False, True])
def test_few_groups_with_little_padding_for_one_long_sequence(backward):
    """Padded to the longest, 999 sequences of 8 to 12 steps and one of 5000 are 5 million steps."""
    lengths = RNG.integers(8, 13, 1000)
    lengths[567] = 5000
    config = crnn.RNN(8, 64, 3, steps="all", rng=0).config
    groups = Sequences(config, [np.zeros((n, 8), "f4") for n in lengths]).groups(backward)
    assert sorted(np.concatenate(groups)) == list(range(1000))
    assert sum(len(g) * lengths[g].max() for g in groups) < 1.3 * lengths.sum()
    assert len(groups) == 2, "there should be few calls"


@pytest.mark.parametrize("spread", ["uniform", "geometric", "lognormal", "pareto"])
def test_padding_is_at_most_as_much_as_the_valid_steps(spread):
    rng = np.random.default_rng(3)
    draw = {
        "uniform": lambda: rng.integers(1, 2000, 3000),
        "geometric": lambda: rng.geometric(0.02, 3000),
        "lognormal": lambda: rng.lognormal(3, 1, 3000).astype(int) + 1,
        "pareto": lambda: (rng.pareto(1, 3000) * 10).astype(int).clip(1, 20000),
    }[spread]
    lengths = draw()
    groups = Sequences(model().config, [np.zeros((n, N_X)) for n in lengths]).groups()
    for group in groups:
        counted, padded = lengths[group].sum(), len(group) * lengths[group].max()
        assert padded <= 2 * counted + grouping.FEW_STEPS
    assert len(groups) <= 12, "there should be few calls"


class TestPeakMemory:
    """At most about 64 MB above the result, for any amount of data."""

    LAYERS = ({}, {"num_layers": 2, "direction": "bidirectional"})

    @staticmethod
    def peak(call):
        """Peak memory during the call without the memory of its result, in MiB."""
        tracemalloc.start()
        result = call()
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert result is not None
        return (most - kept) / 2**20

    @pytest.mark.parametrize("options", LAYERS, ids=["one layer", "bidirectional"])
    @pytest.mark.parametrize("steps", ["last", "all"])
    @pytest.mark.parametrize("kind", ["array", "lengths", "list"])
    def test_every_call(self, options, steps, kind, monkeypatch):
        """With an eighth of the limit and an eighth of the data, so that the test is quick."""
        monkeypatch.setattr(grouping, "MOST_BYTES", grouping.MOST_BYTES // 8)
        T, m, rng = 100, 500, np.random.default_rng(0)
        rnn = crnn.RNN(4, 32, 3, loss="mse", steps=steps, rng=0, **options)
        x, lengths = np.zeros((T, m, 4), "f4"), rng.integers(T // 2, T + 1, m)
        y = np.zeros((m, 3) if steps == "last" else (T, m, 3), "f4")
        if kind == "list":
            y = y if steps == "last" else [y[:n, i].copy() for i, n in enumerate(lengths)]
            x = [x[:n, i].copy() for i, n in enumerate(lengths)]
        lengths = lengths if kind == "lengths" else None
        for call in (
            lambda: rnn.predict(x, lengths),
            lambda: rnn.predict_proba(x, lengths),
            lambda: rnn.gradients(x, y, lengths),
            lambda: rnn.evaluate(x, y, lengths),
        ):
            assert self.peak(call) < 8

    def test_one_long_among_many_short(self):
        x = [np.zeros((n, 8), "f4") for n in [10] * 999 + [5000]]
        y = [np.zeros(len(item), int) for item in x]
        rnn = crnn.RNN(8, 64, 3, steps="all", rng=0)
        assert self.peak(lambda: rnn.gradients(x, y)) < 16
        assert self.peak(lambda: rnn.predict(x)) < 8

    def test_large_input(self):
        T, m = 300, 600
        rnn, x = crnn.RNN(1, 128, 2, rng=0), np.zeros((T, m, 1), "f4")  # 88 MiB of states
        assert 32 < self.peak(lambda: rnn.predict(x)) < 64

    def test_an_example_that_exceeds_the_limit_alone(self, monkeypatch):
        """It forms its own batch and takes no more memory than one example needs."""
        monkeypatch.setattr(grouping, "MOST_BYTES", 1 << 20)
        rnn, x = crnn.RNN(1, 32, 2, rng=0), np.zeros((40_000, 3, 1), "f4")
        assert self.peak(lambda: rnn.predict(x)) < 1.2 * 40_000 * 32 * 4 / 2**20


@pytest.mark.parametrize(
    ("steps", "kind", "place"),
    [
        ("last", "array", "example 5"),
        ("all", "array", "step 1 of example 5"),
        ("all", "list", r"step 1 of x\[5\]"),
    ],
)
def test_predict_refuses_nan_and_names_its_place(steps, kind, place):
    x = X.copy()
    x[1, 5, 0] = np.nan
    given = (x, LENGTHS) if kind == "array" else (as_list(x),)
    rnn = model(steps)
    with pytest.raises(ValueError, match=f"predict: the model's answer to {place} is NaN"):
        rnn.predict(*given)
    rnn.predict_proba(*given)  # NaN propagates
    x[1, 5, 0], x[20, 5, 0] = 0, np.nan  # beyond the length of the example
    given = (x, LENGTHS) if kind == "array" else (as_list(x),)
    rnn.predict(*given)
    mse = model(steps, "mse")
    x[1, 5, 0] = np.nan
    mse.predict(x, LENGTHS)  # unlike a class, a value may be NaN
