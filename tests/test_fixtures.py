"""crnn gives the outputs of torch, JAX, ONNX Runtime and Keras, tested without these libraries.

`fixtures/make.py` has written the outputs.
"""

import numpy as np
import pytest
from fixtures import load

import crnn
from crnn import check, reference
from crnn._network.cells import CELLS
from crnn.weights.gates import KERAS, ONNX, merged, restored

FIXTURES = {library: load(library) for library in ("torch", "jax", "onnxruntime", "keras")}
KINDS = {"rnn": "vanilla", "gru": "gru", "lstm": "lstm"}


def of(library, *names):
    """A test for each case of a library, all or those of these names."""
    return pytest.mark.parametrize("case", names or FIXTURES[library])


def assert_close(ours, theirs):
    """Equality up to the rounding of sums of T m terms, in another order, in two layers."""
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    terms = 2 * 4 * 6 * 3 * (4 + 2 + 1)  # layers, gates, T, m, n_a + n_x + 1
    assert check.relative_error(ours, theirs) <= check.tolerance(ours.dtype, terms)


@of("torch")
def test_torchs_modules(case):
    state = dict(FIXTURES["torch"][case])
    x, y_hat = state.pop("x"), state.pop("y_hat")
    model = crnn.RNN.from_torch_state_dict(state, steps="all", loss="mse")
    assert model.config.cell == KINDS[case]
    assert_close(model.predict(x), y_hat)
    for name, value in model.to_torch_state_dict().items():
        assert value.shape == state[name].shape


@of("jax")
def test_states_and_gradients_of_jax(case):
    """Of lax.scan over the equations, by jax.vjp."""
    arrays = FIXTURES["jax"][case]
    gradients = {name for name in arrays if name[0] == "d"} - {"da", "dc_n"}
    given = {name: arrays[name] for name in set(arrays) - gradients - {"a", "c_n"}}
    upstream = {name: given.pop(name) for name in ("da", "dc_n") if name in given}
    function = "rnn" if case == "vanilla" else case
    states = getattr(crnn, f"{function}_forward")(**given)
    assert_close(states if case == "vanilla" else states.a, arrays["a"])
    if case == "lstm":
        assert_close(states.c_n, arrays["c_n"])
    given = {name: value for name, value in given.items() if name not in ("ba", "baa")}
    da = upstream.pop("da")
    found = getattr(crnn, f"{function}_backward")(da, states, **given, **upstream)
    for name in gradients:
        assert_close(getattr(found, name), arrays[name])


def from_onnx(cell, arrays, d):
    """crnn's weights and first states from the arrays of ONNX, of direction d."""
    order = ONNX.get(cell.name, (0,))
    Waa, Wax, *halves = (
        restored(a, order) for a in (arrays["R"][d], arrays["W"][d], *np.split(arrays["B"][d], 2))
    )
    first = {f"{s}0": arrays[f"initial_{o}"][d] for s, o in zip(cell.states, "hc", strict=False)}
    return {"Waa": Waa, "Wax": Wax, **merged(cell, *halves), **first}


@of("onnxruntime")
def test_operators_of_onnxruntime(case):
    """In both directions, with lengths."""
    arrays = FIXTURES["onnxruntime"][case]
    cell = CELLS[KINDS[case.removesuffix("_reset_before")]]
    options = {"reset": "before"} if case == "gru_reset_before" else {}
    library = reference if options else crnn  # which has that equation in NumPy only
    forward = getattr(library, f"{'rnn' if case == 'rnn' else cell.name}_forward")
    for d, reverse in enumerate((False, True)):
        found = forward(
            arrays["X"], **from_onnx(cell, arrays, d), lengths=arrays["sequence_lens"],
            reverse=reverse, **options,
        )  # fmt: skip
        assert_close(found if case == "rnn" else found.a, arrays["Y"][:, d])
        if cell.name == "lstm":
            assert_close(found.c_n, arrays["Y_c"][d])


def keras_weights(case):
    arrays = FIXTURES["keras"][case]
    return [value for name, value in sorted(arrays.items()) if name.startswith("weights")]


@of("keras", "rnn", "gru", "lstm", "rnn_alone", "gru_alone", "lstm_alone")
def test_models_of_keras(case):
    arrays = FIXTURES["keras"][case]
    direction = "forward" if case.endswith("_alone") else "bidirectional"
    model = crnn.RNN.from_keras_weights(
        keras_weights(case), direction=direction, steps="all", loss="mse"
    )
    assert model.config.cell == KINDS[case.removesuffix("_alone")]
    assert_close(model.predict(arrays["x"]), arrays["y_hat"])
    again = crnn.RNN.from_keras_weights(
        model.to_keras_weights(), direction=direction, steps="all", loss="mse"
    )
    assert_close(again.predict(arrays["x"]), arrays["y_hat"])


def test_a_gru_of_keras_with_reset_after_false():
    """A crnn.RNN does not have its equation, which the reference has."""
    case = "gru_reset_before_alone"
    arrays, weights = FIXTURES["keras"][case], keras_weights(case)
    for given, direction in (
        (weights, "forward"),
        (keras_weights("gru_reset_before"), "bidirectional"),
    ):
        with pytest.raises(ValueError, match="no equation for reset_after=False"):
            crnn.RNN.from_keras_weights(given, direction=direction)
    Wax, Waa, ba = (restored(a.T, KERAS["gru"]) for a in weights[:3])
    a = reference.gru_forward(arrays["x"], Waa, Wax, ba, reset="before").a
    assert_close(a @ weights[3] + weights[4], arrays["y_hat"])
    after = reference.gru_forward(arrays["x"], Waa, Wax, ba).a
    assert np.abs(after - a).max() > 0.01
