"""crnn.RNN: shapes, names, accepted and refused arguments, and gradients of the whole model."""

import copy
import pickle

import numpy as np
import pytest

import crnn
from crnn import check, reference

T, M, N_X, N_A, N_Y = 5, 4, 3, 6, 2


def model(**options):
    return crnn.RNN(N_X, N_A, N_Y, **{"dtype": "float64", "rng": 0, **options})


def targets(config, rng, T=T, m=M):
    shape = (m,) if config.steps == "last" else (T, m)
    if config.classifies:
        return rng.integers(0, N_Y, shape)
    return rng.standard_normal((*shape, N_Y))


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
class TestEveryConfiguration:
    @pytest.mark.parametrize("num_layers", [1, 2])
    @pytest.mark.parametrize("ragged", [False, True])
    @pytest.mark.parametrize("integers", [False, True])
    def test_gradients_agree_with_finite_differences(
        self, direction, steps, loss, num_layers, ragged, integers
    ):
        rnn = model(direction=direction, steps=steps, loss=loss, num_layers=num_layers)
        rng = np.random.default_rng(1)
        x = rng.integers(0, N_X, (T, M)) if integers else rng.standard_normal((T, M, N_X))
        lengths = np.array([5, 1, 3, 4]) if ragged else None
        y = targets(rnn.config, rng)
        error = check.model_error(rnn, x, y, lengths)
        assert error < check.FINITE_DIFFERENCE_TOLERANCE

    def test_prediction_shapes(self, direction, steps, loss):
        rnn = model(direction=direction, steps=steps, loss=loss)
        x = np.zeros((T, M, N_X))
        lead = (M,) if steps == "last" else (T, M)
        y_hat, y = rnn.predict_proba(x), rnn.predict(x)
        assert y_hat.shape == (*lead, N_Y)
        assert y.shape == (lead if loss == "cross_entropy" else (*lead, N_Y))
        if loss == "cross_entropy":
            assert y.dtype.kind == "i"
            np.testing.assert_allclose(y_hat.sum(axis=-1), 1)

    def test_a_list_equals_the_padded_array_with_lengths(self, direction, steps, loss):
        rnn = model(direction=direction, steps=steps, loss=loss, num_layers=2)
        rng = np.random.default_rng(2)
        x, lengths = rng.standard_normal((T, M, N_X)), np.array([2, 5, 1, 3])
        y = targets(rnn.config, rng)
        listed = [x[:n, i] for i, n in enumerate(lengths)]
        y_listed = y if steps == "last" else [y[:n, i] for i, n in enumerate(lengths)]
        y_hat, y_hat_listed = rnn.predict_proba(x, lengths), rnn.predict_proba(listed)
        if steps == "last":
            np.testing.assert_array_equal(y_hat, y_hat_listed)
        else:
            for i, n in enumerate(lengths):
                np.testing.assert_array_equal(y_hat[:n, i], y_hat_listed[i])
                assert np.all(y_hat[n:, i] == 0)
                assert rnn.predict(listed)[i].shape[0] == n
        loss_padded, g = rnn.gradients(x, y, lengths)
        loss_listed, g_listed = rnn.gradients(listed, y_listed)
        assert loss_padded == loss_listed
        for name in g:
            np.testing.assert_array_equal(g[name], g_listed[name])

    def test_examples_are_independent(self, direction, steps, loss):
        rnn = model(direction=direction, steps=steps, loss=loss)
        rng = np.random.default_rng(3)
        x, lengths = rng.standard_normal((T, M, N_X)), np.array([2, 5, 1, 3])
        together = rnn.predict_proba(x, lengths)
        for i, n in enumerate(lengths):
            alone = rnn.predict_proba(x[:n, i : i + 1])
            mine = together[i] if steps == "last" else together[:n, i]
            np.testing.assert_allclose(
                alone[0] if steps == "last" else alone[:, 0], mine, atol=1e-14
            )


def test_predictions_have_as_many_steps_as_the_input():
    rnn = model(steps="all")
    y_hat = rnn.predict_proba(np.ones((T, M, N_X)), np.array([2, 3, 1, 2]))
    assert y_hat.shape == (T, M, N_Y)
    assert np.all(y_hat[3:] == 0)


def test_a_single_layer_agrees_with_the_reference():
    rnn = model(steps="all")
    Waa, Wax, ba, Wya, by = (rnn.parameters[k] for k in ("Waa", "Wax", "ba", "Wya", "by"))
    ba[...], by[...] = 0.1, 0.2
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((T, M, N_X)), rng.integers(0, N_Y, (T, M))
    a = reference.rnn_forward(x, Waa, Wax, ba)
    logits = reference.output_forward(a, Wya, by)
    np.testing.assert_allclose(rnn.predict_proba(x), reference.softmax(logits), atol=1e-15)
    loss, gradients = rnn.gradients(x, y)
    assert loss == pytest.approx(reference.cross_entropy(logits, y) / (T * M), rel=1e-14)
    dy = reference.cross_entropy_backward(logits, y) / (T * M)
    dWya, dby, da = reference.output_backward(dy, a, Wya)
    g = reference.rnn_backward(da, a, x, Waa, Wax)
    truth = {"Waa": g.dWaa, "Wax": g.dWax, "ba": g.dba, "Wya": dWya, "by": dby}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, truth[name], atol=1e-15)


def test_mean_squared_error_averages_over_all_elements():
    rnn = model(loss="mse")
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((T, M, N_X)), rng.standard_normal((M, N_Y))
    y_hat = rnn.predict(x)
    loss, metric = rnn.evaluate(x, y)
    assert loss == pytest.approx(np.mean((y_hat - y) ** 2))
    assert metric == pytest.approx(np.mean(np.abs(y_hat - y)))
    np.testing.assert_array_equal(rnn.predict_proba(x), y_hat)


def test_bidirectional_output_layer_reads_the_last_state_of_each_direction():
    rnn = model(direction="bidirectional", loss="mse")
    p = rnn.parameters
    x, lengths = np.random.default_rng(6).standard_normal((T, M, N_X)), np.array([2, 5, 1, 3])
    forward = reference.rnn_forward(x, p["Waa_l0"], p["Wax_l0"], p["ba_l0"], lengths=lengths)
    backward = reference.rnn_forward(
        x, p["Waa_l0_reverse"], p["Wax_l0_reverse"], p["ba_l0_reverse"],
        lengths=lengths, reverse=True,
    )  # fmt: skip
    last = np.concatenate([forward[lengths - 1, np.arange(M)], backward[0]], axis=1)
    np.testing.assert_allclose(rnn.predict(x, lengths), last @ p["Wya"].T + p["by"], atol=1e-14)


class TestParameters:
    @pytest.mark.parametrize(
        ("options", "names"),
        [
            ({}, "Waa Wax ba Wya by"),
            ({"direction": "reverse"}, "Waa Wax ba Wya by"),
            ({"num_layers": 2}, "Waa_l0 Wax_l0 ba_l0 Waa_l1 Wax_l1 ba_l1 Wya by"),
            (
                {"direction": "bidirectional"},
                "Waa_l0 Wax_l0 ba_l0 Waa_l0_reverse Wax_l0_reverse ba_l0_reverse Wya by",
            ),
        ],
    )
    def test_names(self, options, names):
        rnn = model(**options)
        assert list(rnn.parameters) == names.split()
        assert len(rnn.parameters) == rnn.config.num_parameter_arrays
        assert list(rnn.gradients(np.zeros((T, M, N_X)), np.zeros(M, int))[1]) == names.split()

    def test_parameters_are_aligned_views_of_one_buffer(self):
        for dtype in ("float32", "float64"):
            rnn = model(dtype=dtype, num_layers=3, direction="bidirectional")
            bases = {
                id(p.base.base if p.base.base is not None else p.base)
                for p in rnn.parameters.values()
            }
            assert len(bases) == 1
            for p in rnn.parameters.values():
                assert p.ctypes.data % 64 == 0
                assert p.dtype == dtype

    def test_changes_of_parameters_take_effect(self):
        rnn = model()
        x = np.ones((T, M, N_X))
        before = rnn.predict_proba(x)
        rnn.parameters["by"] = [5.0, 0.0]
        assert np.all(rnn.predict_proba(x)[:, 0] > before[:, 0])
        rnn.parameters["by"][...] = 0
        np.testing.assert_array_equal(rnn.predict_proba(x), before)

    def test_names_and_shapes_are_fixed(self):
        rnn = model()
        with pytest.raises(KeyError):
            rnn.parameters["W"] = 1
        with pytest.raises(TypeError, match="the names are fixed"):
            del rnn.parameters["Waa"]
        with pytest.raises(
            ValueError, match=r"Waa: expected numbers of shape \(6, 6\), got float64"
        ):
            rnn.parameters["Waa"] = np.zeros((N_A, N_A + 1))

    @pytest.mark.parametrize(
        "copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
    )
    def test_a_copy_of_parameters_is_a_dict_of_copies(self, copied):
        rnn = model()
        snapshot = copied(rnn.parameters)
        assert type(snapshot) is dict
        rnn.parameters["Waa"] = 0
        np.testing.assert_array_equal(snapshot["Waa"], model().parameters["Waa"])

    def test_Waa_starts_orthogonal(self):
        Waa = model().parameters["Waa"]
        np.testing.assert_allclose(Waa @ Waa.T, np.eye(N_A), atol=1e-14)
        assert np.all(model().parameters["ba"] == 0)

    def test_the_same_seed_gives_the_same_parameters(self):
        first, second, other = model(rng=1), model(rng=np.random.default_rng(1)), model(rng=2)
        for name in first.parameters:
            np.testing.assert_array_equal(first.parameters[name], second.parameters[name])
        assert np.any(first.parameters["Waa"] != other.parameters["Waa"])

    def test_Wa_stacks_Waa_and_Wax(self):
        rnn = model()
        np.testing.assert_array_equal(
            rnn.Wa, np.hstack([rnn.parameters["Waa"], rnn.parameters["Wax"]])
        )
        with pytest.raises(AttributeError, match="Wa: expected a model of one layer"):
            model(num_layers=2).Wa  # noqa: B018

    @pytest.mark.parametrize(
        "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
    )
    def test_a_copied_model_trains_independently(self, copied):
        rnn = model()
        rnn.metadata["note"] = "mine"
        twin = copied(rnn)
        x, y = np.ones((T, M, N_X)), np.zeros(M, int)
        np.testing.assert_array_equal(twin.predict_proba(x), rnn.predict_proba(x))
        assert twin.metadata == {"note": "mine"}
        before = rnn.predict_proba(x)
        twin.fit(x, y, epochs=2, progress=False, rng=0)
        assert np.any(twin.predict_proba(x) != before), "the copy did not train"
        np.testing.assert_array_equal(rnn.predict_proba(x), before)

    def test_gradients_are_not_overwritten_by_the_next_call(self):
        rnn = model()
        x, y = np.ones((T, M, N_X)), np.zeros(M, int)
        first = rnn.gradients(x, y)[1]
        kept = {name: g.copy() for name, g in first.items()}
        rnn.gradients(3 * x, 1 - y)
        for name in kept:
            np.testing.assert_array_equal(first[name], kept[name])


def test_float_inputs_are_converted():
    rnn = model(dtype="float32")
    x = np.random.default_rng(0).standard_normal((T, M, N_X)).astype("f2")
    for dtype in ("f2", "f4", "f8", ">f8"):
        np.testing.assert_array_equal(rnn.predict_proba(x.astype(dtype)), rnn.predict_proba(x))
    assert rnn.predict_proba(x).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits_do_not_overflow(dtype):
    rnn = model(dtype=dtype)
    rnn.parameters["by"] = [1e4, -1e4]
    x = np.zeros((T, M, N_X))
    np.testing.assert_array_equal(rnn.predict_proba(x), [[1, 0]] * M)
    for k, loss in ((0, 0.0), (1, 2e4)):
        y = np.full(M, k)
        value, gradients = rnn.gradients(x, y)
        assert value == pytest.approx(loss)
        assert rnn.evaluate(x, y)[0] == pytest.approx(loss)
        np.testing.assert_allclose(gradients["by"], [k, -k])


def test_repr():
    assert repr(model()).startswith("RNN(n_x=3, n_a=6, n_y=2, num_layers=1, direction='forward'")


X, Y = np.zeros((T, M, N_X)), np.zeros(M, int)
REFUSED = [
    (lambda: crnn.RNN(0, 1, 1), ValueError, "n_x: expected a whole number >= 1, got 0"),
    (lambda: crnn.RNN(1, 1.5, 1), TypeError, "n_a: expected a whole number, got 1.5"),
    (lambda: crnn.RNN(1, 1, True), TypeError, "n_y: expected a whole number, got True"),
    (lambda: crnn.RNN(1, 1, 1), ValueError, "n_y: expected at least 2 with loss='cross_entropy'"),
    (lambda: crnn.RNN(1, 1, 2, num_layers=0), ValueError, "num_layers: expected"),
    (lambda: crnn.RNN(1, 1, 2, direction="both"), ValueError, "direction: expected one of"),
    (lambda: crnn.RNN(1, 1, 2, steps="first"), ValueError, "steps: expected one of"),
    (lambda: crnn.RNN(1, 1, 2, loss="hinge"), ValueError, "loss: expected one of"),
    (lambda: crnn.RNN(1, 1, 2, dtype="float16"), ValueError, "dtype: expected float32 or float64"),
    (lambda: crnn.RNN(1, 1, 2, dtype="x"), ValueError, "dtype: expected float32 or float64"),
    (lambda: crnn.RNN(1, 1, 2, rng="x"), TypeError, "rng: expected None, a seed or"),
    (lambda: model().predict(X[0]), ValueError, "x: expected numbers of shape"),
    (lambda: model().predict(X[..., :2]), ValueError, "with n_x = 3"),
    (lambda: model().predict(X.astype(complex)), ValueError, "x: expected numbers of shape"),
    (lambda: model().predict(np.full((T, M), 3)), ValueError, "x: expected integers in 0..2"),
    (lambda: model().predict([]), ValueError, "x: expected at least one sequence"),
    (
        lambda: model().predict([X[:, 0], X[:0, 0]]),
        ValueError,
        r"x\[1\]: expected at least one step",
    ),
    (lambda: model().predict([X[:, 0], [0, 1]]), ValueError, r"x\[1\]: expected numbers of shape"),
    (lambda: model().predict([[0, 1], X[:, 0]]), TypeError, r"x\[1\]: expected integers"),
    (lambda: model().predict([X[:, 0]], [3]), ValueError, "lengths: expected None with a list x"),
    (lambda: model().gradients(X, None), TypeError, "y: expected targets, got None"),
    (lambda: model().gradients(X, Y[:2]), ValueError, r"y: expected shape \(4,\)"),
    (lambda: model().gradients(X, Y + 2), ValueError, "y: expected integers in 0..1, got 2"),
    (lambda: model().gradients(X, Y + 0.5), TypeError, "y: expected integers"),
    (
        lambda: model(loss="mse").gradients(X, Y),
        ValueError,
        r"y: expected numbers of shape \(4, 2\)",
    ),
    (lambda: model(steps="all").gradients(X, Y), ValueError, r"y: expected shape \(5, 4\)"),
    (
        lambda: model(steps="all").gradients([X[:, 0]], Y),
        ValueError,
        "y: expected a list of 1 arrays",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_wrong_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Subclass(crnn.RNN):
    """A subclass as a user may write it, with an attribute and a slot."""

    __slots__ = ("slot",)

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.mean, self.slot = 1.5, ["in a slot"]


@pytest.mark.parametrize("cls", [crnn.RNN, Subclass])
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
class TestCopies:
    def test_keep_attributes_and_metadata(self, cls, duplicate):
        model = cls(2, 4, 3, rng=0)
        model.notes, model.metadata["on"] = ["kept"], "noise"
        again = duplicate(model)
        assert type(again) is cls
        assert (again.notes, again.metadata) == (["kept"], {"on": "noise"})
        if cls is Subclass:
            assert (again.mean, again.slot) == (1.5, ["in a slot"])

    def test_do_not_share_parameters_or_metadata(self, cls, duplicate):
        model = cls(2, 4, 3, rng=0)
        again = duplicate(model)
        again.parameters["by"], again.metadata["on"] = 7, "noise"
        assert not model.parameters["by"].any()
        assert not model.metadata
        x = np.ones((3, 2, 2))
        again.fit(x, [0, 1], epochs=1, progress=False)
        assert not model.parameters["by"].any()

    def test_a_model_that_refers_to_itself(self, cls, duplicate):
        model = cls(2, 4, 3, rng=0)
        model.me = model
        again = duplicate(model)
        assert again.me is (model if duplicate is copy.copy else again)


class TestAcceptedArguments:
    X = np.random.default_rng(0).integers(-3, 4, (5, 4, 2))

    @pytest.mark.parametrize("dtype", ["i1", "u2", "i8", "f2", "f8", "?"])
    def test_numbers_of_any_dtype(self, dtype):
        model, x = crnn.RNN(2, 4, 3, rng=0), self.X.astype(dtype)
        y_hat = model.predict_proba(x)
        np.testing.assert_array_equal(y_hat, model.predict_proba(x.astype("f4")))
        np.testing.assert_array_equal(y_hat, model.predict_proba(list(x.swapaxes(0, 1))))

    def test_bool_targets(self):
        y = np.array([True, False, False, True])
        model = crnn.RNN(2, 4, 2, rng=0)
        assert model.evaluate(self.X, y) == model.evaluate(self.X, y.astype(int))
        every = crnn.RNN(2, 4, 2, steps="all", rng=0)
        by_step = [np.tile(y_i, 5) for y_i in y]
        x = list(self.X.swapaxes(0, 1))
        assert every.evaluate(x, by_step) == every.evaluate(x, [y_i.astype(int) for y_i in by_step])

    def test_optimizers_by_name(self):
        by_name, by_object = (crnn.RNN(2, 4, 2, rng=0) for _ in range(2))
        named = {"sgd": crnn.SGD(0.1), "adam": crnn.Adam(), "adamw": crnn.AdamW()}
        named["rmsprop"] = crnn.RMSprop()
        for name, optimizer in named.items():
            for _ in range(2):  # the second call continues with the moments of the first
                for model, given in ((by_name, name), (by_object, optimizer)):
                    model.fit(self.X, [0, 1, 1, 0], optimizer=given, progress=False, rng=0)
        for name, value in by_name.parameters.items():
            np.testing.assert_array_equal(value, by_object.parameters[name])


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (
            (6, 2, 5),
            r"\(m, n_x, T\), the order of aeon and sktime, x.transpose\(2, 0, 1\) fits",
        ),
        ((2, 5, 6), r"if its axes are \(n_x, T, m\), x.transpose\(1, 2, 0\) fits"),
        ((6, 5), "got float64"),
        ((6, 5, 7), r"got float64 of shape \(6, 5, 7\)$"),
    ],
)
def test_error_suggests_the_transpose_of_x_that_fits(shape, told):
    x = np.ones(shape)
    with pytest.raises(ValueError, match="^x: expected .*" + told):
        crnn.RNN(2, 4, 3, rng=0).predict(x)
    with pytest.raises(ValueError, match="^x: expected .*" + told):
        crnn.rnn_forward(x, np.eye(4), np.ones((4, 2)))


def test_error_suggests_swapaxes_if_x_or_y_has_examples_first():
    model, every = (crnn.RNN(2, 4, 3, steps=steps, rng=0) for steps in ("last", "all"))
    x = np.ones((6, 5, 2))  # meant as m = 6
    with pytest.raises(ValueError, match=r"y: .*; if x is \(m, T, n_x\), .* x.swapaxes\(0, 1\)"):
        model.fit(x, np.zeros(6, int), progress=False)
    with pytest.raises(ValueError, match=r"y: .*; if x is \(m, T, n_x\), .* y.swapaxes\(0, 1\)"):
        every.evaluate(x, np.zeros((5, 6), int))
    with pytest.raises(ValueError, match=r"y: expected shape \(5,\), got int64 of shape \(7,\)$"):
        model.evaluate(x, np.zeros(7, int))
    with pytest.raises(ValueError, match=r"x\[0\]: .*; if its axes are \(n_x, T\), x\[0\].T fits"):
        model.predict([np.ones((2, 6))])


def test_error_suggests_the_axis_that_is_missing():
    one, x = crnn.RNN(2, 4, 1, loss="mse", rng=0), np.ones((6, 5, 2))
    with pytest.raises(
        ValueError, match=r"y: .*\(5,\); y\[..., None\] has one axis more and fits$"
    ):
        one.evaluate(x, np.zeros(5))
    with pytest.raises(
        ValueError, match=r"x: .*\(6, 2\); x\[:, None\] has one axis more and fits$"
    ):
        one.predict(x[:, 0])
    several = crnn.RNN(1, 4, 3, rng=0)
    with pytest.raises(ValueError, match=r"x\[0\]: .*; x\[0\]\[..., None\] has one axis more"):
        several.predict([x[:, 0, 0]])
    with pytest.raises(ValueError, match=r"x: .*\(6, 2\); x\[..., None\] has one axis more"):
        several.predict(x[:, 0])
    with pytest.raises(ValueError, match=r"y: .*got float64 of shape \(4,\)$"):
        one.evaluate(x, np.zeros(4))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            ["no", "yes", "no", "no", "yes"],
            r"; np.unique\(labels, return_inverse=True\)\[1\] numbers",
        ),
        ([0.0, 1.0, 0.0, 0.0, 1.0], r"float64 .*; they are whole: astype\(int\)"),
        ([0.5, 1.0, 0.0, 0.0, 1.0], r"float64 of shape \(5,\)$"),
        ([np.inf, 1.0, 0.0, np.nan, 1.0], r"float64 of shape \(5,\)$"),
        (np.eye(2)[[0, 1, 0, 0, 1]], r"; its rows are one-hot: y.argmax\(axis=-1\) gives"),
        (np.full((5, 2), 0.5), r"float64 of shape \(5, 2\)$"),
        ([[0.0], [1.0], [0.0], [0.0], [1.0]], r"; y\[..., 0\] has one axis less"),
    ],
)
def test_error_says_how_labels_become_class_numbers(labels, told):
    """Columns of a CSV file are floats or text."""
    model = crnn.RNN(2, 4, 2, rng=0)
    with pytest.raises(TypeError, match=r"y: expected integers \(class numbers\), got .*" + told):
        model.fit(np.ones((6, 5, 2)), np.array(labels), progress=False)


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.eye(2, dtype=int)[[0, 1, 0, 0, 1]], r"; its rows are one-hot: y.argmax\(axis=-1\)"),
        (np.array([[0], [1], [0], [0], [1]]), r"; y\[..., 0\] has one axis less"),
        (np.zeros((5, 3), int), r"of shape \(5, 3\)$"),
    ],
)
def test_error_says_how_class_numbers_get_their_shape(y, told):
    model = crnn.RNN(2, 4, 2, rng=0)
    with pytest.raises(ValueError, match=r"y: expected shape \(5,\), got int64 .*" + told):
        model.fit(np.ones((6, 5, 2)), y, progress=False)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("12,5", r"; '12,5' at \(2, 1, 0\) is not a number$"),
        (None, r"; None at \(2, 1, 0\) is not a number$"),
        ("12.5", r"; each is a number: astype\(float\) converts them$"),
    ],
)
def test_error_names_what_is_no_number(number, told):
    """A table with one column of text has objects throughout."""
    x = np.ones((6, 5, 2), object)
    x[2, 1, 0] = number
    model = crnn.RNN(2, 4, 1, loss="mse", rng=0)
    with pytest.raises(ValueError, match=r"x: .*object of shape \(6, 5, 2\)" + told):
        model.predict(x)
    with pytest.raises(ValueError, match=r"x\[1\]: .*object of shape \(6, 2\); .* number"):
        model.predict([np.ones((3, 2)), x[:, 1]])
    with pytest.raises(ValueError, match=r"y: .*object of shape \(5, 1\); .* number"):
        model.evaluate(np.ones((6, 5, 2)), x[2, :, :1])


def test_error_suggests_a_list_for_an_array_of_arrays():
    x = np.empty(2, object)
    x[:] = [np.ones((5, 2)), np.ones((3, 2))]
    model = crnn.RNN(2, 4, 3, rng=0)
    with pytest.raises(ValueError, match=r"x: .*; list\(x\) is a list of sequences$"):
        model.predict(x)
    assert model.predict(list(x)).shape == (2,)
