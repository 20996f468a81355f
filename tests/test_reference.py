"""The reference, against which all kernels are tested, compared with finite differences."""

import numpy as np
import pytest

from crnn import check, reference

KINDS = [
    pytest.param(kind, id=" ".join(k for k in kind if kind[k]) or "plain") for kind in check.KINDS
]
#: Of finite differences: relu is linear between its kinks; a smaller step crosses none of these.
STEP = {"tanh": 1e-3, "relu": 1e-4}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_gradient_of_the_recurrence(T, kind, activation):
    p = check.problem(T, 3, 2, 4, activation=activation, **kind)
    assert np.any(p.arguments["a0"] != 0)
    assert check.reference_error(p, STEP[activation]) < check.FINITE_DIFFERENCE_TOLERANCE


@pytest.mark.parametrize("T", [1, 2, 7])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [False, True], ids=["", "lengths"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("steps", ["last", "all"])
def test_every_gradient_through_softmax_and_cross_entropy(T, reverse, lengths, activation, steps):
    m, n_x, n_a, n_y = 3, 2, 4, 5
    p = check.problem(T, m, n_x, n_a, reverse=reverse, lengths=lengths, activation=activation)
    rng = np.random.default_rng(1)
    Wya, by = rng.standard_normal((n_y, n_a)), rng.standard_normal(n_y)
    y = rng.integers(0, n_y, (T, m))
    n = np.full(m, T) if p.options["lengths"] is None else p.options["lengths"]
    t = np.arange(T)[:, None]
    counted = t < n if steps == "all" else t == (0 if reverse else n - 1)  # (T, m)
    counted = np.broadcast_to(counted, (T, m))

    def logits():
        a = reference.rnn_forward(**p.arguments, **p.options)
        return a, reference.output_forward(a[counted], Wya, by)

    def loss():
        return float(reference.cross_entropy(logits()[1], y[counted]))

    a, z = logits()
    dy = reference.cross_entropy_backward(z, y[counted])
    p.da = np.zeros_like(a)
    dWya, dby, p.da[counted] = reference.output_backward(dy, a[counted], Wya)
    g = check.backward_of(reference.rnn_backward, p, a)
    gradients = [g.dWaa, g.dWax, g.dba, g.dx, g.da0, dWya, dby]
    parameters = [p.arguments[name] for name in ("Waa", "Wax", "ba", "x", "a0")] + [Wya, by]
    h = STEP[activation]
    for gradient, parameter in zip(gradients, parameters, strict=True):
        error = check.relative_error(gradient, check.finite_difference(loss, parameter, h))
        assert error < check.FINITE_DIFFERENCE_TOLERANCE


class TestStacked:
    @pytest.mark.parametrize("T", [1, 2, 7])
    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_gradient(self, T, activation, kind):
        p = check.problem(T, 3, 2, 4, activation=activation, **kind)
        x, Waa, Wax, ba, a0 = p.arguments.values()
        assert np.any(a0 != 0)
        Wa = reference.stack(Waa, Wax)

        def loss():
            return float(np.sum(p.da * reference.rnn_forward_stacked(x, Wa, ba, a0, **p.options)))

        a = reference.rnn_forward_stacked(x, Wa, ba, a0, **p.options)
        dWa, dba, dx, da0 = reference.rnn_backward_stacked(p.da, a, x, Wa, a0, **p.options)
        for gradient, parameter in ((dWa, Wa), (dba, ba), (dx, x), (da0, a0)):
            if gradient is not None:
                by_difference = check.finite_difference(loss, parameter, STEP[activation])
                error = check.relative_error(gradient, by_difference)
                assert error < check.FINITE_DIFFERENCE_TOLERANCE

    @pytest.mark.parametrize("activation", ["tanh", "relu"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_gives_the_same_numbers(self, kind, activation):
        p = check.problem(6, 3, 4, 5, activation=activation, **kind)
        x, Waa, Wax, ba, a0 = p.arguments.values()
        Wa = reference.stack(Waa, Wax)
        a = reference.rnn_forward(**p.arguments, **p.options)
        a_stacked = reference.rnn_forward_stacked(x, Wa, ba, a0, **p.options)
        np.testing.assert_allclose(a_stacked, a, rtol=0, atol=1e-15)

        g = check.backward_of(reference.rnn_backward, p, a)
        dWa, dba, dx, da0 = reference.rnn_backward_stacked(p.da, a, x, Wa, a0, **p.options)
        np.testing.assert_allclose(dWa, reference.stack(g.dWaa, g.dWax), rtol=0, atol=1e-14)
        np.testing.assert_allclose(dba, g.dba, rtol=0, atol=1e-14)
        np.testing.assert_allclose(da0, g.da0, rtol=0, atol=1e-14)
        assert (dx is None) == kind["integers"]
        if dx is not None:
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


def test_weighted_cross_entropy_and_its_gradient():
    rng = np.random.default_rng(0)
    logits, y, w = rng.standard_normal((4, 3)), rng.integers(0, 3, 4), np.array([2.0, 0, 1, 0.5])
    each = [reference.cross_entropy(logits[i : i + 1], y[i : i + 1]) for i in range(4)]
    assert reference.cross_entropy(logits, y, w) == pytest.approx(np.dot(w, each), rel=1e-15)
    gradient = reference.cross_entropy_backward(logits, y, w)
    numeric = check.finite_difference(lambda: reference.cross_entropy(logits, y, w), logits)
    assert check.relative_error(gradient, numeric) < check.FINITE_DIFFERENCE_TOLERANCE
