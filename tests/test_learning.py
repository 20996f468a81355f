"""Training: the optimizers, the loop, and what happens when it fails."""

import copy
import io
import pickle
import signal
import sys
import threading
import time

import numpy as np
import pytest

import crnn
from crnn import reference
from crnn._network import data
from crnn._training import batches, optim


def sign_of_the_sum(m=240, T=8, seed=0):
    x = np.random.default_rng(seed).standard_normal((T, m, 1)).astype(np.float32)
    return x, (x.sum(axis=0)[:, 0] > 0).astype(int)


def flat(model):
    return np.concatenate([p.ravel() for p in model.parameters.values()])


def fit(model, *args, **options):
    return model.fit(*args, **{"progress": False, "rng": 0, **options})


class TestRules:
    def test_gradient_descent_is_w_minus_alpha_dw(self):
        x, y = sign_of_the_sum(16)
        model = crnn.RNN(1, 4, 2, dtype="float64", rng=0)
        before, (_, g) = flat(model), model.gradients(x, y)
        fit(model, x, y, epochs=1, batch_size=16, optimizer=crnn.SGD(0.3))
        moved = flat(model) - before
        expected = -0.3 * np.concatenate([d.ravel() for d in g.values()])
        np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-15)

    def test_momentum_by_hand(self):
        w, rule = np.array([1.0]), crnn.SGD(0.1, momentum=0.5)
        memory = rule.start(w)
        for gradient in (1.0, 2.0):
            rule.step(w, np.array([gradient]), memory)
        assert w[0] == pytest.approx(1 - 0.1 * 1 - 0.1 * (0.5 * 1 + 2))

    def test_adam_by_hand(self):
        w, rule = np.array([1.0, -2.0]), crnn.Adam(0.1, 0.8, 0.9, 1e-3)
        memory, m, v, by_hand = rule.start(w), 0.0, 0.0, w.copy()
        for t, g in enumerate([np.array([0.5, -1.0]), np.array([2.0, 0.0])], start=1):
            rule.step(w, g.copy(), memory)
            m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
            by_hand -= 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
        np.testing.assert_allclose(w, by_hand, rtol=1e-14)

    @pytest.mark.parametrize("momentum", [0.0, 0.5])
    def test_rmsprop_by_hand(self, momentum):
        w, rule = np.array([1.0, -2.0]), crnn.RMSprop(0.1, 0.8, 1e-3, momentum)
        memory, v, u, by_hand = rule.start(w), 0.0, 0.0, w.copy()
        for g in (np.array([0.5, -1.0]), np.array([2.0, 0.0])):
            rule.step(w, g.copy(), memory)
            v = 0.8 * v + 0.2 * g**2
            u = momentum * u + g / (np.sqrt(v) + 1e-3)
            by_hand -= 0.1 * u
        np.testing.assert_allclose(w, by_hand, rtol=1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_clipping_by_value_moves_each_number_alone(self, dtype):
        g = np.array([3.0, -0.5, np.nan, -4.0], dtype)
        optim.clip_by_value(g, 1e300)
        np.testing.assert_array_equal(g, [3, -0.5, np.nan, -4])
        optim.clip_by_value(g, 1)
        np.testing.assert_array_equal(g, [1, -0.5, np.nan, -1])

    def test_clipping_scales_to_the_norm_and_no_further(self):
        g = np.array([3.0, 4.0])
        for most in (None, 10, 5):
            assert optim.clip_by_norm(g, most) == 5
            np.testing.assert_array_equal(g, [3, 4])
        assert optim.clip_by_norm(g, 1) == 5
        np.testing.assert_allclose(g, [0.6, 0.8])

    @pytest.mark.parametrize("odd", [np.nan, np.inf])
    def test_a_gradient_that_is_not_finite_is_not_clipped(self, odd):
        g = np.array([3.0, odd])
        assert not np.isfinite(optim.clip_by_norm(g, 1))
        np.testing.assert_array_equal(g, [3, odd])

    def test_the_norm_of_large_float32_gradients_does_not_overflow(self):
        assert optim.clip_by_norm(np.full(4, 1e30, np.float32), None) == pytest.approx(2e30)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: crnn.SGD(0), "lr: expected a finite number > 0"),
            (lambda: crnn.SGD(float("nan")), "lr: expected a finite number > 0"),
            (lambda: crnn.SGD(0.1, 1), "momentum: expected a finite number >= 0 and < 1"),
            (lambda: crnn.Adam(beta2=1.0), "beta2: expected"),
            (lambda: crnn.Adam(eps=0), "eps: expected"),
            (lambda: crnn.RMSprop(decay=1.0), "decay: expected a finite number >= 0 and < 1"),
            (lambda: crnn.RMSprop(eps=0), "eps: expected"),
            (lambda: crnn.RMSprop(momentum=-1), "momentum: expected"),
        ],
    )
    def test_numbers_out_of_range_are_refused(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()
        with pytest.raises(TypeError, match="lr: expected a number, got 'fast'"):
            crnn.SGD("fast")


class TestLoop:
    def test_learns_and_tells_how(self):
        x, y = sign_of_the_sum()
        model = crnn.RNN(1, 16, 2, rng=0)
        held_out = sign_of_the_sum(seed=1)
        history = fit(model, x, y, epochs=20, optimizer=crnn.Adam(1e-2), validation=held_out)
        assert history.metric_name == "accuracy"
        assert history.val_metric[-1] > 0.9
        assert history.loss[-1] < history.loss[0] / 2
        for entries in (
            history.loss,
            history.val_loss,
            history.gradient_norm,
            history.steps_per_second,
        ):
            assert len(entries) == 20
            assert np.all(np.array(entries) > 0)
        assert history.best_epoch == int(np.argmin(history.val_loss))
        assert model.evaluate(*sign_of_the_sum(seed=1))[0] == pytest.approx(
            history.val_loss[-1], rel=1e-5
        )

    @pytest.mark.parametrize(
        "optimizer", [crnn.SGD(0.1), crnn.SGD(0.1, 0.9), crnn.Adam(), crnn.RMSprop(momentum=0.9)]
    )
    def test_same_seed_same_bits(self, optimizer):
        x, y = sign_of_the_sum()
        runs = []
        for seed in (0, 0, 1):
            model = crnn.RNN(1, 8, 2, rng=0)
            fit(model, x, y, epochs=2, optimizer=optimizer, rng=seed)
            runs.append(flat(model))
        np.testing.assert_array_equal(runs[0], runs[1])
        assert np.any(runs[0] != runs[2])

    @pytest.mark.parametrize("make", [crnn.Adam, crnn.RMSprop])
    def test_one_optimizer_goes_on_and_does_not_mix_models(self, make):
        x, y = sign_of_the_sum(32)
        adam = make(1e-2)
        once, twice, other = (crnn.RNN(1, 4, 2, rng=0) for _ in range(3))
        fit(once, x, y, epochs=2, batch_size=32, optimizer=adam)
        fit(twice, x, y, epochs=1, batch_size=32, optimizer=adam)
        fit(other, x, y, epochs=1, batch_size=32, optimizer=adam)
        fit(twice, x, y, epochs=1, batch_size=32, optimizer=adam)
        fit(other, x, y, epochs=1, batch_size=32, optimizer=make(1e-2))
        np.testing.assert_allclose(flat(twice), flat(once), rtol=1e-5, atol=1e-6)
        assert np.max(np.abs(flat(other) - flat(once))) > 1e-4, "new moments start from zero"

    def test_clipped_steps_are_no_longer_than_lr_times_the_norm(self):
        x, y = sign_of_the_sum(64)
        model = crnn.RNN(1, 4, 2, rng=0, dtype="float64")
        before = flat(model)
        fit(model, x, y, epochs=1, batch_size=64, optimizer=crnn.SGD(1.0), clip_norm=1e-3)
        assert np.linalg.norm(flat(model) - before) == pytest.approx(1e-3)

    @pytest.mark.parametrize("clip_norm", [None, 1e-3])
    def test_gradients_are_clipped_by_value_and_then_by_norm(self, clip_norm):
        x, y = sign_of_the_sum(64)
        model = crnn.RNN(1, 4, 2, rng=0, dtype="float64")
        before, (_, g) = flat(model), model.gradients(x, y)
        step = np.concatenate([d.ravel() for d in g.values()])
        norm, most = np.linalg.norm(step), np.median(np.abs(step))
        step = np.clip(step, -most, most)
        if clip_norm is not None:
            step *= clip_norm / np.linalg.norm(step)
        rule = {"optimizer": crnn.SGD(1.0), "clip_norm": clip_norm, "clip_value": most}
        history = fit(model, x, y, epochs=1, batch_size=64, **rule)
        np.testing.assert_allclose(flat(model) - before, -step, rtol=1e-9, atol=1e-15)
        assert history.gradient_norm == pytest.approx([norm])

    def test_patience_stops_and_keeps_the_best(self):
        x, y = sign_of_the_sum(64)
        model = crnn.RNN(1, 8, 2, rng=0)
        held_out = (x, 1 - y)  # learning y makes this worse at once
        history = fit(model, x, y, epochs=50, validation=held_out, patience=3)
        assert history.stopped_early
        assert len(history.loss) == history.best_epoch + 4
        assert model.evaluate(*held_out)[0] == pytest.approx(min(history.val_loss), rel=1e-6)

    def test_every_step_and_ragged_lists(self):
        rng = np.random.default_rng(0)
        x = [rng.integers(0, 4, rng.integers(2, 12)) for _ in range(120)]
        y = [np.concatenate([[0], item[:-1]]) for item in x]  # the symbol before
        model = crnn.RNN(4, 24, 4, steps="all", rng=0)
        history = fit(model, x, y, epochs=15, optimizer=crnn.Adam(1e-2), validation=(x, y))
        assert history.val_metric[-1] > 0.97

    def test_regression(self):
        x, _ = sign_of_the_sum()
        y = x.mean(axis=0)
        model = crnn.RNN(1, 16, 1, loss="mse", rng=0)
        history = fit(model, x, y, epochs=20, optimizer=crnn.Adam(1e-2))
        assert history.metric_name == "mean absolute error"
        assert history.loss[-1] < 0.1 * np.var(y)

    def test_the_bar_shows_loss_and_throughput(self, capsys):
        x, y = sign_of_the_sum(64)
        crnn.RNN(1, 4, 2, rng=0).fit(x, y, epochs=2)
        bar = capsys.readouterr().err
        assert "epoch 2/2" in bar
        assert "loss=" in bar
        assert "example/s" in bar

    def test_lengths_count_in_training_and_validation(self):
        x, y = sign_of_the_sum(16)
        lengths = np.arange(16) % 8 + 1
        x[np.arange(8)[:, None] >= lengths] = np.nan  # would be seen at once
        model = crnn.RNN(1, 4, 2, rng=0, dtype="float64")
        before, (_, g) = flat(model), model.gradients(x, y, lengths)
        rule = {"epochs": 1, "batch_size": 16, "optimizer": crnn.SGD(0.3)}
        history = fit(model, x, y, lengths=lengths, validation=(x, y, lengths), **rule)
        expected = -0.3 * np.concatenate([d.ravel() for d in g.values()])
        np.testing.assert_allclose(flat(model) - before, expected, rtol=1e-10, atol=1e-15)
        assert history.val_loss[0] == pytest.approx(model.evaluate(x, y, lengths)[0], rel=1e-12)

    def test_an_epochs_loss_and_metric_are_means_over_examples_not_batches(self):
        x, _ = sign_of_the_sum(9)
        y = np.arange(9.0)[:, None]  # one of them is alone in its batch
        model = crnn.RNN(1, 4, 1, loss="mse", rng=0, dtype="float64")
        history = fit(model, x, y, epochs=3, batch_size=8, optimizer=crnn.SGD(1e-30))
        loss, error = model.evaluate(x, y)
        assert history.loss == pytest.approx([loss] * 3, rel=1e-12)
        assert history.metric == pytest.approx([error] * 3, rel=1e-12)

    def test_the_gradient_norm_is_the_mean_over_steps_before_clipping(self):
        x, y = sign_of_the_sum(6)
        model = crnn.RNN(1, 4, 2, rng=0, dtype="float64")
        norms = []
        for i in range(6):
            g = model.gradients(x[:, i : i + 1], y[i : i + 1])[1]
            norms.append(np.linalg.norm(np.concatenate([d.ravel() for d in g.values()])))
        rule = {"epochs": 2, "batch_size": 1, "optimizer": crnn.SGD(1e-30), "clip_norm": 1e-3}
        history = fit(model, x, y, **rule)
        assert history.gradient_norm == pytest.approx([np.mean(norms)] * 2, rel=1e-12)

    def test_steps_per_second_are_steps_over_seconds(self, monkeypatch):
        """By a clock that only the optimizer moves: 10 ms a step."""
        now = [0.0]
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])

        class Slow(crnn.SGD):
            def step(self, *arguments):
                now[0] += 0.01
                super().step(*arguments)

        def validate(_):
            now[0] += 1.0  # what happens between epochs does not count

        x, y = sign_of_the_sum(20)
        rule = {"epochs": 2, "batch_size": 2, "optimizer": Slow(0.1), "callback": validate}
        history = fit(crnn.RNN(1, 4, 2, rng=0), x, y, **rule)
        assert history.steps_per_second == pytest.approx([100, 100])

    def test_the_callback_sees_each_epoch(self):
        x, y = sign_of_the_sum(32)
        seen = []
        fit(crnn.RNN(1, 4, 2, rng=0), x, y, epochs=3, callback=lambda h: seen.append(len(h.loss)))
        assert seen == [1, 2, 3]

    @pytest.mark.parametrize("answer", [True, np.True_])
    def test_the_callback_ends_training(self, answer):
        x, y = sign_of_the_sum(32)
        history = fit(crnn.RNN(1, 4, 2, rng=0), x, y, epochs=3, callback=lambda h: answer)
        assert len(history.loss) == 1
        assert history.stopped_early

    @pytest.mark.parametrize("answer", [1, "yes", None, np.ones(2)])
    def test_what_merely_counts_as_true_does_not(self, answer):
        x, y = sign_of_the_sum(32)
        history = fit(crnn.RNN(1, 4, 2, rng=0), x, y, epochs=3, callback=lambda h: answer)
        assert len(history.loss) == 3

    def test_a_callback_and_an_optimizer_run_in_the_callers_error_state(self):
        """And what the network computes does not: its infinities are reported by training."""
        x, y = np.ones((3, 8, 1)), [0, 1] * 4
        raised = []

        def divide(what):
            with pytest.raises(FloatingPointError):
                np.ones(1) / np.zeros(1)
            raised.append(what)

        class Dividing(crnn.SGD):
            def step(self, *arguments):
                divide("optimizer")
                super().step(*arguments)

        with np.errstate(all="raise"):
            fit(crnn.RNN(1, 2, 2, rng=0), x, y, epochs=1, batch_size=8, optimizer=Dividing(0.1),
                callback=lambda history: divide("callback"))  # fmt: skip
            linear = crnn.RNN(1, 2, 1, activation="relu", loss="mse", rng=0)
            with pytest.raises(crnn.DivergenceError):
                fit(linear, x, np.ones((8, 1)), epochs=9, optimizer=crnn.SGD(1e20))
        assert raised == ["optimizer", "callback"]

    def test_lengths_that_change_meanwhile_are_those_of_the_call(self):
        x, y = np.random.default_rng(0).standard_normal((6, 8, 1)), [0, 1] * 4
        lengths = np.array([6, 1, 2, 3, 4, 5, 6, 2])

        def fitted(callback):
            model = crnn.RNN(1, 4, 2, rng=0)
            fit(model, x, y, lengths=lengths, epochs=3, batch_size=4, rng=0, callback=callback)
            return [p.tobytes() for p in model.parameters.values()]

        kept = fitted(None)
        assert fitted(lambda history: lengths.fill(10**12)) == kept

    @pytest.mark.parametrize("bad", [2, -1, 10**9])
    def test_classes_that_change_meanwhile_are_refused(self, bad):
        """The arrays that fit was given are read in place: what a callback writes is seen."""
        x, y = sign_of_the_sum(32)

        def spoil(_):
            y[...] = bad

        for validation in (None, (x, y)):
            y[...] = 0
            with pytest.raises(ValueError, match=r"y: expected classes in 0\.\.1; they"):
                fit(crnn.RNN(1, 4, 2, rng=0), x, y, epochs=3, callback=spoil, validation=validation)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"epochs": 0}, ValueError, "epochs: expected a whole number >= 1"),
            ({"batch_size": 0}, ValueError, "batch_size: expected a whole number >= 1"),
            ({"clip_norm": 0}, ValueError, "clip_norm: expected a finite number > 0"),
            ({"clip_value": -1}, ValueError, "clip_value: expected a finite number > 0"),
            ({"patience": 2}, ValueError, "patience: expected None without validation"),
            ({"patience": 0, "validation": (1, 2)}, ValueError, "patience: expected"),
            ({"optimizer": crnn.Adam}, TypeError, "optimizer: expected crnn.SGD, crnn.Adam"),
            (
                {"validation": (np.zeros((3, 2, 1)), [0, 7])},
                ValueError,
                r"validation y: expected integers in 0\.\.1, got 7",
            ),
            ({"validation": 0.1}, ValueError, r"validation: expected \(x, y\), .*, got 0\.1$"),
            ({"optimizer": 0.1}, TypeError, "optimizer: expected crnn.SGD, crnn.Adam"),
            ({"progress": 1}, TypeError, "progress: expected True or False"),
            ({"callback": 1}, TypeError, "callback: expected a callable"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_nothing_is_changed(self, options, error, message):
        x, y = sign_of_the_sum(32)
        model = crnn.RNN(1, 4, 2, rng=0)
        before = flat(model)
        with pytest.raises(error, match=message):
            fit(model, x, y, **options)
        np.testing.assert_array_equal(flat(model), before)


class TestProgress:
    """The progress bar on stderr, with a clock that does not advance."""

    @pytest.fixture
    def fit_into(self, monkeypatch):
        def fit_into(stream, **options):
            monkeypatch.setattr(sys, "stderr", stream)
            x, y = sign_of_the_sum(8, T=3)
            return fit(crnn.RNN(1, 2, 2, rng=0), x, y, epochs=200, progress=True, **options)

        monkeypatch.setattr("tqdm.std.time", lambda: 0.0)
        return fit_into

    def test_a_log_is_not_flooded(self, fit_into):
        log = io.StringIO()
        fit_into(log)
        assert log.getvalue().count("\r") == 2, "the first and the last"
        assert "epoch 200/200: 100%" in log.getvalue()

    def test_a_terminal_is_refreshed_by_the_clock_alone(self, fit_into):
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        fit_into(terminal)
        assert terminal.getvalue().count("\r") == 2

    def test_a_program_without_a_console(self, fit_into):
        assert len(fit_into(None).loss) == 200


class TestDivergence:
    def test_names_step_and_loss_and_keeps_the_last_good_parameters(self):
        x, y = sign_of_the_sum(64)
        model = crnn.RNN(1, 8, 1, loss="mse", activation="relu", rng=0)
        with pytest.raises(crnn.DivergenceError, match=r"training diverged at step \d+") as caught:
            fit(model, x, y[:, None], epochs=100, batch_size=8, optimizer=crnn.SGD(1e6))
        assert caught.value.step >= 1
        assert f"loss {caught.value.loss:g}" in str(caught.value)
        assert np.isfinite(flat(model)).all()
        loss, gradients = model.gradients(x, y[:, None])
        assert np.isfinite(loss)
        assert all(np.isfinite(g).all() for g in gradients.values())

    def test_a_bad_example_leaves_the_parameters_before_it(self):
        x, y = sign_of_the_sum(8)
        x[0, 3] = np.nan
        model = crnn.RNN(1, 4, 2, rng=0)
        before = flat(model)
        with pytest.raises(
            crnn.DivergenceError, match="the loss of step 1 is not finite"
        ) as caught:
            fit(model, x, y, batch_size=8)
        assert np.isnan(caught.value.loss)
        np.testing.assert_array_equal(flat(model), before)

    def test_a_gradient_that_overflows_stops_before_the_update(self):
        # The loss is added up in float64; a float32 gradient of 1e30 * 1e20 is infinite.
        x, y = np.full((1, 1, 1), 1e20), np.full((1, 1), 1e30)
        model = crnn.RNN(1, 1, 1, activation="relu", loss="mse", rng=0)
        for name in ("Wax", "Wya"):
            model.parameters[name] = np.ones((1, 1))
        before = flat(model)
        with pytest.raises(crnn.DivergenceError, match="the gradient is not finite") as caught:
            fit(model, x, y)
        assert np.isfinite(caught.value.loss)
        np.testing.assert_array_equal(flat(model), before)

    @pytest.mark.parametrize(
        "optimizer", [crnn.SGD(0.1, 0.9), crnn.Adam(0.1), crnn.RMSprop(0.1, momentum=0.5)]
    )
    def test_what_the_optimizer_remembers_is_forgotten(self, optimizer):
        x, y = sign_of_the_sum(8)
        model = crnn.RNN(1, 4, 2, rng=0)
        fit(model, x, y, epochs=3, batch_size=8, optimizer=optimizer)
        with pytest.raises(crnn.DivergenceError):
            fit(model, np.full_like(x, np.nan), y, batch_size=8, optimizer=optimizer)
        fresh = copy.deepcopy(model)  # has the parameters only
        for m in (model, fresh):
            fit(m, x, y, epochs=1, batch_size=8, optimizer=optimizer)
        np.testing.assert_array_equal(flat(model), flat(fresh))

    def test_an_update_that_overflows_is_undone(self):
        x, y = sign_of_the_sum(8)
        model = crnn.RNN(1, 4, 2, rng=0)
        before = flat(model)
        with pytest.raises(crnn.DivergenceError, match="the update is not finite"):
            fit(model, x, y, optimizer=crnn.SGD(1e300))
        np.testing.assert_array_equal(flat(model), before)

    @pytest.mark.parametrize("held_out", [False, True])
    def test_the_last_step_of_all_is_judged_too(self, held_out):
        x, y = sign_of_the_sum(8)
        model = crnn.RNN(1, 4, 1, loss="mse", activation="relu", rng=0)
        before = flat(model)
        validation = (x, y[:, None]) if held_out else None
        message = "the validation loss is" if held_out else "the loss is"
        with pytest.raises(crnn.DivergenceError, match=message):
            fit(
                model,
                x,
                y[:, None],
                epochs=1,
                batch_size=8,
                optimizer=crnn.SGD(1e20),
                validation=validation,
            )
        np.testing.assert_array_equal(flat(model), before)

    def test_the_error_can_cross_a_process(self):
        error = pickle.loads(pickle.dumps(crnn.DivergenceError(3, float("inf"), "loss")))
        assert (error.step, error.loss) == (3, float("inf"))
        assert "at step 3" in str(error)


class TestDataThatIsNotFinite:
    """The error gives its position in the caller's arrays and does not blame the learning rate."""

    X, Y = np.ones((5, 4, 2)), np.ones((5, 4, 1))

    def diverged(self, *arguments, n_y=1, steps="all", loss="mse", **options):
        model = crnn.RNN(2, 4, n_y, steps=steps, loss=loss, rng=0)
        with pytest.raises(crnn.DivergenceError) as caught:
            fit(model, *arguments, **options)
        assert "learning rate" not in str(caught.value)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.fault) == (str(caught.value), caught.value.fault)
        return caught.value.fault

    @staticmethod
    def spoiled(a, *where, by=np.nan):
        a = a.copy()
        a[where] = by
        return a

    def test_in_x(self):
        x = self.spoiled(self.X, 1, 2, 1)
        expected = "x: expected finite numbers, got nan (float32) at (1, 2, 1)"
        assert self.diverged(x, self.Y) == expected
        assert self.diverged(x, self.Y, sample_weight=[1, 0, 1, 1]) == expected
        assert self.diverged(x, [0, 1, 2, 0], steps="last", loss="cross_entropy", n_y=3) == expected

    def test_in_y(self):
        y = self.spoiled(self.Y, 1, 2, 0, by=np.inf)
        expected = "y: expected finite numbers, got inf (float32) at (1, 2, 0)"
        assert self.diverged(self.X, y) == expected
        assert self.diverged(self.X, y, sample_weight=[1, 0, 1, 1]) == expected
        last = self.diverged(self.X, y[1], steps="last", sample_weight=[1, 0, 1, 1])
        assert last == "y: expected finite numbers, got inf (float32) at (2, 0)"
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
            assert "got inf (float32)" in self.diverged(self.X, 1e300 * self.Y)

    def test_in_lists(self):
        x, y = (list(a.swapaxes(0, 1)) for a in (self.X, self.Y))
        x_bad = [*x[:2], self.spoiled(x[2], 3, 0), x[3]]
        y_bad = [*y[:2], self.spoiled(y[2], 3, 0), y[3]]
        w = [0, 1, 1, 1]
        expected = "{}[2]: expected finite numbers, got nan (float32) at (3, 0)"
        assert self.diverged(x_bad, y, sample_weight=w) == expected.format("x")
        assert self.diverged(x, y_bad, sample_weight=w) == expected.format("y")

    @pytest.mark.parametrize("cell", ["gru", "lstm"])
    @pytest.mark.parametrize("batch_size", [2, 4])
    def test_in_a0(self, cell, batch_size):
        a, bad = np.zeros((2, 4, 3), "f4")
        bad[2, 1] = np.nan
        items = [(a, a), (a, bad)] if cell == "lstm" else [a, bad]
        model = crnn.RNN(2, 3, 1, loss="mse", steps="all", cell=cell, num_layers=2, rng=0)
        options = {"a0": items, "sample_weight": [0, 1, 1, 1], "batch_size": batch_size}
        with pytest.raises(crnn.DivergenceError) as caught:
            fit(model, self.X, self.Y, **options)
        name = "a0[1][1]" if cell == "lstm" else "a0[1]"
        fault = f"{name}: expected finite numbers, got nan (float32) at (2, 1); because of it"
        assert str(caught.value).startswith(fault)

    def test_in_validation_data(self):
        bad = self.spoiled(self.X, 0, 0, 0, by=-np.inf), self.spoiled(self.Y, 0, 1, 0)
        fault = self.diverged(self.X, self.Y, validation=(self.X, bad[1]))
        assert fault == "validation y: expected finite numbers, got nan (float32) at (0, 1, 0)"

    def test_an_infinite_input_with_a_finite_loss(self):
        x = self.spoiled(self.X, 4, 0, 0, by=np.inf)
        assert self.diverged(x, self.Y).startswith("x: expected finite numbers, got inf")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_what_is_not_read_is_no_fault(self, bad):
        model = crnn.RNN(2, 4, 1, steps="all", loss="mse", rng=0)
        w = self.spoiled(np.ones((5, 4)), 3, 2, by=0)
        y = self.spoiled(self.Y, 3, 2, 0, by=bad)
        fit(model, self.X, y, sample_weight=w, validation=(self.X, y, None, w))
        fit(model, self.X, y, lengths=[5, 5, 3, 5])
        x = self.spoiled(self.X, 3, 2, 0, by=bad)
        fit(model, x, self.Y, lengths=[5, 5, 3, 5])
        fit(model, x, self.Y, sample_weight=[1, 1, 0, 1])
        # A real divergence is still reported as one.
        with pytest.raises(crnn.DivergenceError, match="A smaller learning rate"):
            fit(model, x, 1e30 * self.Y, lengths=[5, 5, 3, 5], optimizer=crnn.SGD(1e9))


class TestInterrupt:
    def test_ctrl_c_ends_after_the_step_under_way(self):
        """It comes in the middle of the third step, which is finished; there is no fourth."""

        class Pressed(crnn.SGD):
            steps = 0

            def step(self, *arguments):
                self.steps += 1
                if self.steps == 3:
                    signal.raise_signal(signal.SIGINT)
                super().step(*arguments)

        x, y = sign_of_the_sum(64)
        model, same = crnn.RNN(1, 8, 2, rng=0), crnn.RNN(1, 8, 2, rng=0)
        pressed = Pressed(0.1)
        history = fit(model, x, y, epochs=9, batch_size=64, optimizer=pressed)
        assert history.interrupted
        assert pressed.steps == len(history.loss) == 3
        fit(same, x, y, epochs=3, batch_size=64, optimizer=crnn.SGD(0.1))
        np.testing.assert_array_equal(flat(model), flat(same))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_ctrl_c_twice_within_a_step_undoes_it(self, when):
        class Pressed(crnn.SGD):
            def step(self, parameters, *arguments):
                if when == "after":
                    super().step(parameters, *arguments)
                parameters[::2] = np.nan  # half done
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)

        x, y = sign_of_the_sum(64)
        model = crnn.RNN(1, 8, 2, rng=0)
        before = flat(model)
        with pytest.raises(KeyboardInterrupt):
            fit(model, x, y, optimizer=Pressed(0.1))
        np.testing.assert_array_equal(flat(model), before)
        assert model._memory[1]["step"] == 0

    def test_a_second_ctrl_c_raises_at_once(self):
        def twice(_):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

        x, y = sign_of_the_sum(32)
        with pytest.raises(KeyboardInterrupt):
            fit(crnn.RNN(1, 4, 2, rng=0), x, y, callback=twice)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_handler_of_the_program_is_left_alone(self):
        def mine(*_):
            pass

        signal.signal(signal.SIGINT, mine)
        try:
            x, y = sign_of_the_sum(32)
            seen = []
            fit(
                crnn.RNN(1, 4, 2, rng=0), x, y, epochs=1,
                callback=lambda _: seen.append(signal.getsignal(signal.SIGINT)),
            )  # fmt: skip
            assert seen == [mine]
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def test_training_works_outside_the_main_thread(self):
        x, y = sign_of_the_sum(32)
        model = crnn.RNN(1, 4, 2, rng=0)
        thread = threading.Thread(target=fit, args=(model, x, y), kwargs={"epochs": 1})
        before = flat(model)
        thread.start()
        thread.join()
        assert np.any(flat(model) != before)


class TestBatches:
    def test_an_epoch_has_every_example_once_and_like_lengths_together(self):
        rng = np.random.default_rng(0)
        x = [np.full(rng.integers(1, 100), i % 4) for i in range(1000)]
        config = crnn.RNN(4, 2, 2, rng=0).config
        y = rng.integers(0, 2, 1000)
        sequences = data.Sequences(config, x, y)
        batches = list(sequences.shuffled(10, np.random.default_rng(1)))
        lengths = [b.lengths if b.lengths is not None else np.full(10, len(b.x)) for b in batches]
        assert sorted(np.concatenate(lengths)) == sorted(map(len, x))
        assert np.mean([max(ls) - min(ls) for ls in lengths]) < 10, "padding is wasted work"
        assert all(len(b.x) == max(ls) for b, ls in zip(batches, lengths, strict=True))
        steps = np.diff([ls.mean() for ls in lengths])
        assert 0.3 < np.mean(steps < 0) < 0.7, "batches must not come sorted by length"

    def test_windows_carry_on_where_the_last_ended(self):
        symbols = np.arange(23)
        windows = list(batches.windows(symbols, 3, 4))
        x = np.concatenate([w.x for w in windows])
        y = np.concatenate([w.y for w in windows])
        np.testing.assert_array_equal(x.T, [range(7), range(7, 14), range(14, 21)])
        np.testing.assert_array_equal(y, x + 1)

    @pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "u4", "i8"])
    def test_symbols_of_any_integer_dtype_are_converted_a_window_at_a_time(self, dtype):
        symbols = np.random.default_rng(0).integers(0, 5, 201).astype(dtype)
        model = crnn.RNN(5, 8, 5, steps="all", rng=0)
        checked = batches.checked_symbols(model.config, "symbols", symbols, 1)
        assert np.shares_memory(checked, symbols)
        for window in batches.windows(checked, 8, 16):
            for part in (window.x, window.y):
                assert part.dtype == np.intp
                assert part.flags.c_contiguous
        same = model.evaluate_stream(symbols.astype(np.intp))
        assert model.evaluate_stream(symbols) == same
        assert model.evaluate_stream(np.repeat(symbols, 2)[::2]) == same

    def test_a_stream_in_windows_is_the_stream_in_one(self):
        model = crnn.RNN(5, 8, 5, steps="all", dtype="float64", rng=0)
        symbols = np.random.default_rng(0).integers(0, 5, 201)
        whole = model.evaluate(symbols[:-1, None], symbols[1:, None])
        assert model.evaluate_stream(symbols, batch_size=1) == pytest.approx(whole, rel=1e-13)


class TestStreamOfSymbols:
    def test_the_state_carries_and_the_gradient_stops_at_a_windows_edge(self):
        """Two windows of truncated BPTT, written out with the reference."""
        n, n_a, m, T, lr = 5, 6, 2, 4, 0.5
        symbols = np.random.default_rng(0).integers(0, n, 2 * T * m + 1)
        model = crnn.RNN(n, n_a, n, steps="all", dtype="float64", rng=0)
        Waa, Wax, ba, Wya, by = (p.copy() for p in model.parameters.values())
        a0, losses = np.zeros((m, n_a)), []
        for window in batches.windows(symbols, m, T):
            a = reference.rnn_forward(window.x, Waa, Wax, ba, a0)
            logits = reference.output_forward(a, Wya, by)
            losses.append(reference.cross_entropy(logits, window.y) / (T * m))
            dy = reference.cross_entropy_backward(logits, window.y) / (T * m)
            dWya, dby, da = reference.output_backward(dy, a, Wya)
            g = reference.rnn_backward(da, a, window.x, Waa, Wax, a0)
            for w, dw in zip((Waa, Wax, ba, Wya, by), (*g[:3], dWya, dby), strict=True):
                w -= lr * dw
            a0 = a[-1]
        rule = {"optimizer": crnn.SGD(lr), "progress": False}
        history = model.fit_stream(symbols, epochs=1, batch_size=m, steps=T, **rule)
        assert history.loss == pytest.approx([np.mean(losses)], rel=1e-12)
        for p, w in zip(model.parameters.values(), (Waa, Wax, ba, Wya, by), strict=True):
            np.testing.assert_allclose(p, w, rtol=0, atol=1e-14)

    def test_learns_a_cycle(self):
        symbols = np.tile([0, 1, 2, 1], 500)
        model = crnn.RNN(3, 16, 3, steps="all", rng=0)
        history = model.fit_stream(
            symbols[:1600], validation=symbols[1600:], epochs=5, batch_size=4, steps=16,
            optimizer=crnn.Adam(1e-2), clip_norm=1.0, patience=5, progress=False,
        )  # fmt: skip
        assert history.val_metric[-1] > 0.95

    @pytest.mark.parametrize("more", [(), (None,), (None, None), (None, None, None)])
    def test_held_out_symbols_in_a_tuple(self, more):
        symbols, found = np.random.default_rng(0).integers(0, 4, 300), []
        for held_out in (symbols[:99], (symbols[:99], *more)):
            model = crnn.RNN(4, 6, 4, steps="all", rng=0)
            history = model.fit_stream(symbols, validation=held_out, epochs=1, progress=False)
            found.append(history.val_loss)
        assert found[0] == found[1]

    @pytest.mark.parametrize(("n", "rows"), [(2, 1), (127, 1), (130, 2), (64 * 8, 8), (2000, 8)])
    def test_the_validation_loss_is_that_of_rows_of_64_steps(self, n, rows):
        """In shorter rows most symbols would be predicted from hardly any context."""
        symbols = np.random.default_rng(0).integers(0, 4, 600 + n)
        model = crnn.RNN(4, 6, 4, steps="all", rng=0)
        history = model.fit_stream(
            symbols[:600], validation=symbols[600:], epochs=1, batch_size=8, progress=False
        )
        means = history.val_loss[-1], history.val_metric[-1]
        assert means == model.evaluate_stream(symbols[600:], batch_size=rows)

    @pytest.mark.parametrize(
        ("options", "symbols", "message"),
        [
            ({"steps": "last"}, [0, 1, 2], "a stream of symbols needs a model with steps='all'"),
            ({"direction": "reverse"}, [0, 1, 2], "direction='forward'"),
            (
                {"loss": "mse"},
                [0, 1, 2],
                r"got steps='all', loss='mse', .* a series of numbers has",
            ),
            ({}, [0, 1, 9], "symbols: expected integers in 0..3, got 9"),
            ({}, [0, 1], "symbols: expected more than 2 symbols, got 2"),
            ({}, [[0, 1]], "symbols: expected more than 1 step, got 1"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, symbols, message):
        model = crnn.RNN(4, 2, 4, **{"steps": "all", "rng": 0, **options})
        with pytest.raises(ValueError, match=message):
            model.fit_stream(symbols, batch_size=2, progress=False)
