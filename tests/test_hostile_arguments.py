"""Hostile arguments give a result, or a ValueError or TypeError that begins with a name.

One or two arguments of a valid call are replaced by anything: other dtypes, ranks, sizes, layouts,
NaN, numbers beyond every range, lists of lists, None. A call that raises changes nothing. The draws
are the same in every run; CRNN_FUZZ=N makes N times as many.
"""

import functools
import os
import pickle
import re

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crnn
from crnn import check
from crnn.text import Vocabulary

# NumPy warns when its cast of values beyond the range of float32 overflows.
pytestmark = pytest.mark.filterwarnings(
    "ignore:(overflow|invalid value) encountered in cast:RuntimeWarning",
)
TIMES = int(os.environ.get("CRNN_FUZZ", 1))
derandomized = settings(derandomize=True, database=None, deadline=None, max_examples=100 * TIMES)

DTYPES = [
    "?", "i1", "u1", "i4", ">i4", "i8", "u8", "f2", "f4", ">f4", "f8", "g", "c8",
    "S3", "U2", "M8[s]", "O", "V4", [("a", "f4"), ("b", "i4")],
]  # fmt: skip


class NoIndex:
    def __index__(self):
        raise OverflowError("no index")

    def __float__(self):
        raise OverflowError("no float")


class Loud:
    """An object that raises an error whatever it is asked."""

    def __getattr__(self, name):
        if name.startswith(("__array", "__dlpack")):
            raise ZeroDivisionError(name)
        raise AttributeError(name)

    def __array__(self, dtype=None, copy=None):
        raise ZeroDivisionError


def infinite_list():
    nested = []
    nested.append(nested)
    return nested


SCALARS = [
    None, True, False, -1, 0, 1, 2, 3, 2**31, 2**63, -(2**70), 10**400, 0.5, -0.0, 1e-320, 1e39,
    float("nan"), float("inf"), 1j, "", "tanh", "x\0", b"ab", bytearray(b"ab"), (), [], [[]], {},
    set(), {"a": 1}, range(3), object(), NoIndex(), Loud(), int, np.float32, infinite_list(),
    [[1.0], [1.0, 2.0]], [None], ["a"], [1, None], [[1, 2], [3, 4]], np.float32(1), np.int64(1),
    np.array(1), np.array([0.1]), np.ma.zeros((4, 3)), np.datetime64("2020"), memoryview(b"abc"),
]  # fmt: skip


@st.composite
def arrays(draw, shape):
    """An array whose shape is often the right one, or off by one."""
    shape = list(shape)
    change = draw(st.sampled_from(["none", "none", "none", "size", "fewer", "more", "any"]))
    if change == "size" and shape:
        shape[draw(st.integers(0, len(shape) - 1))] = draw(st.sampled_from([0, 1, 2, 7]))
    elif change == "fewer" and shape:
        del shape[draw(st.integers(0, len(shape) - 1))]
    elif change == "more":
        shape.insert(draw(st.integers(0, len(shape))), draw(st.sampled_from([0, 1, 2])))
    elif change == "any":
        shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    a = np.zeros(tuple(shape), dtype)
    fill = draw(st.sampled_from([0, 1, 2, 5, -1, 127, np.nan, np.inf, -1e300, 2**62]))
    if dtype.kind in "iufcO":
        with np.errstate(all="ignore"):
            value = np.float64(fill).astype(dtype) if dtype.kind != "O" else fill
        a[...] = value
        if a.size and draw(st.booleans()):
            a.flat[a.size // 2] = 0
    layout = draw(st.sampled_from(["C", "C", "F", "strided", "read-only", "backwards", "list"]))
    if layout == "F":
        a = np.asfortranarray(a)
    elif layout == "strided":
        a = np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a
    elif layout == "backwards":
        a = a[::-1] if a.ndim else a
    elif layout == "read-only":
        a.flags.writeable = False
    return a.tolist() if layout == "list" else a


def anything(shape=()):
    shape = shape or (2,)
    listed = st.lists(arrays(shape[1:]) | st.sampled_from(SCALARS), max_size=4)
    return st.one_of(arrays(shape), arrays(shape), st.sampled_from(SCALARS), listed)


@st.composite
def spoiled(draw, good):
    """Replacements for one or two of the valid arguments."""
    names = draw(st.lists(st.sampled_from(sorted(good)), min_size=1, max_size=2, unique=True))
    return {name: draw(anything(getattr(good[name], "shape", ()))) for name in names}


def has_nan(y_hat):
    return any(np.isnan(item).any() for item in (y_hat if isinstance(y_hat, list) else [y_hat]))


def attempt(call, names, allowed=()):
    """The call's result, or None if it is refused with the argument's name."""
    try:
        return call()
    except allowed:
        return None
    except (ValueError, TypeError) as error:
        message = str(error)
    assert re.match(rf"({'|'.join(names)})\b", message, flags=re.S), message
    return None


SEQUENCE = check.problem(4, 3, 5, 6, dtype="float32", lengths=True)
FORWARD = {**SEQUENCE.arguments, **SEQUENCE.options}
BACKWARD = {"da": SEQUENCE.da, "a": SEQUENCE.da, **FORWARD}
del BACKWARD["ba"]


class TestTheSequence:
    @derandomized
    @given(spoiled({**FORWARD, "out": np.empty((4, 3, 6))}))
    def test_forward(self, bad):
        arguments = {**FORWARD, "out": np.full((4, 3, 6), 7, "f4"), **bad}
        out = arguments["out"]
        kept = out.copy() if isinstance(out, np.ndarray) else None
        a = attempt(functools.partial(crnn.rnn_forward, **arguments), arguments)
        if a is None and kept is not None:
            assert out.tobytes() == kept.tobytes()
        elif a is not None:
            assert a.shape == (*np.shape(arguments["x"])[:2], len(arguments["Waa"]))

    @derandomized
    @given(spoiled(BACKWARD))
    def test_backward(self, bad):
        arguments = {**BACKWARD, **bad}
        g = attempt(functools.partial(crnn.rnn_backward, **arguments), arguments)
        if g is not None:
            assert g.dWaa.shape == np.shape(arguments["Waa"])


PREPARED = {
    name: np.ones(shape, "f4")
    for name, shape in {"Waa": (18, 6), "Wax": (18, 5), "ba": (18,), "baa": (6,)}.items()
}
LEAKY = {
    **FORWARD, "leak": np.full(6, 0.5, "f4"), "noise": 0.5, "seed": 1, "equation": "current",
    "keep": True,
}  # fmt: skip
OF_A_CALL = {
    "x": FORWARD["x"], "a0": FORWARD["a0"], "c0": None, "noise": 0.0, "seed": None,
    "lengths": FORWARD["lengths"], "reverse": False, "out": np.empty((4, 3, 6), "f4"),
}  # fmt: skip


class TestOtherCells:
    @derandomized
    @given(spoiled(LEAKY))
    def test_leaky_forward(self, bad):
        arguments = {**LEAKY, **bad}
        s = attempt(functools.partial(crnn.leaky_forward, **arguments), arguments)
        if s is not None:
            assert s.a.shape == (*np.shape(arguments["x"])[:2], len(arguments["Waa"]))

    @derandomized
    @given(spoiled({"cell": "gru", **PREPARED}))
    def test_preparing_weights(self, bad):
        arguments = {"cell": "gru", **PREPARED, **bad}
        attempt(functools.partial(crnn.Prepared, **arguments), arguments)

    @derandomized
    @given(spoiled(OF_A_CALL))
    def test_calls_of_prepared_weights(self, bad):
        arguments = {**OF_A_CALL, "out": np.full((4, 3, 6), 7, "f4"), **bad}
        out = arguments["out"]
        kept = out.copy() if isinstance(out, np.ndarray) else None
        gru = crnn.Prepared("gru", **PREPARED)
        s = attempt(functools.partial(gru.forward, **arguments), arguments)
        if s is None and kept is not None:
            assert out.tobytes() == kept.tobytes()
        elif s is not None:
            assert s.a.shape == (*np.shape(arguments["x"])[:2], 6)


SIZES = {"n_x": 3, "n_a": 4, "n_y": 2}
CHOICES = {
    "num_layers": 1, "direction": "forward", "activation": "tanh", "steps": "last",
    "loss": "mse", "dtype": "float32", "rng": 0,
}  # fmt: skip
CELLS = {
    "vanilla": {},
    "leaky": {"leak": np.full(4, 0.5), "noise": 0.1, "equation": "current"},
    "gru": {"init": "keras"},
    "lstm": {"forget_bias": 1.0},
}
OF_CELLS = {
    "cell": "vanilla", "leak": None, "noise": 0.0, "equation": "rate", "init": "pytorch",
    "forget_bias": None, "activation": "tanh",
}  # fmt: skip
T, M = 4, 3
X = np.ones((T, M, 3), "f4")
OPTIONS = [
    {"steps": steps, "loss": loss, "direction": direction}
    for steps in ("last", "all")
    for loss in ("cross_entropy", "mse")
    for direction in ("forward", "bidirectional")
] + [{"steps": "last", "loss": loss} for loss in ("binary_cross_entropy", "gaussian_nll")]


@functools.cache
def model(k):
    return crnn.RNN(**SIZES, **OPTIONS[k], rng=0)


def targets(k):
    shape = (M,) if OPTIONS[k]["steps"] == "last" else (T, M)
    if OPTIONS[k]["loss"] == "cross_entropy":
        return np.ones(shape, int)
    return np.ones((*shape, 1 if OPTIONS[k]["loss"] == "gaussian_nll" else 2), "f4")


def examples(k):
    return {"x": X, "y": targets(k), "lengths": np.array([4, 1, 2])}


NAMES = ["x", "y", "lengths", "validation"]
FIT = {
    "epochs": 1, "batch_size": 2, "optimizer": crnn.SGD(0.1), "clip_norm": None, "clip_value": None,
    "patience": None, "progress": False, "callback": None,
}  # fmt: skip
EVERY_KIND = pytest.mark.parametrize("k", range(len(OPTIONS)))


def short(arguments):
    """Arguments of a short training without output."""
    if type(arguments["epochs"]) is int and arguments["epochs"] > 3:
        arguments["epochs"] = 3
    if arguments["progress"] is True:
        arguments["progress"] = False
    if isinstance(arguments["callback"], type):  # what a callback raises is the caller's own
        arguments["callback"] = None
    return arguments


class TestTheModel:
    @derandomized
    @given(spoiled({**SIZES, **CHOICES}))
    def test_making(self, bad):
        attempt(functools.partial(crnn.RNN, **{**SIZES, **CHOICES, **bad}), [*SIZES, *CHOICES])

    @pytest.mark.parametrize("cell", CELLS)
    @derandomized
    @given(data=st.data())
    def test_making_every_cell(self, cell, data):
        good = {**OF_CELLS, "cell": cell, **CELLS[cell]}
        arguments = {**SIZES, **good, **data.draw(spoiled(good)), "rng": 0}
        rnn = attempt(functools.partial(crnn.RNN, **arguments), good)
        if rnn is not None:
            assert all(np.isfinite(value).all() for value in rnn.parameters.values())
            assert np.isfinite(np.dtype(rnn.config.dtype).type(rnn.config.noise))
            rnn.predict(X)
            pickle.loads(pickle.dumps(rnn)).config.entries()

    @EVERY_KIND
    @settings(derandomized, max_examples=40 * TIMES)
    @given(data=st.data())
    def test_predicting_and_gradients(self, k, data):
        arguments = {**examples(k), **data.draw(spoiled(examples(k)))}
        of_x = {name: arguments[name] for name in ("x", "lengths")}
        y_hat = attempt(functools.partial(model(k).predict_proba, **of_x), NAMES)
        y = attempt(functools.partial(model(k).predict, **of_x), [*NAMES, "predict"])
        undecided = y_hat is not None and model(k).config.objective.decides and has_nan(y_hat)
        assert (y is None) == (y_hat is None or undecided)
        step = attempt(functools.partial(model(k).gradients, **arguments), NAMES)
        found = attempt(functools.partial(model(k).evaluate, **arguments), NAMES)
        assert (step is None) == (found is None)
        assert step is None or y is not None or undecided

    @EVERY_KIND
    @settings(derandomized, max_examples=25 * TIMES)
    @given(data=st.data())
    def test_fitting(self, k, data):
        good = {**examples(k), **FIT, "validation": (X, targets(k)), "rng": 0}
        arguments = short({**good, **data.draw(spoiled(good))})
        rnn = crnn.RNN(**SIZES, **OPTIONS[k], rng=0)
        history = attempt(
            functools.partial(rnn.fit, **arguments), [*NAMES, *good], crnn.DivergenceError
        )
        for name, value in rnn.parameters.items():
            assert np.isfinite(value).all()
            if history is None:  # refused, or diverged in the first epoch
                assert value.shape == model(k).parameters[name].shape

    @derandomized
    @given(arrays((4, 3)) | st.sampled_from(SCALARS), st.sampled_from(["Waa", "by", "Wax"]))
    def test_setting_a_parameter(self, value, name):
        rnn = crnn.RNN(**SIZES, rng=0)
        before = rnn.parameters[name].copy()

        def put():
            rnn.parameters[name] = value
            return True

        if attempt(put, [name]) is None:
            np.testing.assert_array_equal(rnn.parameters[name], before)


TEXT = np.arange(40) % 3
CHARACTERS = crnn.RNN(3, 4, 3, steps="all", rng=0)


class TestSymbols:
    @settings(derandomized, max_examples=60 * TIMES)
    @given(spoiled({**FIT, "symbols": TEXT, "steps": 5, "validation": TEXT}))
    def test_fitting(self, bad):
        arguments = short({**FIT, "symbols": TEXT, "steps": 5, "validation": TEXT, **bad})
        rnn = crnn.RNN(3, 4, 3, steps="all", rng=0)
        attempt(functools.partial(rnn.fit_stream, **arguments), arguments, crnn.DivergenceError)

    @derandomized
    @given(spoiled({"symbols": TEXT, "batch_size": 4}))
    def test_evaluating(self, bad):
        arguments = {"symbols": TEXT, "batch_size": 4, **bad}
        attempt(functools.partial(CHARACTERS.evaluate_stream, **arguments), arguments)

    @derandomized
    @given(spoiled({"n": 3, "prime": [1, 2], "temperature": 1.0, "rng": 0}))
    def test_sampling(self, bad):
        arguments = {"n": 3, "prime": [1, 2], "temperature": 1.0, "rng": 0, **bad}
        drawn = attempt(functools.partial(CHARACTERS.sample, **arguments), arguments)
        assert drawn is None or drawn.shape == (arguments["n"],)


class TestStream:
    @derandomized
    @given(spoiled({"x_t": np.ones((2, 3), "f4"), "out": np.empty((2, 2), "f4")}))
    def test_step(self, bad):
        arguments = {"x_t": np.ones((2, 3), "f4"), "out": np.empty((2, 2), "f4"), **bad}
        stream = crnn.RNN(**SIZES, rng=0).stream(2)
        stream.step([0, 1])
        before = stream.state
        if attempt(functools.partial(stream.step, **arguments), arguments) is None:
            np.testing.assert_array_equal(stream.state, before)

    @derandomized
    @given(anything((1, 2, 4)))
    def test_state(self, value):
        stream = crnn.RNN(**SIZES, num_layers=2, rng=0).stream(2)
        stream.step([0, 1])
        before = stream.state
        if attempt(lambda: setattr(stream, "state", value) or True, ["state"]) is None:
            np.testing.assert_array_equal(stream.state, before)

    @derandomized
    @given(anything())
    def test_making(self, m):
        if not (type(m) is int and m > 10**6):
            attempt(lambda: crnn.RNN(**SIZES, rng=0).stream(m), ["m"])


@derandomized
@given(
    st.sampled_from(
        [crnn.SGD, crnn.Adam, crnn.AdamW, crnn.RMSprop, functools.partial(crnn.SGD, 0.1)]
    ),
    anything(),
)
def test_optimizers(make, value):
    attempt(lambda: make(value), ["lr", "momentum"])
    more = {
        crnn.Adam: ("beta1", "beta2", "eps"),
        crnn.AdamW: ("weight_decay",),
        crnn.RMSprop: ("decay", "eps", "momentum", "weight_decay"),
    }
    for name in more.get(make, ()):
        attempt(lambda: make(**{name: value}), [name])  # noqa: B023


@derandomized
@given(anything(), anything((2, 2)), anything((2, 2)))
def test_losses(value, logits, y):
    attempt(lambda: crnn.Huber(value), ["delta"])
    attempt(lambda: crnn.Quantiles(value), ["levels"])
    for loss in (value, "mse", "binary_cross_entropy"):
        if not isinstance(loss, type):  # a class can be called, and is then a loss of the user's
            attempt(lambda: crnn.check_loss(loss, logits, y), ["loss", "logits", "y"])  # noqa: B023


@derandomized
@given(st.sampled_from(["kind", "gain", "input_std", "output_gain"]), anything())
def test_initial_values(name, value):
    init = attempt(lambda: crnn.Init(**{name: value}), [name])
    if init is not None:
        rnn = crnn.RNN(**SIZES, init=init, rng=0)
        assert all(np.isfinite(value).all() for value in rnn.parameters.values())


@derandomized
@given(anything())
def test_vocabularies(value):
    attempt(lambda: Vocabulary(value), ["characters"])
    attempt(lambda: Vocabulary.of(value), ["text", "characters"])
    attempt(lambda: Vocabulary("abc").encode(value), ["text", "character .* is not"])
    attempt(lambda: Vocabulary("abc").decode(value), ["symbols"])


@pytest.mark.parametrize("k", range(len(SCALARS)))
def test_paths_and_threads(k):
    value = SCALARS[k]
    if not isinstance(value, (str, bytes)) or "\0" in str(value):
        attempt(lambda: crnn.load(value), ["path"])
        attempt(lambda: CHARACTERS.save(value), ["path"])
    if not isinstance(value, (int, np.integer, np.ndarray)):
        attempt(lambda: crnn.set_num_threads(value), ["n"])


@settings(derandomized, max_examples=40 * TIMES)
@given(st.data())
def test_weights_of_other_libraries(data):
    state, weights = CHARACTERS.to_torch_state_dict(), CHARACTERS.to_keras_weights()
    key = data.draw(st.sampled_from([*state, "other", "rnn.weight_hh_l9", 3]))
    state[key] = data.draw(anything(getattr(state.get(key), "shape", ())))
    place = data.draw(st.integers(0, len(weights) - 1))
    weights[place] = data.draw(anything(weights[place].shape))
    value = data.draw(anything())
    choices = ["dtype", "direction", "activation", "steps", "loss"]
    attempt(lambda: crnn.RNN.from_torch_state_dict(state), ["state_dict", "dtype"])
    attempt(lambda: crnn.RNN.from_torch_state_dict(value), ["state_dict"])
    attempt(lambda: crnn.RNN.from_keras_weights(weights), ["weights", "dtype"])
    attempt(lambda: crnn.RNN.from_keras_weights(value), ["weights"])
    good = CHARACTERS.to_keras_weights()
    for name in choices:
        attempt(lambda: crnn.RNN.from_keras_weights(good, **{name: value}), choices)  # noqa: B023
    for name in ("rnn", "head", "ba", "by"):
        attempt(lambda: CHARACTERS.to_torch_state_dict(**{name: value}), [name])  # noqa: B023


def test_models_larger_than_any_memory_are_said_to_be():
    for sizes in [(2**31 - 1, 2**31 - 1, 2), (1, 2**31 - 1, 2)]:
        with pytest.raises(MemoryError):
            crnn.RNN(*sizes)
    with pytest.raises(ValueError, match="num_layers: expected a whole number <= 10000"):
        crnn.RNN(1, 1, 2, num_layers=2**31 - 1)


def test_values_that_cannot_be_shown_are_refused_by_name_too():
    class NoRepr:
        def __repr__(self):
            raise RuntimeError

    for value in (10**5000, NoRepr(), "x" * 10**6):
        for name, call in {
            "lr": crnn.SGD,
            "m": crnn.RNN(**SIZES, rng=0).stream,
            "dtype": lambda v: crnn.RNN(**SIZES, dtype=v),
            "steps": lambda v: crnn.RNN(**SIZES, steps=v),
            "path": crnn.load if not isinstance(value, str) else crnn.SGD,
        }.items():
            with pytest.raises((TypeError, ValueError), match=f"^({name}|lr): ") as caught:
                call(value)
            assert len(str(caught.value)) < 200


def test_a_seed_that_holds_itself_does_not_end_the_process():
    with pytest.raises(TypeError, match="rng: expected None, a seed or a numpy"):
        crnn.RNN(1, 1, 2, rng=infinite_list())
