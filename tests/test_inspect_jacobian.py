"""The Jacobian in closed form, held against finite differences and the backward pass."""

import numpy as np
import pytest
from some_models import KINDS, N_X, Reference, model_of, one_unit, size

import crnn
from crnn.inspect import jacobian, spectral_radius

H = 1e-6  # of central differences: their error is about H^2 = 1e-12, and 1e-16 / H from rounding


def differences(step, s):
    """The Jacobian (N, N) of step at s (N,) by central differences."""
    columns = [(step(s + H * e) - step(s - H * e)) / (2 * H) for e in np.eye(len(s))]
    return np.stack(columns, axis=1)


def state(model, rng, rows=None):
    """A random state; away from 0, where a relu has no slope."""
    s = rng.normal(size=(size(model),) if rows is None else (rows, size(model)))
    return s + 0.1 * np.sign(s)


@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_finite_differences(kind):
    model, rng = model_of(kind), np.random.default_rng(1)
    s, x, cell = state(model, rng), rng.normal(size=N_X), Reference(model)
    numeric = differences(lambda s: cell.step(s[None], x[None])[0], s)
    np.testing.assert_allclose(jacobian(model, s, x), numeric, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", range(4))
def test_it_equals_the_backward_pass_in_every_layer_and_direction(kind, cell):
    model = model_of(kind, num_layers=2, direction="bidirectional")
    rng, own = np.random.default_rng(2), Reference(model, cell)
    s, x = state(model, rng, rows=5), rng.normal(size=(5, own.place.n_in))
    J = jacobian(model, s, x, cell=cell)
    for k in range(5):
        np.testing.assert_allclose(J[k], own.jacobian(s[k], x[k]), rtol=0, atol=1e-14)


def test_one_input_stands_for_all_rows_and_a_symbol_for_its_one_hot_row():
    model, rng = model_of("gru"), np.random.default_rng(3)
    s = state(model, rng, rows=3)
    J = jacobian(model, s, np.eye(N_X)[2])
    np.testing.assert_array_equal(jacobian(model, s, 2), J)
    np.testing.assert_array_equal(jacobian(model, s, [2, 2, 2]), J)
    np.testing.assert_allclose(jacobian(model, s[0], 2), J[0], rtol=0, atol=1e-15)


def test_the_state_of_an_lstm_may_be_a_pair():
    model, rng = model_of("lstm"), np.random.default_rng(4)
    a, c = state(model, rng).reshape(2, -1)
    J = jacobian(model, (a, c), np.ones(N_X))
    assert J.shape == (8, 8)
    np.testing.assert_array_equal(J, jacobian(model, np.concatenate([a, c]), np.ones(N_X)))


def test_a_float32_model_is_read_in_float64():
    model, same = model_of("tanh", dtype="float32"), model_of("tanh")
    for name, value in model.parameters.items():
        same.parameters[name] = value
    s, x = np.full(4, 0.3), np.full(N_X, 0.7)
    np.testing.assert_array_equal(jacobian(model, s, x), jacobian(same, s, x))


@pytest.mark.parametrize(
    ("a", "x", "cell", "message"),
    [
        (np.zeros(3), np.zeros(N_X), 0, r"a: expected numbers of shape \(n_a,\) or \(rows, n_a\)"),
        (np.zeros(4), np.zeros(2), 0, r"x: expected numbers of shape \(n_in,\)"),
        (np.zeros(4), 3, 0, r"x: expected integers in 0\.\.2, got 3"),
        (np.zeros(4), [0, 1, 2], 0, r"or integers, which are symbols, of shape \(\) or \(1,\)"),
        (np.zeros((2, 4)), np.zeros((3, N_X)), 0, "x: expected one row or 2"),
        (np.zeros(4), np.zeros(N_X), 1, "cell: expected a whole number <= 0, got 1"),
        ("abcd", np.zeros(N_X), 0, "a: expected numbers"),
    ],
)
def test_bad_arguments_are_named(a, x, cell, message):
    with pytest.raises(ValueError, match=message):
        jacobian(model_of("tanh"), a, x, cell=cell)


def test_something_else_than_a_model_is_refused():
    with pytest.raises(TypeError, match=r"model: expected a crnn\.RNN, got 3"):
        jacobian(3, np.zeros(1), np.zeros(1))
    with pytest.raises(ValueError, match="a: expected a pair of one shape"):
        jacobian(model_of("lstm"), (np.zeros(4), np.zeros((2, 4))), np.zeros(N_X))
    with pytest.raises(ValueError, match=r"a: expected a pair \(a, c\), got 3"):
        jacobian(model_of("lstm"), (np.zeros(4),) * 3, np.zeros(N_X))


class TestSpectralRadius:
    def test_of_matrices(self):
        assert spectral_radius([[0, 2], [-2, 0]]) == pytest.approx(2)  # of +-2i
        assert spectral_radius([[1, 100], [0, -3]]) == pytest.approx(3)
        many = np.arange(12.0).reshape(3, 1, 2, 2)
        assert spectral_radius(many).shape == (3, 1)

    def test_of_a_model_it_is_that_of_each_gate(self):
        model = one_unit(cell="gru")
        model.parameters["Waa"] = [[1], [-2], [3]]
        np.testing.assert_array_equal(spectral_radius(model), [1, 2, 3])
        both = crnn.RNN(2, 3, 2, cell="lstm", num_layers=2, direction="bidirectional", rng=0)
        assert spectral_radius(both).shape == (4, 4)
        np.testing.assert_allclose(spectral_radius(both), 1, rtol=1e-6)  # orthogonal, float32

    @pytest.mark.parametrize("wrong", [np.zeros((2, 3)), np.zeros(3), np.zeros((0, 0)), "W", 1j])
    def test_anything_else_is_refused(self, wrong):
        with pytest.raises(ValueError, match=r"matrix: expected a crnn\.RNN or real numbers"):
            spectral_radius(wrong)

    def test_nan_is_refused(self):
        with pytest.raises(ValueError, match="matrix: expected finite numbers"):
            spectral_radius([[np.nan]])
