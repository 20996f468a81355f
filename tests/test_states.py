"""The states of layers, and passes that begin from a state and return one."""

import numpy as np
import pytest
from same_bits import assert_same_bits

import crnn

T, M, N_X, N_A, N_Y = 24, 5, 3, 7, 3
HALF = 12
LENGTHS = np.array([24, 13, 17, 20, 23])
CELLS = {
    "vanilla": {},
    "leaky": {"cell": "leaky", "leak": 0.4},
    "current": {"cell": "leaky", "leak": 0.4, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
every_direction = pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
ragged = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])


def model(**options):
    options = {"rng": 0, "num_layers": 2, "steps": "all", **options}
    return crnn.RNN(N_X, N_A, N_Y, **options)


def inputs():
    return np.random.default_rng(1).standard_normal((T, M, N_X)).astype("float32")


def arrays(item):
    """The arrays of one item of a state, which is one or a pair."""
    return item if isinstance(item, tuple) else (item,)


@every_cell
class TestEveryCell:
    @every_direction
    @ragged
    def test_states_are_those_of_the_functions(self, cell, direction, lengths):
        """The lowest layer, whose input is x; and c of an LSTM, from prefixes."""
        rnn, x = model(direction=direction, **cell), inputs()
        lstm = rnn.config.cell == "lstm"
        found = rnn.states(x, lengths, layer=0, cells=lstm)
        for k, place in enumerate(p for p in rnn.config.recurrences() if p.layer == 0):
            own = place.of(rnn.parameters)
            options = {"lengths": lengths, "reverse": place.reverse}
            part = np.s_[..., k * N_A : (k + 1) * N_A]
            if lstm:
                expected = crnn.lstm_forward(x, *own.values(), **options)
                np.testing.assert_array_equal(found[0][part], expected.a)
                c = found[1][part]
                ends = np.full(M, T) if lengths is None else lengths
                final = c[0] if place.reverse else c[ends - 1, np.arange(M)]
                np.testing.assert_array_equal(final, expected.c_n)
            elif rnn.config.cell == "gru":
                expected = crnn.gru_forward(x, *own.values(), **options)
                np.testing.assert_array_equal(found[part], expected.a)
            elif rnn.config.cell == "leaky":
                rule = {"leak": 0.4, "equation": rnn.config.equation}
                expected = crnn.leaky_forward(x, *own.values(), **rule, **options)
                np.testing.assert_array_equal(found[part], expected.a)
            else:
                expected = crnn.rnn_forward(x, *own.values(), **options)
                np.testing.assert_array_equal(found[part], expected)

    @ragged
    @pytest.mark.parametrize("steps", ["last", "all"])
    def test_two_halves_are_the_whole(self, cell, lengths, steps):
        rnn, x = model(steps=steps, **cell), inputs()
        whole, final = rnn.predict_proba(x, lengths, return_state=True)
        rest = None if lengths is None else lengths - HALF
        first, state = rnn.predict_proba(x[:HALF], return_state=True)
        second, after = rnn.predict_proba(x[HALF:], rest, a0=state, return_state=True)
        joined = np.concatenate([first, second]) if steps == "all" else second
        np.testing.assert_array_equal(joined, whole)
        for item, expected in zip(after, final, strict=True):
            for one, other in zip(arrays(item), arrays(expected), strict=True):
                np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(
            rnn.states(x[HALF:], rest, layer=-1, a0=state), rnn.states(x, lengths, layer=-1)[HALF:]
        )

    def test_a_stream_continues_from_it(self, cell):
        rnn, x = model(**cell), inputs()
        _, state = rnn.predict(x[:HALF], return_state=True)
        stream = rnn.stream(M)
        stream.state = state
        y_hat = [stream.step(x_t) for x_t in x[HALF:]]
        np.testing.assert_allclose(y_hat, rnn.predict_proba(x)[HALF:], rtol=1e-5, atol=1e-6)
        y_hat = rnn.predict_proba(x[:1], a0=stream.state)
        np.testing.assert_allclose(y_hat[0], stream.step(x[0]), rtol=1e-5, atol=1e-6)

    @every_direction
    @ragged
    def test_gradients_from_a_state(self, cell, direction, lengths):
        """Those of a model whose trained initial state has these values."""
        rnn = model(direction=direction, dtype="float64", **cell)
        trained = model(direction=direction, dtype="float64", initial_state="trained", **cell)
        rng, names, state = np.random.default_rng(3), trained.config.trained_states, []
        for name, value in rnn.parameters.items():
            trained.parameters[name] = value
        for place in trained.config.recurrences():
            values = [rng.uniform(-0.5, 0.5, N_A) for _ in names]
            for name, value in zip(names, values, strict=True):
                trained.parameters[name + place.suffix] = value
            pair = tuple(np.tile(value, (M, 1)) for value in values)
            state.append(pair if len(pair) == 2 else pair[0])
        x, y = inputs(), rng.integers(0, N_Y, (T, M))
        loss, gradients, after = rnn.gradients(x, y, lengths, a0=state, return_state=True)
        expected_loss, expected = trained.gradients(x, y, lengths)
        assert loss == expected_loss
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradient, expected[name], err_msg=name)
        assert rnn.evaluate(x, y, lengths, a0=state)[0] == trained.evaluate(x, y, lengths)[0]
        np.testing.assert_array_equal(rnn.predict(x, a0=state), trained.predict(x))
        recomputed = rnn.gradients(x, y, lengths, a0=state, memory="sqrt")
        assert_same_bits(recomputed, (loss, gradients))
        last = rnn.predict(x, lengths, a0=state, return_state=True)[1]
        np.testing.assert_array_equal(arrays(after[0])[0], arrays(last[0])[0])


class TestForms:
    def test_natural_shapes(self):
        rnn, x = model(direction="bidirectional"), inputs()
        assert [a.shape for a in rnn.states(x)] == [(T, M, 2 * N_A)] * 2
        assert rnn.states(x, layer=-1).shape == (T, M, 2 * N_A)
        np.testing.assert_array_equal(rnn.states(x, layer=-1), rnn.states(x)[1])
        xs = [x[:length, i] for i, length in enumerate(LENGTHS)]
        listed = rnn.states(xs, layer=0)
        assert [a.shape for a in listed] == [(length, 2 * N_A) for length in LENGTHS]
        whole = rnn.states(x, LENGTHS, layer=0)
        for i, a in enumerate(listed):
            np.testing.assert_allclose(a, whole[: len(a), i], rtol=1e-5, atol=1e-6)

    def test_in_several_groups(self):
        """So many examples that they do not run at once, of lengths below T."""
        rnn = crnn.RNN(2, 64, 2, steps="last", cell="lstm", rng=0)
        rng = np.random.default_rng(0)
        x, lengths = rng.standard_normal((60, 900, 2)), rng.integers(1, 50, 900)
        a, c = rnn.states(x, lengths, layer=0, cells=True)
        _, state = rnn.predict(x, lengths, return_state=True)
        assert a.shape == c.shape == (60, 900, 64)
        at = lengths - 1, np.arange(900)
        np.testing.assert_allclose(a[at], state[0][0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c[at], state[0][1], rtol=1e-5, atol=1e-6)
        some = rng.integers(0, 900, 9)
        begun = [tuple(s[some] for s in state[0])]
        every = rnn.predict_proba(x, lengths, a0=state)
        few = rnn.predict_proba(x[:, some], lengths[some], a0=begun)
        np.testing.assert_allclose(every[some], few, rtol=1e-5, atol=1e-6)

    def test_an_array_alone_for_one_recurrence(self):
        rnn, x = model(num_layers=1), inputs()
        a0 = np.full((M, N_A), 0.3, "float32")
        np.testing.assert_array_equal(rnn.predict_proba(x, a0=a0), rnn.predict_proba(x, a0=[a0]))

    def test_what_a_call_returns_is_a_copy(self):
        rnn, x = model(num_layers=1), inputs()
        a = rnn.states(x, layer=0)
        kept = a.copy()
        _, state = rnn.predict(2 * x, return_state=True)
        rnn.predict(3 * x, a0=state)
        np.testing.assert_array_equal(a, kept)

    def test_noise(self):
        rnn = model(cell="leaky", leak=0.4, noise=0.5)
        first, second = (rnn.states(inputs(), layer=0, noise=True, rng=0) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert np.any(first != rnn.states(inputs(), layer=0))


class TestTraining:
    def test_each_example_keeps_its_own_state(self):
        """The label is in a0 alone; batches are shuffled and of similar lengths."""
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, 64)
        a0 = np.repeat(2.0 * y[:, None] - 1, 8, axis=1).astype("float32")
        x = np.zeros((4, 64, 1))
        rnn = crnn.RNN(1, 8, 2, rng=0)
        history = rnn.fit(
            x, y, a0=a0, lengths=rng.integers(1, 5, 64), epochs=20, batch_size=8,
            optimizer=crnn.Adam(1e-2), validation=(x, y, None, None, a0), progress=False, rng=0,
        )  # fmt: skip
        assert history.metric[-1] == history.val_metric[-1] == 1
        assert rnn.evaluate(x, y, a0=a0)[1] == 1
        assert rnn.evaluate(x, y)[1] < 0.7

    def test_examples_of_weight_0_leave_with_their_state(self):
        x, y, w = inputs(), np.arange(M) % N_Y, np.array([1, 0, 2, 0, 1])
        rnn = model(steps="last", num_layers=1)
        a0 = np.random.default_rng(0).uniform(-1, 1, (M, N_A)).astype("float32")
        kept = w > 0
        some = rnn.gradients(x[:, kept], y[kept], None, w[kept], a0=a0[kept])
        every = rnn.gradients(x, y, None, w, a0=a0)
        assert some[0] == every[0]
        for name, gradient in every[1].items():
            np.testing.assert_array_equal(gradient, some[1][name])

    def test_a_given_state_leaves_the_trained_one_alone(self):
        rnn = model(steps="last", num_layers=1, initial_state="trained")
        a0 = np.ones((M, N_A), "float32")
        rnn.fit(inputs(), np.arange(M) % N_Y, a0=a0, epochs=2, progress=False, rng=0)
        assert not rnn.parameters["a0"].any()


ONE = np.zeros((M, N_A), "float32")


@pytest.mark.parametrize(
    ("a0", "error", "message"),
    [
        (3, TypeError, "a0: expected 2 arrays, one per layer, got int"),
        ([ONE], ValueError, "a0: expected 2 arrays, one per layer, got 1"),
        ([ONE, ONE[:3]], ValueError, r"a0\[1\]: expected shape \(m, n_a\) = \(5, 7\)"),
        ([ONE, ONE.astype("float64")], TypeError, r"a0\[1\]: expected float32"),
        ([ONE, (ONE, ONE)], (TypeError, ValueError), r"a0\[1\]: expected"),
    ],
)
@pytest.mark.parametrize("method", ["predict", "predict_proba", "states", "evaluate", "fit"])
def test_states_that_do_not_fit(a0, error, message, method):
    rnn, x, y = model(), inputs(), np.zeros((T, M), int)
    before = {name: p.copy() for name, p in rnn.parameters.items()}
    targets = (y,) if method in ("evaluate", "fit") else ()
    with pytest.raises(error, match=message):
        getattr(rnn, method)(x, *targets, a0=a0)
    for name, value in before.items():
        np.testing.assert_array_equal(rnn.parameters[name], value)


def test_other_arguments_that_do_not_fit():
    rnn, x, y = model(), inputs(), np.zeros((T, M), int)
    lstm = model(cell="lstm", direction="bidirectional")
    with pytest.raises(ValueError, match=r"a0: expected 4 pairs \(a, c\), one per layer and dir"):
        lstm.predict(x, a0=[ONE, ONE])
    with pytest.raises(ValueError, match=r"a0\[0\]: expected a pair \(a, c\), got 3"):
        lstm.predict(x, a0=[(ONE, ONE, ONE)] * 4)
    with pytest.raises(ValueError, match=r"layer: expected .*, got 2"):
        rnn.states(x, layer=2)
    with pytest.raises(ValueError, match="cells: expected False with cell='vanilla'"):
        rnn.states(x, cells=True)
    with pytest.raises(TypeError, match="return_state: expected True or False"):
        rnn.predict(x, return_state=1)
    with pytest.raises(ValueError, match="return_state: expected False with memory"):
        rnn.gradients(x, y, memory="sqrt", return_state=True)
    with pytest.raises(ValueError, match="return_state: expected False with a sample_weight"):
        rnn.evaluate(x, y, None, [1, 0, 1, 1, 1], return_state=True)
