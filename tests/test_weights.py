"""Conversion of PyTorch and Keras weights, tested without these libraries."""

import itertools
from collections import OrderedDict

import numpy as np
import pytest

import crnn

KINDS = list(itertools.product([1, 3], ["forward", "reverse", "bidirectional"]))


def model(num_layers=1, direction="forward", **options):
    """A model without zeros among its parameters."""
    rnn = crnn.RNN(3, 4, 2, num_layers=num_layers, direction=direction, rng=0, **options)
    rng = np.random.default_rng(1)
    for value in rnn.parameters.values():
        value[...] = rng.standard_normal(value.shape)
    return rnn


def without_biases():
    rnn = model()
    rnn.parameters["ba"] = 0
    rnn.parameters["by"] = 0
    return rnn


def assert_same_model(first, second):
    assert first.config == second.config
    for name, value in first.parameters.items():
        np.testing.assert_array_equal(second.parameters[name], value)


class TestTorch:
    def test_every_key_holds_its_parameter(self):
        rnn = model(num_layers=2, direction="bidirectional")
        state = rnn.to_torch_state_dict()
        p = rnn.parameters
        assert len(state) == 2 * 2 * 4 + 2
        for k, torchs in enumerate(("l0", "l0_reverse", "l1", "l1_reverse")):
            np.testing.assert_array_equal(state[f"rnn.weight_hh_{torchs}"], p[f"Waa_{torchs}"])
            np.testing.assert_array_equal(state[f"rnn.weight_ih_{torchs}"], p[f"Wax_{torchs}"])
            np.testing.assert_array_equal(state[f"rnn.bias_ih_{torchs}"], p[f"ba_{torchs}"])
            assert not state[f"rnn.bias_hh_{torchs}"].any()
            assert state[f"rnn.weight_ih_{torchs}"].shape == (4, 3 if k < 2 else 8)
        np.testing.assert_array_equal(state["head.weight"], p["Wya"])
        np.testing.assert_array_equal(state["head.bias"], p["by"])

    @pytest.mark.parametrize(("num_layers", "direction"), KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_round_trip(self, num_layers, direction, dtype):
        rnn = model(num_layers, direction, dtype=dtype, activation="relu", steps="all", loss="mse")
        if direction == "reverse":
            with pytest.raises(ValueError, match="to_torch_state_dict: expected a model with dir"):
                rnn.to_torch_state_dict()
            return
        state = rnn.to_torch_state_dict()
        back = crnn.RNN.from_torch_state_dict(state, activation="relu", steps="all", loss="mse")
        assert_same_model(rnn, back)

    @pytest.mark.parametrize(
        ("rnn", "head"), [("module.rnn", "module.fc"), ("", "head"), ("0", "")]
    )
    def test_module_names_are_free(self, rnn, head):
        first = model(num_layers=2)
        state = OrderedDict(first.to_torch_state_dict(rnn=rnn, head=head))
        assert_same_model(first, crnn.RNN.from_torch_state_dict(state))
        assert (f"{rnn}.weight_hh_l1" if rnn else "weight_hh_l1") in state
        assert (f"{head}.weight" if head else "weight") in state

    def test_two_biases_are_added_with_one_rounding(self):
        state = model().to_torch_state_dict()
        first, second = np.float32([1, 1e-8, 3, -1]), np.float32([1e-7, 1, 2**-24, 1])
        state["rnn.bias_ih_l0"], state["rnn.bias_hh_l0"] = first, second
        ba = crnn.RNN.from_torch_state_dict(state).parameters["ba"]
        np.testing.assert_array_equal(ba, first + second)
        ba = crnn.RNN.from_torch_state_dict(state, dtype="float64").parameters["ba"]
        np.testing.assert_array_equal(ba, first.astype(float) + second)

    def test_only_zero_biases_may_be_omitted(self):
        rnn = without_biases()
        state = rnn.to_torch_state_dict(ba=False, by=False)
        assert list(state) == ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"]
        assert_same_model(rnn, crnn.RNN.from_torch_state_dict(state))
        rnn = model(num_layers=2)
        for name in ("ba", "by"):
            with pytest.raises(ValueError, match=f"{name}: expected True, since {name}.* is not"):
                rnn.to_torch_state_dict(**{name: False})

    def test_weights_are_copies(self):
        rnn = model()
        state = rnn.to_torch_state_dict()
        back = crnn.RNN.from_torch_state_dict(state)
        for value in state.values():
            value[...] = 7
        assert_same_model(rnn, back)
        assert not (rnn.parameters["Waa"] == 7).any()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"rnn.weight_hh_l0": None}, "missing 'rnn.weight_hh_l0'$"),
            ({"rnn.bias_hh_l1": None}, "missing 'rnn.bias_hh_l1'$"),
            ({"head.weight": None}, "missing 'head.weight'$"),
            (
                {"rnn.weight_ih_l1": None, "rnn.bias_ih_l0_reverse": np.zeros(4)},
                "missing 'rnn.weight_ih_l0_reverse', .*'rnn.weight_ih_l1'",
            ),
            ({"rnn.bias_ih_l7": np.zeros(4)}, "missing 'rnn.weight_ih_l2', .*; unknown .*_l7'$"),
            ({"step": 3}, "alone, got the unknown 'step'"),
            ({"rnn.weight_hr_l0": np.zeros((4, 4))}, "got the unknown 'rnn.weight_hr_l0'"),
            ({5: 3}, "got the unknown 5"),
            ({"norm.weight": np.zeros(4)}, "of one nn.Linear, got those of 'head.', 'norm.'"),
            (
                {"b.bias_ih_l0": np.zeros(4)},
                "of one nn.RNN, nn.GRU or nn.LSTM, got those of 'b.', 'rnn.'",
            ),
            ({"head.weight": None, "head.bias": None}, "of one nn.Linear, got none"),
            (
                {"rnn.weight_hh_l1": np.zeros((4, 5), "f4")},
                r"state_dict\['rnn.weight_hh_l1'\]: expected floats of shape \(4, 4\), for Waa_l1",
            ),
            ({"rnn.weight_ih_l0": np.zeros((12, 3), "f4")}, r"_ih_l0'\]: .*\(4, 3\), for Wax_l0"),
            (
                {"rnn.weight_hh_l0": np.zeros(4, "f4")},
                r"_hh_l0'\]: expected a matrix of numbers, got float32",
            ),
            ({"head.bias": np.zeros(3, "f4")}, r"'head.bias'\]: expected floats of shape \(2,\)"),
        ],
    )
    def test_wrong_keys_and_shapes_are_refused(self, changed, message):
        state = {**model(num_layers=2).to_torch_state_dict(), **changed}
        state = {key: value for key, value in state.items() if value is not None}
        with pytest.raises(ValueError, match=message):
            crnn.RNN.from_torch_state_dict(state)

    @pytest.mark.parametrize(
        ("state", "message"),
        [
            (None, "state_dict: expected a mapping of names to arrays, got NoneType"),
            ([], "state_dict: expected a mapping of names to arrays, got list"),
            ({"weight_hh_l0": None, "weight": None}, "missing 'weight_ih_l0'"),
            ({}, "of one nn.RNN, nn.GRU or nn.LSTM, got none"),
        ],
    )
    def test_other_objects_are_refused(self, state, message):
        with pytest.raises((TypeError, ValueError), match=message):
            crnn.RNN.from_torch_state_dict(state)

    def test_wrong_arguments_of_the_writer_are_refused(self):
        with pytest.raises(TypeError, match="head: expected a str, got None"):
            model().to_torch_state_dict(head=None)
        with pytest.raises(TypeError, match="by: expected True or False, got 1"):
            model().to_torch_state_dict(by=1)


class TestKeras:
    def test_every_position_holds_its_parameter(self):
        rnn = model(num_layers=2, direction="bidirectional")
        weights = rnn.to_keras_weights()
        names = [
            name + suffix
            for suffix in ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
            for name in ("Wax", "Waa", "ba")
        ]
        assert len(weights) == len(names) + 2
        for name, value in zip([*names, "Wya", "by"], weights, strict=True):
            np.testing.assert_array_equal(value, rnn.parameters[name].T)
            assert value.flags.c_contiguous

    @pytest.mark.parametrize(("num_layers", "direction"), KINDS)
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_round_trip(self, num_layers, direction, dtype):
        choices = {"activation": "relu", "steps": "all", "loss": "mse", "direction": direction}
        rnn = model(num_layers, dtype=dtype, **choices)
        weights = rnn.to_keras_weights()
        assert_same_model(rnn, crnn.RNN.from_keras_weights(weights, **choices))
        for value in weights:
            value[...] = 7
        assert not (rnn.parameters["by"] == 7).any(), "the returned weights must be copies"

    @pytest.mark.parametrize("loss", ["binary_cross_entropy", "gaussian_nll", crnn.Huber(2.0)])
    def test_every_loss(self, loss):
        rnn = model(loss=loss)
        for again in (
            crnn.RNN.from_keras_weights(rnn.to_keras_weights(), loss=loss),
            crnn.RNN.from_torch_state_dict(rnn.to_torch_state_dict(), loss=loss),
        ):
            assert_same_model(rnn, again)
            assert again.config.loss == loss

    def test_only_zero_biases_may_be_omitted(self):
        rnn = without_biases()
        for ba, by in itertools.product([True, False], repeat=2):
            weights = rnn.to_keras_weights(ba=ba, by=by)
            assert len(weights) == 3 + ba + by
            assert_same_model(rnn, crnn.RNN.from_keras_weights(weights))
        with pytest.raises(ValueError, match="by: expected True, since by is not zero, got False"):
            model().to_keras_weights(by=False)

    def test_each_recurrence_may_omit_its_bias(self):
        weights = model(num_layers=3).to_keras_weights()
        del weights[5]
        p = crnn.RNN.from_keras_weights(weights).parameters
        assert p["ba_l0"].all()
        assert not p["ba_l1"].any()
        assert p["ba_l2"].all()

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            (lambda w: w[:-2], "weights: expected kernel, recurrent_kernel and perhaps bias"),
            (lambda w: w[3:], "weights: expected kernel, recurrent_kernel and perhaps bias"),
            (lambda w: [], "weights: expected kernel"),
            (lambda w: [*w, w[-1]], r"got arrays of shapes \(3, 4\), \(4, 4\), \(4,\), \(4, 2\)"),
            (lambda w: [w[0][:, None], *w[1:]], "weights: expected kernel"),
            (lambda w: [w[1], *w], "weights: expected kernel"),
            (lambda w: [np.ones((3, 12), "f4"), *w[1:]], r"weights\[0\]: expected floats of shape "
             r"\(3, 4\), for Wax, got float32 of shape \(3, 12\)"),
            (lambda w: [*w[:3], w[3].T, w[4]], r"weights\[3\]: expected floats of shape \(4, 4\), "
             "for Wya"),
            (lambda w: [*w[:2], w[4], *w[3:]], r"weights\[2\]: expected floats of shape \(4,\)"),
            (lambda w: [*w[:3], w[3], None], r"weights\[4\]: expected an array, got NoneType"),
            (lambda w: iter(w), "weights: expected a list of arrays, got list_iterator"),
        ],
    )  # fmt: skip
    def test_wrong_lists_are_refused(self, changed, message):
        with pytest.raises((TypeError, ValueError), match=message):
            crnn.RNN.from_keras_weights(changed(model().to_keras_weights()))

    def test_a_direction_that_contradicts_the_shapes_is_refused(self):
        square = crnn.RNN(4, 4, 2, direction="bidirectional", rng=0).to_keras_weights()
        with pytest.raises(ValueError, match=r"weights\[6\]: expected floats of shape \(4, 2\)"):
            crnn.RNN.from_keras_weights(square)
        deep = crnn.RNN(4, 4, 2, num_layers=2, rng=0).to_keras_weights()
        with pytest.raises(ValueError, match=r"weights\[6\]: expected floats of shape \(8, 2\)"):
            crnn.RNN.from_keras_weights(deep, direction="bidirectional")
        with pytest.raises(ValueError, match=r"two recurrences a layer .* got 1 in all"):
            crnn.RNN.from_keras_weights(model().to_keras_weights(), direction="bidirectional")
        with pytest.raises(ValueError, match="direction: expected one of"):
            crnn.RNN.from_keras_weights(deep, direction="both")


def weights_and_readers():
    return [
        ({"state_dict": model().to_torch_state_dict()}, crnn.RNN.from_torch_state_dict),
        ({"weights": model().to_keras_weights()}, crnn.RNN.from_keras_weights),
    ]


def cast(weights, dtype):
    if isinstance(weights, dict):
        return {key: value.astype(dtype) for key, value in weights.items()}
    return [value.astype(dtype) for value in weights]


class TestSingleOutput:
    """One output, as of a sigmoid, must not become a softmax over one class, which is always 1."""

    def test_is_refused_with_cross_entropy(self):
        torch = {
            "rnn.weight_ih_l0": np.ones((4, 2), "f4"),
            "rnn.weight_hh_l0": np.eye(4, dtype="f4"),
            "head.weight": np.ones((1, 4), "f4"),
        }
        keras = [np.ones((2, 4), "f4"), np.eye(4, dtype="f4"), np.ones((4, 1), "f4")]
        for read, given in (
            (crnn.RNN.from_torch_state_dict, torch),
            (crnn.RNN.from_keras_weights, keras),
        ):
            with pytest.raises(ValueError, match="n_y: expected at least 2 with loss='cross_entro"):
                read(given)
            assert read(given, loss="mse").config.n_y == 1

    def test_sigmoid_equals_softmax_with_a_first_logit_of_zero(self):
        logit = crnn.RNN(2, 4, 1, loss="mse", dtype="float64", rng=0)
        logit.parameters["by"] = 0.3
        state = logit.to_torch_state_dict()
        for key in ("head.weight", "head.bias"):
            state[key] = np.concatenate([np.zeros_like(state[key]), state[key]])
        x = np.random.default_rng(0).standard_normal((5, 7, 2))
        sigmoid = 1 / (1 + np.exp(-logit.predict(x)[:, 0]))
        y_hat = crnn.RNN.from_torch_state_dict(state).predict_proba(x)
        np.testing.assert_allclose(y_hat[:, 1], sigmoid, rtol=1e-14)


@pytest.mark.parametrize(("given", "read"), weights_and_readers())
class TestDtype:
    def test_is_that_of_the_weights_or_the_argument(self, given, read):
        ((name, weights),) = given.items()
        assert read(**{name: weights}).config.dtype == "float32"
        assert read(**{name: cast(weights, "f8")}).config.dtype == "float64"
        assert read(**{name: cast(weights, ">f8")}).config.dtype == "float64"
        assert read(**{name: weights}, dtype="float64").config.dtype == "float64"
        half = read(**{name: cast(weights, "f2")}, dtype=np.float32)
        np.testing.assert_allclose(half.parameters["Waa"], model().parameters["Waa"], rtol=2**-11)

    def test_must_be_given_if_the_weights_are_ambiguous(self, given, read):
        ((name, weights),) = given.items()
        with pytest.raises(TypeError, match=r"dtype: expected float32 or float64 .* 'float16'"):
            read(**{name: cast(weights, "f2")})
        mixed = cast(weights, "f4")
        mixed["head.weight" if name == "state_dict" else 3] = np.zeros((2, 4), "f8")
        with pytest.raises(TypeError, match="are 'float32', 'float64'"):
            read(**{name: mixed})
        with pytest.raises(TypeError, match=r"expected floats of shape .* got int64"):
            read(**{name: cast(weights, "i8")}, dtype="float32")
        with pytest.raises(ValueError, match="dtype: expected float32 or float64, got 'f2'"):
            read(**given, dtype="f2")

    @pytest.mark.parametrize("choice", ["activation", "steps", "loss"])
    def test_options_are_checked(self, given, read, choice):
        with pytest.raises(ValueError, match=f"{choice}: expected one of"):
            read(**given, **{choice: "other"})


@pytest.mark.parametrize(("num_layers", "direction"), KINDS)
class TestGatedCells:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize("n_a", [1, 2, 5])
    def test_round_trips(self, num_layers, direction, n_a, cell):
        rnn = crnn.RNN(3, n_a, 2, num_layers=num_layers, direction=direction, cell=cell, rng=0)
        rng = np.random.default_rng(1)
        for value in rnn.parameters.values():
            value[...] = rng.standard_normal(value.shape)
        back = crnn.RNN.from_keras_weights(rnn.to_keras_weights(), direction=direction)
        assert_same_model(rnn, back)
        if direction != "reverse":
            assert_same_model(rnn, crnn.RNN.from_torch_state_dict(rnn.to_torch_state_dict()))

    @pytest.mark.parametrize("by", [False, True])
    def test_a_gru_without_biases(self, num_layers, direction, by):
        rnn = crnn.RNN(3, 4, 12, num_layers=num_layers, direction=direction, cell="gru", rng=0)
        weights = rnn.to_keras_weights(ba=False, by=by)
        with pytest.raises(ValueError, match="reset_after: expected True for a GRU without biases"):
            crnn.RNN.from_keras_weights(weights, direction=direction)
        with pytest.raises(ValueError, match="reset_after: expected True, got False"):
            crnn.RNN.from_keras_weights(weights, direction=direction, reset_after=False)
        back = crnn.RNN.from_keras_weights(weights, direction=direction, reset_after=True)
        assert_same_model(rnn, back)

    def test_a_gru_of_the_other_equation_is_refused(self, num_layers, direction):
        rnn = crnn.RNN(3, 5, 2, num_layers=num_layers, direction=direction, cell="gru", rng=0)
        weights = rnn.to_keras_weights()
        weights[2] = weights[2][0]  # the one bias that reset_after=False has
        with pytest.raises(ValueError, match=r"weights\[2\]: .*reset_after=True, got shape"):
            crnn.RNN.from_keras_weights(weights, direction=direction)


@pytest.mark.parametrize("cell", ["vanilla", "lstm"])
@pytest.mark.parametrize("reset_after", [False, True])
def test_reset_after_is_refused_for_cells_that_do_not_have_it(cell, reset_after):
    weights = crnn.RNN(3, 4, 2, cell=cell, rng=0).to_keras_weights()
    with pytest.raises(
        ValueError, match=f"reset_after: expected None .* '{cell}', since only a GRU"
    ):
        crnn.RNN.from_keras_weights(weights, reset_after=reset_after)


def test_a_leaky_model_has_no_counterpart_elsewhere():
    rnn = crnn.RNN(3, 4, 2, cell="leaky", leak=0.5, rng=0)
    with pytest.raises(ValueError, match=r"to_torch_state_dict: .* got 'leaky'"):
        rnn.to_torch_state_dict()
    with pytest.raises(ValueError, match=r"to_keras_weights: .* got 'leaky'"):
        rnn.to_keras_weights()
