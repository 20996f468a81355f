"""The reference against finite differences, in float64: the ground that all else stands on."""

import numpy as np
import pytest

from crnn import check, reference

KINDS = [
    pytest.param(kind, id=" ".join(k for k in kind if kind[k]) or "plain") for kind in check.KINDS
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_gradient_of_the_recurrence(T, kind, activation):
    p = check.problem(T, 3, 2, 4, activation=activation, **kind)
    assert np.any(p.arguments["a0"] != 0)
    # relu is linear between its kinks: a small step stays between them and is still exact.
    h = 1e-3 if activation == "tanh" else 1e-6
    assert check.reference_error(p, h) < check.FINITE_DIFFERENCE_TOLERANCE


@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_every_gradient_through_softmax_and_cross_entropy(T, reverse, steps):
    m, n_x, n_a, n_y = 3, 2, 4, 5
    p = check.problem(T, m, n_x, n_a, reverse=reverse)
    rng = np.random.default_rng(1)
    Wya, by, y = (
        rng.standard_normal((n_y, n_a)),
        rng.standard_normal(n_y),
        rng.integers(0, n_y, (T, m)),
    )
    counted = slice(None) if steps == "all" else slice(0, 1) if reverse else slice(T - 1, T)

    def loss():
        a = reference.rnn_forward(**p.arguments, **p.options)
        return float(
            reference.cross_entropy(reference.output_forward(a[counted], Wya, by), y[counted])
        )

    a = reference.rnn_forward(**p.arguments, **p.options)
    dy = reference.cross_entropy_backward(reference.output_forward(a[counted], Wya, by), y[counted])
    p.da = np.zeros_like(a)
    dWya, dby, p.da[counted] = reference.output_backward(dy, a[counted], Wya)
    g = check.backward_of(reference.rnn_backward, p, a)
    gradients = [g.dWaa, g.dWax, g.dba, g.dx, g.da0, dWya, dby]
    parameters = [p.arguments[name] for name in ("Waa", "Wax", "ba", "x", "a0")] + [Wya, by]
    for gradient, parameter in zip(gradients, parameters, strict=True):
        error = check.relative_error(gradient, check.finite_difference(loss, parameter))
        assert error < check.FINITE_DIFFERENCE_TOLERANCE


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("integers", [False, True])
def test_the_stacked_form_gives_the_same_numbers(integers, reverse, activation):
    p = check.problem(6, 3, 4, 5, integers=integers, reverse=reverse, activation=activation)
    x, Waa, Wax, ba, a0 = p.arguments.values()
    options = {"reverse": reverse, "activation": activation}
    a = reference.rnn_forward(x, Waa, Wax, ba, a0, **options)
    Wa = reference.stack(Waa, Wax)
    a_stacked = reference.rnn_forward_stacked(x, Wa, ba, a0, **options)
    np.testing.assert_allclose(a_stacked, a, rtol=0, atol=1e-15)

    g = reference.rnn_backward(p.da, a, x, Waa, Wax, a0, **options)
    dWa, dba, dx, da0 = reference.rnn_backward_stacked(p.da, a, x, Wa, a0, **options)
    np.testing.assert_allclose(dWa, reference.stack(g.dWaa, g.dWax), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dba, g.dba, rtol=0, atol=1e-14)
    np.testing.assert_allclose(da0, g.da0, rtol=0, atol=1e-14)
    assert (dx is None) == integers
    if not integers:
        np.testing.assert_allclose(dx, g.dx, rtol=0, atol=1e-14)


def test_two_steps_by_hand():
    one = np.ones((1, 1))
    x = np.array([0.3, -0.2]).reshape(2, 1, 1)
    a = reference.rnn_forward(x, 0.5 * one, 2 * one, np.array([0.1]), 0.4 * one)
    a1 = np.tanh(0.5 * 0.4 + 2 * 0.3 + 0.1)
    a2 = np.tanh(0.5 * a1 + 2 * -0.2 + 0.1)
    np.testing.assert_allclose(a.ravel(), [a1, a2], rtol=1e-15)


def test_reading_right_to_left_is_reading_the_flipped_sequence():
    p = check.problem(5, 2, 3, 4)
    forward = {**p.arguments, "x": p.arguments["x"][::-1]}
    a = reference.rnn_forward(**p.arguments, reverse=True)
    np.testing.assert_array_equal(a[::-1], reference.rnn_forward(**forward))


def test_an_example_with_a_length_is_the_example_cut_off():
    p = check.problem(6, 3, 2, 4)
    x, a0 = p.arguments["x"], p.arguments["a0"]
    for reverse in (False, True):
        a = reference.rnn_forward(**p.arguments, lengths=np.array([6, 1, 4]), reverse=reverse)
        for i, length in enumerate([6, 1, 4]):
            own = {**p.arguments, "x": x[:length, i : i + 1], "a0": a0[i : i + 1]}
            cut = reference.rnn_forward(**own, reverse=reverse)
            np.testing.assert_allclose(a[:length, i], cut[:, 0], rtol=0, atol=1e-15)
            assert np.all(a[length:, i] == 0)


def test_softmax_and_cross_entropy_do_not_overflow():
    logits = np.array([[1000.0, 0.0], [-1000.0, 0.0]])
    np.testing.assert_array_equal(reference.softmax(logits), [[1, 0], [0, 1]])
    assert reference.cross_entropy(logits, np.array([1, 1])) == 1000
