"""One step at a time: streams and samples."""

import pickle
import threading

import numpy as np
import pytest

import crnn
from crnn import check


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("m", [1, 4])
@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_t_steps_equal_one_call_over_t(dtype, num_layers, m, integers, loss):
    T, n_x, n_a = 30, 5, 17
    model = crnn.RNN(n_x, n_a, 3, num_layers=num_layers, steps="all", loss=loss, dtype=dtype, rng=0)
    rng = np.random.default_rng(0)
    x = rng.integers(0, n_x, (T, m)) if integers else rng.standard_normal((T, m, n_x))
    stream = model.stream(m)
    steps = np.stack([stream.step(x_t) for x_t in x])
    assert steps.shape == (T, m, 3)
    assert steps.dtype == dtype
    tolerance = check.tolerance(dtype, n_x + n_a + 1)
    assert check.relative_error(steps, model.predict_proba(x)) <= tolerance


def test_a_many_to_one_model_streams_its_answer_so_far():
    model = crnn.RNN(2, 5, 3, dtype="float64", rng=0)
    x = np.random.default_rng(0).standard_normal((6, 1, 2))
    stream = model.stream()
    for t in range(6):
        np.testing.assert_allclose(stream.step(x[t]), model.predict_proba(x[: t + 1]), atol=1e-14)


def test_weights_are_those_of_the_making_until_refreshed():
    model = crnn.RNN(2, 5, 3, rng=0)
    stream = model.stream()
    x = np.ones((1, 2), np.float32)
    first = stream.step(x)
    model.parameters["by"] = [9, 0, 0]
    stream.reset()
    np.testing.assert_array_equal(stream.step(x), first)
    stream.refresh()
    assert stream.step(x)[0, 0] > first[0, 0]


def test_out_is_filled_and_returned():
    stream = crnn.RNN(2, 5, 3, rng=0).stream(2)
    x, out = np.ones((2, 2), np.float32), np.empty((2, 3), np.float32)
    first = stream.step(x)
    stream.reset()
    assert stream.step(x, out) is out
    np.testing.assert_array_equal(out, first)
    with pytest.raises(ValueError, match=r"out: expected shape \(2, 3\)"):
        stream.step(x, np.empty((2, 4), np.float32))


def test_a_copy_goes_its_own_way():
    stream = crnn.RNN(2, 5, 3, num_layers=2, rng=0).stream()
    stream.step([1])
    twin = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(twin.state, stream.state)
    np.testing.assert_array_equal(twin.step([0]), stream.step([0]))
    twin.reset()
    assert np.any(stream.state[0] != 0)


def test_state_can_be_kept_set_and_reset():
    model = crnn.RNN(2, 5, 3, num_layers=2, steps="all", rng=0)
    x = np.ones((1, 2), np.float32)
    stream = model.stream()
    first = stream.step(x)
    kept = stream.state
    second = stream.step(x)
    stream.state = kept
    np.testing.assert_array_equal(stream.step(x), second)
    stream.reset()
    np.testing.assert_array_equal(stream.step(x), first)
    kept[0][...] = np.nan
    assert np.isfinite(stream.step(x)).all(), "a state given away is a copy"


def test_a_single_number_is_the_only_input_or_a_symbol():
    model = crnn.RNN(1, 3, 2, rng=0)
    whole, number = model.stream(), model.stream()
    np.testing.assert_array_equal(number.step(0.5), whole.step(np.array([[0.5]], np.float32)))
    # An integer from a sensor is a value, too: never the only symbol of one.
    np.testing.assert_array_equal(number.step(3), whole.step(np.array([[3.0]], np.float32)))
    np.testing.assert_array_equal(number.step(0), whole.step(np.array([[0.0]], np.float32)))
    symbols = crnn.RNN(5, 3, 2, rng=0)
    np.testing.assert_array_equal(symbols.stream().step(np.int32(4)), symbols.stream().step([4]))
    with pytest.raises(ValueError, match=r"x_t: expected numbers of shape \(m, n_x\) = \(1, 5\)"):
        symbols.stream().step(0.5)
    with pytest.raises(ValueError, match=r"or integers of shape \(2,\), got int64 of shape \(\)"):
        symbols.stream(2).step(4)


def test_integers_for_each_input_are_values():
    """As in x (T, m, n_x) of `RNN.predict`."""
    model, values = crnn.RNN(2, 3, 2, rng=0), np.array([[3, 0], [1, 1]])
    expected = model.predict_proba(values[None])
    np.testing.assert_allclose(model.stream(2).step(values), expected, rtol=1e-6)


def test_out_may_not_be_the_input():
    stream = crnn.RNN(2, 3, 2, rng=0).stream(2)
    x = np.ones((2, 2), np.float32)
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        stream.step(x, x)


@pytest.mark.parametrize("n_a", [4, 512], ids=["with the GIL", "without"])
def test_steps_in_several_threads_follow_one_another(n_a):
    """With Waa = 1 and relu every step adds one to the state, and no step may be lost."""
    model = crnn.RNN(1, n_a, n_a, steps="all", activation="relu", loss="mse", rng=0)
    eye = np.eye(n_a)
    model.parameters["Waa"], model.parameters["Wax"], model.parameters["ba"] = eye, 1, 0
    model.parameters["Wya"], model.parameters["by"] = eye, 0
    stream, m_threads, n = model.stream(), 4, 200
    seen = [[] for _ in range(m_threads)]

    def step(mine):
        for k in range(n):
            y = stream.step(np.ones((1, 1), np.float32))
            assert (y == y[0, 0]).all()
            mine.append(int(y[0, 0]))
            if k % 10 == 0:  # other operations meanwhile
                state = stream.state[0]
                assert (state == state[0, 0]).all()

    threads = [threading.Thread(target=step, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(k for mine in seen for k in mine) == list(range(1, m_threads * n + 1))


def test_a_stream_may_be_refreshed_reset_and_set_while_another_thread_steps():
    """Each step sees a whole state: one that was set, zeros, or that of the step before."""
    model = crnn.RNN(1, 512, 1, steps="all", activation="relu", loss="mse", rng=0)
    model.parameters["Waa"], model.parameters["Wax"] = np.eye(512), 0
    model.parameters["Wya"], model.parameters["by"] = 1 / 512, 0
    stream, done, wrong = model.stream(), threading.Event(), []

    def step():
        while not done.is_set():
            y = float(stream.step(np.zeros((1, 1), np.float32))[0, 0])
            if y not in (0, 1, 2):
                wrong.append(y)

    thread = threading.Thread(target=step)
    thread.start()
    for k in range(300):
        stream.state = [np.full((1, 512), 1 + k % 2, np.float32)]
        (stream.refresh if k % 3 == 0 else stream.reset)()
    done.set()
    thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("x_t", "error", "message"),
    [
        (np.zeros((1, 2)), ValueError, r"x_t: expected numbers of shape \(m, n_x\) = \(2, 2\)"),
        ([0, 2], ValueError, "x_t: expected integers in 0..1, got 2"),
        ([0], ValueError, r"x_t: expected shape \(2,\)"),
    ],
)
def test_a_step_that_does_not_fit_leaves_the_state(x_t, error, message):
    stream = crnn.RNN(2, 3, 4, rng=0).stream(2)
    stream.step([0, 1])
    before = stream.state
    with pytest.raises(error, match=message):
        stream.step(x_t)
    np.testing.assert_array_equal(stream.state, before)


def test_streams_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="stream: expected a model with direction 'forward'"):
        crnn.RNN(1, 1, 2, direction="bidirectional").stream()
    with pytest.raises(ValueError, match="m: expected a whole number >= 1"):
        crnn.RNN(1, 1, 2).stream(0)
    stream = crnn.RNN(2, 3, 4).stream()
    with pytest.raises(ValueError, match="state: expected 1 arrays, one per layer, got 2"):
        stream.state = stream.state * 2
    with pytest.raises(ValueError, match=r"state\[0\]: expected shape \(m, n_a\) = \(1, 3\)"):
        stream.state = [np.zeros((1, 4), np.float32)]


def test_what_the_c_interface_refuses_is_said_in_words():
    """No model gets that far: a link that does not exist."""
    stream = crnn.RNN(3, 4, 2, rng=0).stream()
    stream._link = 9
    with pytest.raises(RuntimeError, match=r"^stream: expected .* link CRNN_LINEAR"):
        stream.refresh()
    assert stream.step([1]).shape == (1, 2)


class TestSample:
    @pytest.fixture
    def model(self):
        return crnn.RNN(4, 8, 4, steps="all", rng=0)

    def test_gives_integers(self, model):
        drawn = model.sample(50, prime=[1, 2], rng=0)
        assert drawn.shape == (50,)
        assert drawn.dtype.kind == "i"
        assert set(drawn) <= {0, 1, 2, 3}
        assert model.sample(0).shape == (0,)

    def test_same_seed_same_symbols(self, model):
        np.testing.assert_array_equal(model.sample(50, rng=1), model.sample(50, rng=1))
        assert np.any(model.sample(50, rng=1) != model.sample(50, rng=2))

    def test_each_output_is_fed_back(self, model):
        drawn = model.sample(20, prime=[3], temperature=0)
        sequence = np.concatenate([[3], drawn[:-1]])
        np.testing.assert_array_equal(model.predict(sequence[:, None])[:, 0], drawn)

    def test_without_a_prime_the_first_comes_from_an_input_of_zeros(self, model):
        zero = model.predict(np.zeros((1, 1, 4)))
        assert model.sample(1, temperature=0)[0] == zero[0, 0]
        assert model.sample(1, prime=[], temperature=0)[0] == zero[0, 0]

    @staticmethod
    def always(logits, dtype="float32"):
        """A model that gives the same logits at every step."""
        n = len(logits)
        model = crnn.RNN(n, 2, n, steps="all", dtype=dtype, rng=0)
        model.parameters["Wya"], model.parameters["by"] = 0, logits
        return model

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
    @pytest.mark.parametrize("n_y", [7, 16, 17, 100])  # around the width of a vector
    def test_symbols_are_those_of_the_plain_loop(self, table, dtype, temperature, n_y):
        """Step by step, with NumPy's softmax and one draw of `rng` at a time."""
        n = 300  # more than one block of draws
        model = crnn.RNN(n_y, 16, n_y, steps="all", dtype=dtype, rng=0)
        model.parameters["Waa"] = 2 * model.parameters["Waa"]
        rng, stream, symbols, symbol = np.random.default_rng(3), model.stream(), [], 2
        for _ in range(n):
            logits = np.log(stream.step([symbol])[0].astype(float)) / temperature
            cumulative = np.cumsum(np.exp(logits - logits.max()))
            symbol = int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))
            symbols.append(symbol)
        drawn = model.sample(n, prime=[2], temperature=temperature, rng=3)
        np.testing.assert_array_equal(drawn, symbols)

    def test_temperature_shapes_the_distribution(self):
        model = self.always(np.log([0.2, 1e-300, 0.8]))
        counts = np.bincount(model.sample(20000, rng=0), minlength=3)
        np.testing.assert_allclose(counts / 20000, [0.2, 0, 0.8], atol=0.01)
        counts = np.bincount(model.sample(20000, temperature=0.5, rng=0), minlength=3)
        np.testing.assert_allclose(counts / 20000, [1 / 17, 0, 16 / 17], atol=0.01)

    def test_an_impossible_class_is_never_drawn_even_last(self):
        class Highest(np.random.Generator):
            def random(self, n):
                return np.full(n, np.nextafter(1.0, 0))

        drawn = self.always([0.0, 0.0, -2000.0]).sample(3, rng=Highest(np.random.PCG64(0)))
        np.testing.assert_array_equal(drawn, 1)

    def test_every_class_is_drawn_as_often_as_it_should_be(self, table):
        """A class of probability p in k of n draws: k is within five standard deviations of n p."""
        n, p = 100_000, np.random.default_rng(0).dirichlet(np.full(50, 0.5))
        counts = np.bincount(self.always(np.log(p)).sample(n, rng=1), minlength=50)
        assert np.all(np.abs(counts - n * p) <= 5 * np.sqrt(n * p * (1 - p)) + 1)

    def test_an_infinite_logit_is_certain(self):
        for temperature in (0, 1, 1e300):
            drawn = self.always([0.0, np.inf, 5.0]).sample(3, temperature=temperature, rng=0)
            np.testing.assert_array_equal(drawn, 1)

    def test_an_answer_of_nan_is_no_symbol(self, model):
        model.parameters["by"][1] = np.nan
        for temperature in (0, 1):
            with pytest.raises(ValueError, match="sample: the model's answer to step 2 has NaN"):
                model.sample(5, prime=[1, 2], temperature=temperature, rng=0)

    @pytest.mark.parametrize(
        ("options", "call", "message"),
        [
            ({"steps": "last"}, {"n": 1}, "sample: expected a model with steps='all'"),
            ({"loss": "mse"}, {"n": 1}, "sample: expected a model with steps='all'"),
            ({"direction": "reverse"}, {"n": 1}, "expected a model with direction 'forward'"),
            ({}, {"n": -1}, "n: expected a whole number >= 0"),
            ({}, {"n": 1, "temperature": -1}, "temperature: expected a finite number >= 0"),
            ({}, {"n": 1, "prime": [4]}, "prime: expected integers in 0..3, got 4"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, call, message):
        model = crnn.RNN(4, 2, 4, **{"steps": "all", "rng": 0, **options})
        with pytest.raises(ValueError, match=message):
            model.sample(**call)
