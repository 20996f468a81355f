"""Streams of numbers and symbols: rows, resets, missing values, and the state that is carried."""

import itertools

import numpy as np
import pytest

import crnn
from crnn._training.stream_arguments import checked_series

N, N_X, N_Y = 41, 3, 2


def series(seed=0, shape=(N,)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, N_X)), rng.standard_normal((*shape, N_Y))


def values_model(**options):
    options = {"loss": "mse", "dtype": "float64", "rng": 0, **options}
    return crnn.RNN(N_X, 5, options.pop("n_y", N_Y), steps="all", **options)


def after_one_step(model, *arguments, **options):
    """The gradient that the first window gives, from what one step of descent changes."""
    before = {name: p.copy() for name, p in model.parameters.items()}
    options = {"epochs": 1, "optimizer": crnn.SGD(1.0), "progress": False, **options}
    model.fit_stream(*arguments, **options)
    return {name: before[name] - p for name, p in model.parameters.items()}


def assert_same(found, wanted):
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)


class TestRows:
    def test_symbols_in_rows_are_the_sequence_cut(self):
        """One sequence and its rows side by side give the same bits."""
        symbols = np.random.default_rng(0).integers(0, 4, 41)
        x, y = (s.reshape(4, 10).T for s in (symbols[:-1], symbols[1:]))
        models = [crnn.RNN(4, 6, 4, steps="all", rng=0) for _ in "12"]
        models[0].fit_stream(symbols, batch_size=4, steps=3, epochs=2, progress=False)
        models[1].fit_stream(x, y, steps=3, epochs=2, progress=False)
        np.testing.assert_array_equal(*(m.parameters["Waa"] for m in models))
        assert models[0].evaluate_stream(symbols, 4) == models[1].evaluate_stream(x, y=y)

    def test_the_target_is_the_next_step_by_default(self):
        x, _ = series()
        models = [values_model(n_y=N_X) for _ in "12"]
        models[0].fit_stream(x, batch_size=4, steps=3, epochs=2, progress=False)
        models[1].fit_stream(x[:-1], x[1:], batch_size=4, steps=3, epochs=2, progress=False)
        np.testing.assert_array_equal(*(m.parameters["Waa"] for m in models))

    def test_one_number_at_each_step_needs_no_axis(self):
        x = series()[0][:, 0]
        model = crnn.RNN(1, 4, 1, steps="all", loss="mse", rng=0)
        assert model.evaluate_stream(x, 2) == model.evaluate_stream(x[:, None], 2)
        model.fit_stream(x, validation=x, epochs=1, batch_size=4, progress=False)

    @pytest.mark.parametrize("cell", ["vanilla", "gru", "lstm"])
    def test_windows_carry_the_state(self, cell):
        """The loss of short windows is that of one pass over all steps."""
        x, y = series(shape=(70, 2))
        model = values_model(cell=cell, num_layers=2)
        assert model.evaluate_stream(x, y=y) == pytest.approx(model.evaluate(x, y), rel=1e-12)

    def test_classes_can_be_the_targets_of_numbers(self):
        x, _ = series()
        model = crnn.RNN(N_X, 4, 3, steps="all", rng=0)
        y = (x[:, 0] > 0).astype(int)
        history = model.fit_stream(
            x, y, batch_size=2, steps=5, epochs=30, optimizer=crnn.Adam(1e-2), progress=False,
            validation=(x, y),
        )  # fmt: skip
        assert history.val_metric[-1] > 0.9


@pytest.mark.parametrize("cell", ["vanilla", "leaky", "gru", "lstm"])
@pytest.mark.parametrize("initial", ["zeros", "trained"])
class TestResets:
    """A sequence with resets is its parts, each from the initial state."""

    def model(self, cell, initial):
        model = values_model(
            cell=cell, initial_state=initial, leak=0.5 if cell == "leaky" else None
        )
        for name in ("a0", "c0"):
            if name in model.parameters:
                model.parameters[name] = np.linspace(-0.5, 0.5, 5)
        return model

    def test_gradients_are_those_of_the_parts(self, cell, initial):
        x, y = series()
        resets = np.isin(np.arange(N), [0, 7, 8, 30])
        ends = [0, 7, 8, 30, N]
        parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        model = self.model(cell, initial)
        _, wanted = model.gradients([x[p] for p in parts], [y[p] for p in parts])
        assert_same(after_one_step(model, x, y, resets=resets, batch_size=1, steps=N), wanted)

    def test_the_loss_of_windows_is_that_of_the_parts(self, cell, initial):
        """Resets inside windows, at their edges, and rows that begin again at different steps."""
        x, y = series(shape=(150, 2))
        resets = np.zeros((150, 2), bool)
        resets[[5, 64, 65], 0] = resets[[127, 128], 1] = True
        model = self.model(cell, initial)
        parts, targets = [], []
        for i in range(2):
            ends = [0, *np.flatnonzero(resets[:, i]), 150]
            for a, b in itertools.pairwise(ends):
                parts.append(x[a:b, i])
                targets.append(y[a:b, i])
        wanted = model.evaluate(parts, targets)
        assert model.evaluate_stream(x, y=y, resets=resets) == pytest.approx(wanted, rel=1e-9)


def test_before_a_reset_nothing_is_predicted():
    x, _ = series()
    resets = np.arange(N) == 10
    model = values_model(n_y=N_X)
    found = model.evaluate_stream(x, 1, resets=resets)
    wanted = model.evaluate([x[:9], x[10:-1]], [x[1:10], x[11:]])
    assert found == pytest.approx(wanted, rel=1e-9)


class TestMask:
    def test_missing_values_are_read_as_0_and_are_no_targets(self):
        x, _ = series()
        mask = np.random.default_rng(1).random((N, N_X)) > 0.2
        model = values_model(n_y=N_X)
        found = model.evaluate_stream(np.where(mask, x, np.nan), 1, mask=mask)
        read = np.where(mask, x, 0)
        weights = mask[1:].all(axis=1, keepdims=True).astype(float)
        wanted = model.evaluate(read[:-1, None], x[1:, None], sample_weight=weights)
        assert found == pytest.approx(wanted, rel=1e-9)

    def test_with_targets_the_mask_is_theirs(self):
        x, y = series()
        mask = np.arange(N) % 3 > 0
        model = values_model()
        y[~mask] = np.nan
        weights = mask[:, None].astype(float)
        _, wanted = model.gradients(x[:, None], y[:, None], sample_weight=weights)
        assert_same(after_one_step(model, x, y, mask=mask, batch_size=1, steps=N), wanted)

    @pytest.mark.parametrize("shards", [None, 2])
    @pytest.mark.parametrize("steps", [1, 4])
    def test_windows_of_one_step_and_shards_of_one_row_have_their_weights(self, steps, shards):
        """Each of two rows has 20 steps of the sequence, in any windows."""
        x, y = series()
        mask = np.random.default_rng(1).random(N) < 0.7
        model, rows = values_model(), values_model()
        options = {"steps": steps, "epochs": 2, "progress": False}
        model.fit_stream(x[:-1], y[:-1], mask=mask[:-1], batch_size=2, shards=shards, **options)
        wide = [np.stack([a[:20], a[20:40]], axis=1) for a in (x, y, mask)]
        rows.fit_stream(*wide[:2], mask=wide[2], **options)
        assert_same(model.parameters, rows.parameters)

    def test_a_value_that_is_not_marked_is_located(self):
        x, _ = series()
        x[30, 1] = np.nan
        with pytest.raises(crnn.DivergenceError, match=r"symbols: expected finite .* 10 of row 1"):
            values_model(n_y=N_X).fit_stream(x, batch_size=2, progress=False)


def test_training_stops_early_on_a_held_out_series():
    x = np.sin(np.arange(300.0))[:, None]
    model = crnn.RNN(1, 8, 1, steps="all", loss="mse", rng=0)
    history = model.fit_stream(
        x[:200], validation=x[200:], patience=1, epochs=200, batch_size=4, steps=10,
        optimizer=crnn.Adam(3e-2), progress=False,
    )  # fmt: skip
    assert history.stopped_early
    assert min(history.val_loss) < 0.05


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path):
    """From a file that has the states of a window with more parts than rows."""
    x, y = series(shape=(40, 2))
    resets = np.random.default_rng(0).random((40, 2)) < 0.2
    rule = {"resets": resets, "steps": 6, "optimizer": "adam", "progress": False}
    whole, part = values_model(cell="lstm"), values_model(cell="lstm")
    whole.fit_stream(x, y, epochs=3, **rule)

    class Stopped(Exception):
        pass

    class Stopping(type(crnn.Adam())):
        done = 0

        def step(self, *arguments):
            Stopping.done += 1
            if Stopping.done == 12:
                raise Stopped
            super().step(*arguments)

    rule |= {"checkpoint": tmp_path / "m", "every": 1, "epochs": 3}
    with pytest.raises(Stopped):
        part.fit_stream(x, y, **{**rule, "optimizer": Stopping()})
    part = values_model(cell="lstm")
    part.fit_stream(x, y, **{**rule, "optimizer": Stopping()})
    np.testing.assert_array_equal(part.parameters["Waa"], whole.parameters["Waa"])


class TestStream:
    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    def test_some_rows_go_back_to_the_initial_state(self, cell):
        model = values_model(cell=cell, initial_state="trained", num_layers=2)
        for name in model.parameters:
            if name.startswith(("a0", "c0")):
                model.parameters[name] = np.linspace(-0.5, 0.5, 5)
        x, _ = series(shape=(6, 3))
        stream, fresh, kept = model.stream(3), model.stream(3), model.stream(3)
        for x_t in x:
            stream.step(x_t)
            kept.step(x_t)
        stream.reset(np.array([True, False, True]))
        y_hat, new, old = stream.step(x[0]), fresh.step(x[0]), kept.step(x[0])
        np.testing.assert_array_equal(y_hat[[0, 2]], new[[0, 2]])
        np.testing.assert_array_equal(y_hat[1], old[1])

    @pytest.mark.parametrize("rows", [[True], [0, 1], np.zeros((2, 1), bool), "ab"])
    def test_rows_that_do_not_fit_are_refused(self, rows):
        stream = values_model().stream(2)
        stream.step(np.ones((2, N_X)))
        before = stream.state
        with pytest.raises(ValueError, match=r"rows: expected True or False in shape \(m,\) = "):
            stream.reset(rows)
        np.testing.assert_array_equal(stream.state, before)


def test_by_default_rows_have_at_least_64_steps():
    model = values_model(n_y=N_X)
    for steps, rows in ((40, 1), (127, 1), (128, 2), (64 * 32 - 1, 31), (64 * 40, 32)):
        x = np.random.default_rng(0).standard_normal((steps, N_X))
        assert model.evaluate_stream(x) == model.evaluate_stream(x, rows)


X, Y = series()


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({}, {"symbols": X[:, :2]}, r"symbols: expected numbers of shape \(N, n_x\)"),
        ({}, {"symbols": X}, "y: expected targets"),
        ({"n_y": N_X}, {"symbols": X, "resets": [True]}, r"resets: expected True or False in"),
        ({"n_y": N_X}, {"symbols": X, "mask": X > 9}, "mask: expected some steps that count"),
        ({"n_y": N_X}, {"symbols": X, "resets": np.ones(N, bool)}, "resets: expected some steps"),
        ({"n_y": N_X}, {"symbols": X, "mask": X}, r"mask: expected True or False in shape \(41,\)"),
        (
            {"n_y": N_X},
            {"symbols": X, "mask": np.arange(41)},
            "mask: expected True or False, or 1 or 0, got 2",
        ),
        ({}, {"symbols": X, "y": Y[1:]}, r"y: expected numbers of shape \(41, 2\)"),
        (
            {"n_y": N_X},
            {"symbols": X[:3]},
            "symbols: expected more than 4 steps, one for each of the batch_size=4 rows, got 3",
        ),
        ({"direction": "reverse"}, {"symbols": X, "y": Y}, "a stream needs a model with steps"),
        ({}, {"symbols": X, "y": Y, "validation": (X,) * 5}, "validation: expected x, or"),
        ({}, {"symbols": X, "y": Y, "validation": (X, Y[1:])}, "validation y: expected numbers"),
    ],
)
def test_what_does_not_fit_is_refused(options, arguments, message):
    model = values_model(**options)
    before = model.parameters["Waa"].copy()
    with pytest.raises(ValueError, match=message):
        model.fit_stream(**arguments, batch_size=4, progress=False)
    np.testing.assert_array_equal(model.parameters["Waa"], before)


def test_a_long_series_is_not_copied():
    """Rows are views, so a series that is mapped into memory is read a window at a time."""
    x, _ = series(shape=(40,))
    found = checked_series(values_model(n_y=N_X).config, x, rows=3)
    assert np.shares_memory(found.symbols, x)
    assert np.shares_memory(found.y, x)
