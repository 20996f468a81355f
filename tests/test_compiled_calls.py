"""Calls of compiled epochs are short, and end as the loop in Python does."""

import itertools
import signal
from datetime import timedelta

import numpy as np
import pytest
from compiled_runs import M, assert_same, both, examples

import crnn
from crnn._engine import steps
from crnn._training import compiled, train
from crnn._training.keeper import Keeper
from crnn.schedules import Cosine, Step


def test_calls_are_short(monkeypatch):
    """Python looks at Ctrl-C and the bar again after MOST_SECONDS, by the time of a step."""
    counts, clock = [], itertools.count()
    rates = compiled._rates

    def watched(optimizer, memory, count):
        counts.append(count)
        return rates(optimizer, memory, count)

    monkeypatch.setattr(compiled, "_rates", watched)
    monkeypatch.setattr(compiled.time, "perf_counter", lambda: next(clock) * 0.001)
    monkeypatch.setattr(compiled, "MOST_SECONDS", 0.004)
    x, y = examples()
    crnn.RNN(3, 5, 4, rng=0).fit(x, y, batch_size=2, epochs=1, progress=False, rng=0)
    assert counts == [1, 4, 6]  # 1 ms for the first step, and then 1 ms for four


def raise_before(monkeypatch, number, call):
    """Raise a signal just before the given compiled call; returns the counter of the calls."""
    calls, rates = itertools.count(1), compiled._rates

    def counted(*arguments):
        if next(calls) == call:
            signal.raise_signal(number)
        return rates(*arguments)

    monkeypatch.setattr(compiled, "_rates", counted)
    return calls


class TestDivergence:
    def fails(self, monkeypatch, optimizer, x, y, batch_size=2, scales=(1, 1), **options):
        """What both raise, and the parameters that remain."""
        found = []
        for find in (compiled.compiled, lambda trainer, data: None):
            monkeypatch.setattr(train, "compiled", find)
            model = crnn.RNN(3, 5, 4, activation="relu", rng=0)
            model.parameters["Wax"] *= np.float32(scales[0])
            model.parameters["Wya"] *= scales[1]
            given = {"batch_size": batch_size, "optimizer": optimizer, "progress": False, "rng": 0}
            with pytest.raises(crnn.DivergenceError) as caught:
                model.fit(x, y, **given, **options)
            found.append((str(caught.value), model._network.arena.flat.tobytes()))
        assert found[0] == found[1]
        return found[0][0]

    def test_a_loss(self, monkeypatch):
        x, y = examples()
        x[3, 17, 1] = np.nan
        assert "x: expected finite numbers, got nan" in self.fails(monkeypatch, crnn.SGD(0.1), x, y)

    def test_a_gradient(self, monkeypatch):
        x, y = examples()
        x[:, 6:14] = 3e36  # Wax is small, so the states are, but not what it is multiplied by
        error = self.fails(monkeypatch, crnn.SGD(1e-40), x, y, scales=(1e-35, 1e4))
        assert "the gradient is not finite" in error

    def test_an_update(self, monkeypatch):
        assert "the update is not finite" in self.fails(monkeypatch, crnn.SGD(1e300), *examples())

    def test_the_last_step(self, monkeypatch):
        """Checked by a forward pass over the last batch."""
        x, y = examples()
        error = self.fails(monkeypatch, crnn.SGD(1e30), x[:, :12], y[:12], 11, epochs=1)
        assert "at step 2: the loss is not finite" in error


@pytest.mark.parametrize("of", ["x", "y"])
def test_symbols_and_classes_that_change_meanwhile_are_refused(of):
    x, y = examples(symbols=True)

    def spoil(_):
        (x if of == "x" else y)[...] = 99

    model = crnn.RNN(3, 5, 4, rng=0)
    with pytest.raises((ValueError, RuntimeError), match="changed"):
        model.fit(x, y, batch_size=6, callback=spoil, progress=False, rng=0)
    assert np.isfinite(model._network.arena.flat).all()


def test_what_needs_python_at_each_step_has_it(monkeypatch):
    x, y = examples("all")
    found = []

    def watched(trainer, data):
        found.append(compiled.compiled(trainer, data))
        return found[-1]

    monkeypatch.setattr(train, "compiled", watched)
    fit_options = [
        {"penalty": crnn.Penalty(weights_l2=0.1)}, {"memory": "sqrt"},
        {"optimizer": crnn.SGD(lambda step: 0.1)}, {"batch_size": M}, {"shards": 2},
    ]  # fmt: skip
    for options in fit_options:
        model = crnn.RNN(3, 5, 4, steps="all", rng=0)
        model.fit(x, y, **{"batch_size": 6, "epochs": 1, "progress": False, **options})
        assert found.pop() is None, options


def test_the_bar_counts_examples(capsys):
    x, y = examples()
    crnn.RNN(3, 5, 4, rng=0).fit(x, y, batch_size=6, epochs=2, rng=0)
    assert "44.0/44.0" in capsys.readouterr().err


class TestCheckpoints:
    """A file is written at the same steps, and a training that continues has the same bits."""

    @pytest.mark.parametrize("every", ["epoch", 1, 3, 5])
    @pytest.mark.parametrize("inspect", [False, True])
    def test_the_steps_at_which_a_file_is_written(self, monkeypatch, tmp_path, every, inspect):
        written = []
        write = Keeper.write

        def noted(keeper):
            written.append(keeper._stand())
            write(keeper)

        monkeypatch.setattr(Keeper, "write", noted)
        options = {"optimizer": crnn.Adam(Cosine(0.1)), "every": every, "inspect": inspect}
        paths = iter([tmp_path / "compiled", tmp_path / "python"])
        fit = crnn.RNN.fit
        monkeypatch.setattr(
            crnn.RNN, "fit", lambda *args, **given: fit(*args, **given, checkpoint=next(paths))
        )
        assert_same(*both(monkeypatch, {}, options, *examples()))
        assert written[: len(written) // 2] == written[len(written) // 2 :]
        one, other = (crnn.load(tmp_path / name) for name in ("compiled", "python"))
        for name, p in one.parameters.items():
            assert p.tobytes() == other.parameters[name].tobytes()

    @pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals")
    @pytest.mark.parametrize("call", range(1, 13))
    @pytest.mark.parametrize("every", ["epoch", 3, timedelta(microseconds=1)])
    def test_ctrl_c_at_any_step(self, monkeypatch, tmp_path, call, every):
        x, y = examples()
        monkeypatch.setattr(compiled, "MOST_SECONDS", 1e-9)  # a step in each call
        options = {"batch_size": 6, "epochs": 3, "progress": False, "rng": 0}
        whole = crnn.RNN(3, 5, 4, rng=0)
        whole.fit(x, y, **options)
        calls = raise_before(monkeypatch, signal.SIGINT, call)
        path = tmp_path / "c.safetensors"
        options |= {"checkpoint": path, "every": every}
        assert crnn.RNN(3, 5, 4, rng=0).fit(x, y, **options).interrupted
        model = crnn.RNN(3, 5, 4, rng=1)  # its parameters do not matter
        model.fit(x, y, **options)
        assert next(calls) == 12 + 1  # no step was repeated
        assert model._network.arena.flat.tobytes() == whole._network.arena.flat.tobytes()

    @pytest.mark.skipif(not hasattr(signal, "SIGTERM"), reason="no signals")
    def test_sigterm_waits_for_the_file(self, monkeypatch, tmp_path):
        x, y = examples()
        monkeypatch.setattr(compiled, "MOST_SECONDS", 1e-9)  # a step in each call
        options = {"batch_size": 6, "epochs": 3, "progress": False, "rng": 0}
        whole = crnn.RNN(3, 5, 4, rng=0)
        whole.fit(x, y, **options)

        def leave(*_):
            raise SystemExit

        calls = raise_before(monkeypatch, signal.SIGTERM, 6)
        options["checkpoint"] = tmp_path / "c.safetensors"
        before = signal.signal(signal.SIGTERM, leave)
        try:
            with pytest.raises(SystemExit):
                crnn.RNN(3, 5, 4, rng=0).fit(x, y, **options)
        finally:
            signal.signal(signal.SIGTERM, before)
        assert next(calls) == 6 + 1  # at once
        model = crnn.RNN(3, 5, 4, rng=1)
        model.fit(x, y, **options)
        assert next(calls) == 12 + 1 + 1  # no step was repeated
        assert model._network.arena.flat.tobytes() == whole._network.arena.flat.tobytes()


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals")
def test_ctrl_c_ends_after_the_steps_of_a_call(monkeypatch):
    """At once, even if it comes before the first step of an epoch, of which one is done."""
    x, y = examples()
    monkeypatch.setattr(compiled, "MOST_SECONDS", 1e-9)  # a step in each call
    seen = []
    rates = compiled._rates

    def pressed(optimizer, memory, count):
        seen.append(count)
        if len(seen) == 4 + 2:
            signal.raise_signal(signal.SIGINT)
        return rates(optimizer, memory, count)

    monkeypatch.setattr(compiled, "_rates", pressed)
    model = crnn.RNN(3, 5, 4, rng=0)
    history = model.fit(x, y, batch_size=6, epochs=3, progress=False, rng=0)
    assert history.interrupted
    assert (seen, len(history.loss)) == ([1] * 6, 2)
    assert model._memory[1]["step"] == 6


def test_the_optimizer_counts_its_steps_even_if_ctrl_c_raises(monkeypatch):
    """Parameters ahead of the number of steps would get the bias correction of an earlier one."""
    x, y = examples()

    class Pressed(steps.Steps):
        def run(self, *arguments):
            super().run(*arguments)
            raise KeyboardInterrupt  # as a second Ctrl-C does as soon as the call is over

    monkeypatch.setattr(compiled, "MOST_SECONDS", 1e-9)  # a step in each call
    monkeypatch.setattr(steps, "Steps", Pressed)
    model, adam = crnn.RNN(3, 5, 4, rng=0), crnn.Adam(Step(0.01, every=1, factor=0.5))
    for done in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt):
            model.fit(x, y, batch_size=6, epochs=1, optimizer=adam, progress=False, rng=0)
        memory = model._memory[1]
        assert (memory["step"], memory["lr"]) == (done, 0.01 * 0.5 ** (done - 1))
