"""Futures that `RNN.forecast` draws where answers are distributions, and their quantiles."""

import numpy as np
import pytest

import crnn
from crnn.data import Scaling

PATHS = 20_000


def constant(loss, by, **options):
    """A model that answers with the same numbers at each step."""
    model = crnn.RNN(1, 4, len(by), loss=loss, dtype="float64", rng=0, **options)
    model.parameters["Wya"] = 0
    model.parameters["by"] = by
    return model


def standard_error(deviation):
    return deviation / np.sqrt(PATHS)


QUANTILES = crnn.Quantiles((0.05, 0.5, 0.95))


class TestOneAnswer:
    @pytest.mark.parametrize("steps", ["last", "all", "max"])
    @pytest.mark.parametrize("cell", ["vanilla", "lstm"])
    def test_of_quantiles_are_those_of_the_answer(self, steps, cell):
        model = constant(QUANTILES, [-1.0, 0.0, 3.0], steps=steps, cell=cell)
        found = model.forecast([1, 2, 3], 5, levels=(0.05, 0.5, 0.95), paths=PATHS, rng=0)
        assert found.shape == (3, 5)
        np.testing.assert_allclose(found[[0, 2]], [[-1.0] * 5, [3.0] * 5], atol=0.1)
        # Between levels the density is 0.45 / 1 below the median, and 0.45 / 3 above it.
        np.testing.assert_allclose(found[1], 0, atol=6 * standard_error(0.5 / (0.45 / 3)))

    def test_levels_between_those_of_the_model_are_on_straight_lines(self):
        model = constant(QUANTILES, [-1.0, 0.0, 3.0])
        levels = (0.2, 0.725)
        found = model.forecast([1, 2, 3], 1, levels=levels, paths=PATHS, rng=0)[:, 0]
        np.testing.assert_allclose(found, np.interp(levels, QUANTILES.levels, [-1, 0, 3]), atol=0.1)

    def test_quantiles_that_cross_are_put_in_order(self):
        crossed, ordered = (constant(QUANTILES, by) for by in ([3, -1, 0.0], [-1.0, 0, 3]))
        futures = [model.forecast([1, 2], 3, paths=50, rng=0) for model in (crossed, ordered)]
        np.testing.assert_array_equal(*futures)

    def test_of_several_series_and_steps_at_once(self):
        """Two series, three steps in an answer: one number of each for each quantile."""
        model = crnn.RNN(2, 4, 18, loss=QUANTILES, dtype="float64", rng=0)
        model.parameters["Wya"] = 0
        model.parameters["by"] = np.repeat([-1.0, 0.0, 1.0], 6) * np.tile(np.arange(1.0, 7), 3)
        model.scaling = Scaling((100.0, 0.0), (1.0, 1.0))
        low, high = model.forecast(np.zeros((4, 2)), 3, levels=(0.05, 0.95), rng=0)
        np.testing.assert_allclose(
            high, 100 * np.array([1, 0]) + [[1, 2], [3, 4], [5, 6]], rtol=0.1
        )
        np.testing.assert_allclose((low + high) / 2, np.tile([100, 0], (3, 1)), atol=0.6)

    def test_of_one_level_there_is_only_that_value(self):
        model = constant(crnn.Quantiles((0.9,)), [7.0])
        np.testing.assert_array_equal(model.forecast([1, 2], 3, levels=[0.9], rng=0), [[7.0] * 3])


class TestFeedingBack:
    def test_deviations_of_a_random_walk(self):
        """White differences add up: the deviation after h steps is sigma sqrt(h)."""
        model = constant("gaussian_nll", [0.5, 2 * np.log(0.1)])
        model.scaling = Scaling((0.0,), (2.0,), difference=1)
        futures = model.forecast([1.0, 5.0], 6, paths=PATHS, rng=0)
        h = np.arange(1, 7)
        assert futures.shape == (PATHS, 6)
        sigma = 0.2 * np.sqrt(h)
        assert (np.abs(futures.mean(axis=0) - (5 + h)) < 6 * standard_error(sigma)).all()
        assert (np.abs(futures.std(axis=0) / sigma - 1) < 6 * standard_error(0.71)).all()

    def test_differences_of_the_season_add_nothing_within_a_season(self):
        model = constant("gaussian_nll", [0.0, 2 * np.log(0.1)])
        model.scaling = Scaling((0.0,), (1.0,), difference=4)
        past = [1.0, 2.0, 3.0, 4.0]
        futures = model.forecast([0.0, *past], 8, paths=PATHS, rng=0)
        sigma = 0.1 * np.sqrt([1] * 4 + [2] * 4)
        assert (np.abs(futures.mean(axis=0) - past * 2) < 6 * standard_error(sigma)).all()
        assert (np.abs(futures.std(axis=0) / sigma - 1) < 6 * standard_error(0.71)).all()

    @pytest.mark.parametrize("steps", ["last", "all"])
    def test_what_is_drawn_is_read(self, steps):
        """x<t> = 1 + x<t-1> / 2 + e, which stays above 0: a relu without memory computes it."""
        model = crnn.RNN(
            1, 1, 2, activation="relu", loss="gaussian_nll", steps=steps, dtype="float64", rng=0
        )
        for name, value in {"Waa": 0, "Wax": 1, "ba": 0}.items():
            model.parameters[name] = value
        model.parameters["Wya"], model.parameters["by"] = [[0.5], [0.0]], [1, 2 * np.log(0.1)]
        futures = model.forecast([2, 6.0], 5, paths=PATHS, rng=0)
        h = np.arange(1, 6)
        sigma = 0.1 * np.sqrt((1 - 0.25**h) / (1 - 0.25))
        assert (np.abs(futures.mean(axis=0) - (2 + 4 * 0.5**h)) < 6 * standard_error(sigma)).all()
        assert (np.abs(futures.std(axis=0) / sigma - 1) < 6 * standard_error(0.71)).all()
        together = np.corrcoef(futures[:, :2].T)[0, 1]
        assert together == pytest.approx(0.5 * sigma[0] / sigma[1], abs=0.03)

    @pytest.mark.parametrize("direction", ["forward", "bidirectional"])
    def test_the_state_of_the_history_is_that_of_every_future(self, direction):
        """With almost no deviation, every future is the forecast."""
        model = crnn.RNN(
            2, 5, 8, cell="lstm", direction=direction, num_layers=2, loss="gaussian_nll", rng=0
        )
        model.parameters["Wya"][4:] = 0
        model.parameters["by"][4:] = -100
        past = np.random.default_rng(0).standard_normal((9, 2))
        futures = model.forecast(past, 7, paths=3, rng=0)
        np.testing.assert_allclose(futures, np.stack([model.forecast(past, 7)] * 3), atol=1e-6)


class Poisson(crnn.Loss):
    """Counts whose rate is the exponential of the logit."""

    shape = (-1, 1)

    def __call__(self, logits, y):
        rate = np.exp(logits)
        return (rate - y * logits).sum(axis=1), rate - y

    def y_hat(self, logits):
        return np.exp(logits)

    def draw(self, y_hat, rng):
        return rng.poisson(y_hat).reshape(self.shape)


def test_a_loss_of_ones_own_may_draw():
    futures = constant(Poisson(), [np.log(4.0)]).forecast([1, 2], 2, paths=PATHS, rng=0)
    assert (futures == futures.round()).all()
    assert (np.abs(futures.mean(axis=0) - 4) < 6 * standard_error(2)).all()


def test_what_it_draws_is_checked():
    class Wrong(Poisson):
        shape = -1

    with pytest.raises(ValueError, match=r"loss: expected draw of shape \(9, 1\), got int64 of"):
        constant(Wrong(), [0.0]).forecast([1, 2], 2, paths=9)


def test_the_same_seed_gives_the_same_bits():
    model = constant("gaussian_nll", [0.0, 0.0])
    once, again, other = (model.forecast([1, 2], 4, paths=9, rng=rng) for rng in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert (once != other).all()
    quantiles = model.forecast([1, 2], 4, levels=[0.3, 0.1], paths=9, rng=0)
    np.testing.assert_array_equal(quantiles, np.quantile(once, [0.3, 0.1], axis=0))


@pytest.mark.parametrize(
    ("loss", "arguments", "message"),
    [
        ("mse", {"levels": [0.5]}, "levels: expected None with loss='mse', whose answers are no"),
        ("mae", {"paths": 9}, "paths: expected None with loss='mae'"),
        ("gaussian_nll", {"levels": [1.2]}, r"levels: expected numbers in 0\.\.1, which"),
        ("gaussian_nll", {"levels": 0.5}, r"levels: expected numbers in 0\.\.1"),
        ("gaussian_nll", {"levels": []}, r"levels: expected numbers in 0\.\.1"),
        ("gaussian_nll", {"levels": [np.nan]}, r"levels: expected numbers in 0\.\.1"),
        (crnn.Quantiles((0.1, 0.9)), {"levels": [0.05, 0.5]}, r"levels: .* in 0\.1\.\.0\.9"),
        ("gaussian_nll", {"paths": 0}, "paths: expected a whole number >= 1, got 0"),
        (lambda z, y: (z, y), {"paths": 9}, "paths: expected None with loss=<function"),
        ("gaussian_nll", {"rng": 0}, "rng: expected None without levels or paths"),
    ],
)
def test_what_does_not_fit_is_refused(loss, arguments, message):
    model = crnn.RNN(1, 3, 2, loss=loss, rng=0)
    with pytest.raises(ValueError, match=message):
        model.forecast([1, 2, 3], 2, **arguments)
