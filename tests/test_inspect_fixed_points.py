"""Fixed points: all those that can be found by hand are found, with their eigenvalues."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq
from some_models import KINDS, N_X, Reference, model_of, one_unit, size

import crnn
from crnn.inspect import fixed_points

#: The positive solution of a = tanh(2 a).
A = brentq(lambda a: np.tanh(2 * a) - a, 0.5, 1, xtol=1e-15)


def diagonal(*values, **options):
    """A model whose units do not see each other."""
    model = crnn.RNN(1, len(values), 2, dtype="float64", rng=0, **options)
    model.parameters["Waa"], model.parameters["ba"] = np.diag(values), 0
    return model


def ordered(points):
    """Points in the order of their coordinates, where a rounded zero is a zero."""
    return np.array(sorted((np.round(points, 12) + 0.0).tolist()))


class TestByHand:
    def test_one_weak_unit_has_the_origin(self):
        found = fixed_points(diagonal(0.5), rng=0)
        np.testing.assert_allclose(found.points, [[0]], atol=1e-14)
        np.testing.assert_allclose(found.eigenvalues, [[0.5]])
        assert found.stable.tolist() == [True]
        assert (found.failed, found.counts.tolist()) == (0, [256])

    def test_one_strong_unit_has_three(self):
        found = fixed_points(diagonal(2), rng=0)
        np.testing.assert_allclose(found.points, [[-A], [A], [0]], atol=1e-14)
        np.testing.assert_allclose(found.eigenvalues, [[2 * (1 - A**2)]] * 2 + [[2]])
        assert found.stable.tolist() == [True, True, False]
        assert found.counts.sum() + found.failed == 256

    def test_two_strong_units_have_nine(self):
        found = fixed_points(diagonal(2, 2), rng=0)
        expected = [[a, b] for a in (-A, 0, A) for b in (-A, 0, A)]
        np.testing.assert_allclose(ordered(found.points), expected, atol=1e-12)
        assert found.stable.tolist() == [True] * 4 + [False] * 5  # four saddles, and the origin

    def test_two_units_that_turn_have_complex_eigenvalues(self):
        model = diagonal(0, 0)
        model.parameters["Waa"] = [[0, -1.5], [1.5, 0]]
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[0, 0]], atol=1e-14)
        np.testing.assert_allclose(np.sort_complex(found.eigenvalues[0]), [-1.5j, 1.5j])
        assert not found.stable[0]

    def test_a_point_at_a_bifurcation_is_one_point(self):
        """Of a = tanh(a), where Newton's method takes only a third of the distance off per step."""
        found = fixed_points(diagonal(1, 0.5), starts=64, rng=0)
        np.testing.assert_allclose(found.points, [[0, 0]], atol=1e-5)
        assert (found.counts.tolist(), found.failed) == ([64], 0)

    def test_relu_units_that_inhibit_each_other_have_two_winners_and_a_saddle(self):
        model = diagonal(0, 0, activation="relu")
        model.parameters["Waa"], model.parameters["ba"] = [[0, -2], [-2, 0]], 1
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[0, 1], [1, 0], [1 / 3, 1 / 3]], atol=1e-14)
        assert found.stable.tolist() == [True, True, False]

    def test_a_relu_with_a_threshold(self):
        model = diagonal(2, activation="relu")
        model.parameters["ba"] = -1
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[0], [1]], atol=1e-14)
        np.testing.assert_allclose(found.eigenvalues, [[0], [2]])

    def test_there_may_be_none(self):
        model = diagonal(1, activation="relu")
        model.parameters["ba"] = 1  # a = a + 1
        found = fixed_points(model, starts=10, rng=0)
        assert found.points.shape == found.eigenvalues.shape == (0, 1)
        assert (found.failed, len(found.stable), len(found.counts)) == (10, 0, 0)

    def test_every_state_may_be_one(self):
        starts = [[1.0, 2.0], [3.0, 4.0]]
        found = fixed_points(diagonal(1, 1, activation="relu"), starts=starts)
        np.testing.assert_array_equal(found.points, starts)
        np.testing.assert_array_equal(found.eigenvalues, np.ones((2, 2)))
        assert not found.stable.any()

    def test_a_leak_keeps_the_points_and_moves_the_eigenvalues(self):
        found = fixed_points(diagonal(2, cell="leaky", leak=0.25), rng=0)
        np.testing.assert_allclose(found.points, [[-A], [A], [0]], atol=1e-14)
        slopes = np.array([[2 * (1 - A**2)], [2 * (1 - A**2)], [2]])
        np.testing.assert_allclose(found.eigenvalues, 0.75 + 0.25 * slopes)

    def test_the_points_of_the_other_leaky_equation_are_before_the_activation(self):
        model = diagonal(2, cell="leaky", leak=0.25, equation="current")
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[-2 * A], [2 * A], [0]], atol=1e-13)

    def test_one_gru_unit(self):
        """With r = 1/2, a = n = tanh(Waa_n a / 2), whatever z is.

        Far outside of -1..1 z is 1, up to rounding, and keeps any state: these are no points.
        """
        model = one_unit(cell="gru")
        model.parameters["Waa"] = [[0], [1], [4]]
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[-A], [A], [0]], atol=1e-14)

    def test_one_lstm_unit(self):
        """With i = f = o = 1/2: c = tanh(8 a) and a = tanh(c) / 2."""
        model = one_unit(cell="lstm")
        model.parameters["Waa"] = [[0], [0], [8], [0]]
        c = brentq(lambda c: np.tanh(4 * np.tanh(c)) - c, 0.5, 1, xtol=1e-15)
        a = np.tanh(c) / 2
        found = fixed_points(model, rng=0)
        np.testing.assert_allclose(found.points, [[-a, -c], [a, c], [0, 0]], atol=1e-14)
        assert found.stable.tolist() == [True, True, False]

    def test_an_lstm_whose_forget_gate_is_one_has_finite_starts(self):
        model = one_unit(cell="lstm")
        model.parameters["ba"] = [0, 1000, 0, 0]  # c = c + i g, and g = 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = fixed_points(model, rng=0)
        assert found.failed == 0
        model.parameters["Waa"] = [[0], [0], [1], [0]]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            starts = fixed_points(model, rng=0).trajectories(steps=1)[0]
        assert np.isfinite(starts).all()

    def test_an_input_moves_them(self):
        model = diagonal(0.5)
        model.parameters["Wax"] = 1
        found = fixed_points(model, [1.0], rng=0)
        a = brentq(lambda a: np.tanh(0.5 * a + 1) - a, 0, 1, xtol=1e-15)
        np.testing.assert_allclose(found.points, [[a]], atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_points_of_every_cell_stay_where_they_are(kind):
    model = model_of(kind, num_layers=2, direction="bidirectional", rng=3)
    x = np.random.default_rng(0).normal(size=8)
    found = fixed_points(model, x, starts=64, cell=3, rng=0)
    cell = Reference(model, 3)
    assert len(found.points) > 0
    after = cell.step(found.points, np.repeat(x[None], len(found.points), axis=0))
    np.testing.assert_allclose(after, found.points, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(after - found.points, axis=1), found.residuals, atol=1e-12
    )
    for s, eigenvalues, stable in zip(found.points, found.eigenvalues, found.stable, strict=True):
        expected = np.linalg.eigvals(cell.jacobian(s, x))
        np.testing.assert_allclose(np.sort(abs(eigenvalues)), np.sort(abs(expected)), atol=1e-9)
        assert stable == (abs(expected).max() < 1)


def test_trajectories_from_beside_a_stable_point_end_there():
    found = fixed_points(diagonal(2, 2), starts=[[0.5, 0.6], [-0.5, 0.1]])
    ends = found.trajectories(steps=200)[-1]
    np.testing.assert_allclose(ends, [[A, A], [-A, A]], atol=1e-12)
    assert found.trajectories(steps=5, count=1).shape == (6, 1, 2)


def test_starts_may_be_states_and_a_symbol_is_an_input():
    model = model_of("lstm")
    pairs = np.zeros((5, 4)), np.ones((5, 4))
    found = fixed_points(model, 2, starts=pairs)
    assert found.counts.sum() + found.failed == 5
    same = fixed_points(model, np.eye(N_X)[2], starts=np.concatenate(pairs, axis=1))
    np.testing.assert_array_equal(found.points, same.points)


def test_the_same_seed_finds_the_same():
    found = [fixed_points(model_of("gru"), starts=20, rng=7) for _ in range(2)]
    np.testing.assert_array_equal(found[0].points, found[1].points)
    np.testing.assert_array_equal(found[0].trajectories(), found[1].trajectories())


def test_states_that_are_not_finite_are_counted_as_failed():
    found = fixed_points(diagonal(0.5, activation="relu"), starts=[[np.nan], [np.inf], [0.1]])
    assert (len(found.points), found.failed) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": np.zeros(2)}, ValueError, "x: expected numbers of shape"),
        ({"starts": 0}, ValueError, "starts: expected a whole number >= 1, got 0"),
        ({"starts": np.zeros((3, 5))}, ValueError, "starts: expected a count, or numbers of shape"),
        ({"tol": 0}, ValueError, "tol: expected a finite number > 0, got 0"),
        ({"merge": "no"}, TypeError, "merge: expected a number"),
        ({"cell": 2}, ValueError, "cell: expected a whole number <= 0"),
        ({"rng": "seed"}, TypeError, "rng: expected None, a seed"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        fixed_points(model_of("tanh"), **arguments)


def test_many_starts_of_a_large_state_are_taken_in_parts(monkeypatch):
    model = model_of("tanh")
    starts = np.random.default_rng(0).normal(size=(50, size(model)))
    expected = fixed_points(model, starts=starts)
    monkeypatch.setattr("crnn.inspect._newton.BYTES", 1000)  # 7 states of 16 numbers
    found = fixed_points(model, starts=starts)
    np.testing.assert_allclose(found.points, expected.points, atol=1e-12)
    np.testing.assert_array_equal(found.counts, expected.counts)


def test_printing_shows_a_short_table():
    model = crnn.RNN(1, 1, 2, rng=0)
    model.parameters["Waa"] = 2
    found = crnn.inspect.fixed_points(model, np.zeros(1), rng=0)
    lines = str(found).splitlines()
    assert (
        lines[0] == "FixedPoints(3 points of 1 number, 2 stable, from 256 starts of which 0 failed)"
    )
    assert [line.split()[1] for line in lines[2:]] == ["yes", "yes", "no"]
    assert lines[-1].endswith("2.000000")  # the slope of tanh(2 a) at 0
