"""Windows, scaling that is stored with the model, forecasts, and walk-forward validation."""

import copy
from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn.data import Scaling, sliding_windows, walk_forward

SERIES = np.exp(np.random.default_rng(0).standard_normal((60, 2)).cumsum(axis=0) / 9)


def test_the_page_on_forecasting_runs():
    pages.run_python(Path(__file__).parent.parent / "docs" / "forecasting.md")


class TestWindows:
    def test_what_follows_is_the_target(self):
        x, y = sliding_windows(SERIES, 7, 3, stride=4)
        assert (x.shape, y.shape) == ((7, 13, 2), (13, 6))
        for i in range(13):
            np.testing.assert_array_equal(x[:, i], SERIES[4 * i : 4 * i + 7])
            np.testing.assert_array_equal(y[i].reshape(3, 2), SERIES[4 * i + 7 : 4 * i + 10])

    def test_a_target_at_every_step(self):
        x, y = sliding_windows(SERIES[:, 0], 7, 2, every_step=True)
        assert (x.shape, y.shape) == ((7, 52, 1), (7, 52, 2))
        for t in range(7):
            np.testing.assert_array_equal(y[t, 5], SERIES[5 + t + 1 : 5 + t + 3, 0])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((SERIES, 60, 1), "series: expected at least 61 steps"),
            ((SERIES.astype(str), 5), r"series: .*; each is a number: astype\(float\)"),
            (([1.0, "n/a"], 1), r"series: .*; 'n/a' at \(1,\) is not a number"),
            ((SERIES, 0), "steps: expected a whole number >= 1"),
            ((SERIES, 5, 0), "horizon: expected a whole number >= 1"),
            ((np.zeros((9, 2, 2)), 5), r"series: expected numbers of shape \(N,\) or \(N, n_x\)"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            sliding_windows(*arguments)


class TestScaling:
    @pytest.mark.parametrize("log", [False, True])
    @pytest.mark.parametrize("difference", [0, 1, 12])
    def test_undo_is_the_opposite(self, log, difference):
        scaling = Scaling.of(SERIES, log=log, difference=difference)
        z = scaling.apply(SERIES)
        assert z.shape == (60 - difference, 2)
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(z.std(axis=0), 1)
        found = scaling.undo(z[-30:], SERIES[:30])
        np.testing.assert_allclose(found, SERIES[30:], rtol=1e-12)

    @pytest.mark.parametrize("size", [1e-320, 1e-200, 1e154, 1e307, 1.7e308])
    def test_numbers_whose_squares_are_beyond_the_doubles(self, size):
        series = size * np.array([-1, 0.5, 1, 1])
        scaling = Scaling.of(series)
        z = scaling.apply(series)[:, 0]
        few_digits = 1e-2 if size < 1e-300 else 1e-12
        np.testing.assert_allclose(z, np.array([-11, 1, 5, 5]) / np.sqrt(43), rtol=few_digits)
        np.testing.assert_allclose(scaling.undo(z[:, None])[:, 0] / size, series / size, few_digits)

    def test_scaling_of_usual_numbers_has_the_bits_of_numpy(self):
        scaling = Scaling.of(100 * SERIES)
        assert scaling.mean == tuple((100 * SERIES).mean(axis=0))
        assert scaling.std == tuple((100 * SERIES).std(axis=0))
        by_hand = (100 * SERIES - scaling.mean) / scaling.std
        np.testing.assert_array_equal(scaling.apply(100 * SERIES), by_hand)

    def test_missing_values_stay_missing(self):
        series = SERIES.copy()
        series[5, 0] = np.nan
        scaling = Scaling.of(series)
        assert scaling.mean[0] == pytest.approx(np.nanmean(series[:, 0]))
        assert np.isnan(scaling.apply(series)).sum() == 1

    def test_what_never_changes_is_divided_by_1(self):
        assert Scaling.of(np.full(5, 3.0)).apply([3, 4]).tolist() == [[0], [1]]

    @pytest.mark.parametrize(
        ("series", "options"),
        [
            (np.full(3, 0.1), {}),  # its mean is 0.10000000000000002
            (np.arange(50) * 0.1, {"difference": 1}),
            (1.1 ** np.arange(50), {"difference": 1, "log": True}),
        ],
    )
    def test_the_rounding_of_a_constant_is_no_deviation(self, series, options):
        assert Scaling.of(series, **options).std == (1.0,)

    def test_a_small_deviation_is_kept(self):
        assert Scaling.of([1e6, 1e6 + 1e-4]).std[0] < 1e-4
        assert Scaling.of([1e-30, 3e-30]).std[0] < 2e-30

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda: Scaling.of([1, 0], log=True), "series: expected numbers above 0.* step 1"),
            (lambda: Scaling.of([1, 2], difference=2), "series: expected at least 3 steps"),
            (lambda: Scaling.of([np.nan]), "series: expected a number in every column"),
            (lambda: Scaling((0.0,), (0.0,)), "std: expected finite numbers above 0"),
            (lambda: Scaling((np.inf,), (1.0,)), "mean: expected finite numbers"),
            (lambda: Scaling((0.0,), (1.0, 2.0)), "std: expected 1 numbers, as mean has"),
            (lambda: Scaling((0.0,), (1.0,)).apply(SERIES), "series: expected 1 numbers at each"),
            (lambda: Scaling((0.0,), (1.0,), difference=1).undo([1]), "history: expected the 1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()

    def test_it_is_stored_with_the_model(self, tmp_path):
        model = crnn.RNN(2, 4, 2, loss="mse", rng=0)
        assert model.scaling is None
        model.save(tmp_path / "without")
        model.scaling = Scaling.of(SERIES, log=True, difference=12)
        model.save(tmp_path / "with")
        for again in (crnn.load(tmp_path / "with"), copy.deepcopy(model)):
            assert again.scaling == model.scaling
        with pytest.raises(ValueError, match="history: expected at least 13 steps"):
            model.forecast(SERIES[:12], 1)
        assert "scaling" not in crnn.load(tmp_path / "without").metadata
        model.scaling = None
        assert model.scaling is None

    def test_what_is_no_scaling_is_refused(self):
        model = crnn.RNN(2, 4, 2, loss="mse", rng=0)
        with pytest.raises(TypeError, match=r"scaling: expected a crnn\.data\.Scaling or None"):
            model.scaling = 3
        with pytest.raises(ValueError, match="scaling: expected 2 numbers"):
            model.scaling = Scaling((0.0,), (1.0,))
        model.metadata["scaling"] = '{"mean": [1]}'
        with pytest.raises(ValueError, match=r"metadata\['scaling'\]: not a scaling"):
            model.forecast(SERIES, 1)


class TestForecast:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"steps": "all"},
            {"cell": "lstm", "num_layers": 2},
            {"cell": "gru", "steps": "all"},
            {"direction": "bidirectional"},
            {"steps": "mean"},
        ],
    )
    def test_answers_are_fed_back(self, options):
        """With the state kept or the sequence read again, each answer is that to all before it."""
        model = crnn.RNN(2, 5, 2, loss="mse", dtype="float64", rng=0, **options)
        sequence = SERIES.copy()
        for _ in range(4):
            y = model.predict(sequence[:, None])
            y = y[-1] if options.get("steps") == "all" else y
            sequence = np.concatenate([sequence, y])
        np.testing.assert_allclose(model.forecast(SERIES, 4), sequence[60:], rtol=1e-9)

    def test_several_steps_at_once(self):
        model = crnn.RNN(2, 5, 6, loss="mse", dtype="float64", rng=0)
        first = model.predict(SERIES[:, None]).reshape(3, 2)
        second = model.predict(np.concatenate([SERIES, first])[:, None]).reshape(3, 2)
        wanted = np.concatenate([first, second[:1]])
        np.testing.assert_allclose(model.forecast(SERIES, 4), wanted, rtol=1e-9)

    @pytest.mark.parametrize(
        ("loss", "n_y"),
        [("mae", 2), ("huber", 2), ("gaussian_nll", 4), (crnn.Quantiles((0.1, 0.5, 0.9)), 6)],
    )
    def test_distributions_forecast_their_middle(self, loss, n_y):
        """The mean or the median is fed back."""
        model = crnn.RNN(2, 5, n_y, loss=loss, dtype="float64", rng=0)
        first = model.predict(SERIES[:, None])  # (1, 2)
        second = model.predict(np.concatenate([SERIES, first])[:, None])
        wanted = np.concatenate([first, second])
        np.testing.assert_allclose(model.forecast(SERIES, 2), wanted, rtol=1e-9)

    def test_scaling_and_window(self):
        model = crnn.RNN(1, 5, 1, loss="mse", dtype="float64", rng=0)
        series = SERIES[:, 0]
        scaling = Scaling.of(series, log=True, difference=1)
        wanted = scaling.undo(model.forecast(scaling.apply(series)[-7:], 3), series)[:, 0]
        model.scaling = scaling
        found = model.forecast(series, 3, window=7)
        assert found.shape == (3,)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)

    @pytest.mark.parametrize(
        ("options", "arguments", "message"),
        [
            ({}, (SERIES, 0), "H: expected a whole number >= 1"),
            ({}, (SERIES[:, :1], 1), "history: expected n_x = 2 numbers at each step, got 1"),
            ({}, (SERIES, 1, 61), "window: expected a whole number <= 60, got 61"),
            ({"n_y": 3}, (SERIES, 1), "forecast: expected a model whose answers are values"),
            ({"loss": "cross_entropy"}, (SERIES, 1), "forecast: expected a model whose answers"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, arguments, message):
        options = {"n_y": 2, "loss": "mse", **options}
        model = crnn.RNN(2, 5, options.pop("n_y"), rng=0, **options)
        with pytest.raises(ValueError, match=message):
            model.forecast(*arguments[:2], **({"window": arguments[2]} if arguments[2:] else {}))


class TestWalkForward:
    def test_only_the_past_is_known(self):
        seen = []

        def train(past):
            seen.append(past.copy())
            past[:] = np.nan  # a copy: the series stays as it is
            return lambda H: np.zeros((H, 2))

        found = walk_forward(train, SERIES, 4, first=40, step=5)
        assert found.origins.tolist() == [40, 45, 50, 55]
        for origin, past, actual in zip(found.origins, seen, found.actual, strict=True):
            np.testing.assert_array_equal(past, SERIES[:origin])
            np.testing.assert_array_equal(actual, SERIES[origin : origin + 4])
        assert found.mape == 1
        assert found.rmse == pytest.approx(np.sqrt(np.mean(found.actual**2)))

    def test_the_mean_of_several(self):
        several = [lambda H: np.full(H, 1.0), lambda H: np.full(H, 3.0)]
        found = walk_forward(lambda past: several, SERIES[:, 0], 2, first=50)
        np.testing.assert_array_equal(found.forecasts, 2)

    @pytest.mark.parametrize("relative", [False, True])
    def test_intervals_cover_as_often_as_they_should(self, relative):
        rng = np.random.default_rng(0)
        series = np.exp(0.1 * rng.standard_normal(600))
        found = walk_forward(lambda past: np.ones, series, 3, first=20)
        assert 0.86 < found.coverage(0.9, relative) < 0.94
        low, high = found.interval(np.ones(3), 0.9, relative)
        inside = (low <= found.actual) & (found.actual <= high)
        np.testing.assert_allclose(inside.mean(axis=0), 0.9, atol=0.005)

    def test_no_error_is_a_share_of_zero(self):
        series = np.tile([1.0, 0.0, 2.0], 12)
        found = walk_forward(lambda past: lambda H: past[-3:], series, 3, first=12, step=3)
        with pytest.raises(ValueError, match=r"mape: an error is no share of 0, .* from origin 12"):
            found.mape  # noqa: B018 - a property
        message = "relative: an error is no share of 0, as a forecast is at step 2 from origin 12"
        for call in (found.coverage, lambda: found.interval([1, 1, 1], 0.5)):
            with pytest.raises(ValueError, match=message):
                call()
        assert found.mae == found.rmse == 0
        assert found.interval([0, 0, 0], 0.5, relative=False)[1].tolist() == [0, 0, 0]
        ones = walk_forward(lambda past: np.ones, series, 3, first=12, step=3)
        with pytest.raises(ValueError, match="as the forecast is at step 3: use relative=False"):
            ones.interval([1, 1, 0], 0.5)

    def test_errors_that_are_not_known_yet_are_not_used(self):
        """The series jumps at step 30. Each step ahead is surprised until it has seen the jump."""
        series = np.where(np.arange(60) < 30, 1.0, 9.0)
        found = walk_forward(lambda past: np.ones, series, 5, first=5)
        counted = surprised = 0
        for origin in found.origins:
            for h in range(5):
                known = np.arange(5, origin - h)  # origins whose step h had come
                if len(known) >= 9:
                    counted += 1
                    surprised += origin + h >= 30 and sum(known + h >= 30) <= (len(known) - 9) / 10
        assert found.coverage(0.9, relative=False) == pytest.approx(1 - surprised / counted)

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: walk_forward(3, SERIES, 2, first=9), TypeError, "train: expected a callable"),
            (lambda: walk_forward(np.sum, SERIES, 2, first=59), ValueError, "first: expected a"),
            (
                lambda: walk_forward(np.sum, SERIES, 2, first=9),
                TypeError,
                "train: expected it to return a callable of the horizon",
            ),
            (
                lambda: walk_forward(lambda past: np.ones, SERIES, 2, first=9),
                ValueError,
                r"train: expected forecasts of shape \(2, 2\), got",
            ),
            (
                lambda: walk_forward(lambda past: np.ones, SERIES[:, 0], 2, first=57).coverage(0.9),
                ValueError,
                "share: expected one for which there are enough origins",
            ),
            (
                lambda: walk_forward(lambda past: np.ones, SERIES[:, 0], 2, first=57).interval(
                    [1, 1]
                ),
                ValueError,
                "share: expected one that 2 errors can give, got 0.9, which needs 9",
            ),
        ],
    )
    def test_what_does_not_fit_is_refused(self, call, error, message):
        with pytest.raises(error, match=message):
            call()
