"""Epochs in compiled code have the bits of the loop in Python, and end as it does."""

import itertools
import signal
from datetime import timedelta

import numpy as np
import pytest

import crnn
from crnn._engine import steps
from crnn._training import compiled, train
from crnn._training.keeper import Keeper
from crnn.schedules import Cosine, OnPlateau, Step, Warmup

M, T = 22, 7


def examples(steps="last", symbols=False, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (T, M)) if symbols else rng.standard_normal((T, M, 3)).astype(dtype)
    return x, rng.integers(0, 4, (T, M) if steps == "all" else M)


def both(monkeypatch, model_options, fit_options, x, y):
    """The model, History and optimizer's memory after compiled epochs, and those in Python."""
    results = []
    for in_python in (False, True):
        used = []

        def watched(trainer, data, in_python=in_python, used=used):
            used.append(None if in_python else compiled.compiled(trainer, data))
            return used[0]

        monkeypatch.setattr(train, "compiled", watched)
        model = crnn.RNN(3, 5, **{"n_y": 4, **model_options}, rng=0)
        options = {"batch_size": 6, "epochs": 3, "progress": False, "rng": 0, **fit_options}
        history = model.fit(x, y, **options)
        assert (used[0] is None) == in_python
        results.append((model, history, model._memory[1]))
    return results


def assert_same(one, other):
    for name, p in one[0].parameters.items():
        assert p.tobytes() == other[0].parameters[name].tobytes(), name
    for name in ("loss", "metric", "gradient_norm", "learning_rate", "val_loss", "best_epoch",
                 "rate", "reach", "saturated"):  # fmt: skip
        assert getattr(one[1], name) == getattr(other[1], name), name
    assert one[2].keys() == other[2].keys()
    for name, value in one[2].items():
        np.testing.assert_array_equal(value, other[2][name], err_msg=name)


CELLS = [
    {},
    {"activation": "relu", "num_layers": 2},
    {"cell": "leaky", "leak": 0.3, "num_layers": 2},
    {"cell": "gru", "num_layers": 3},
    {"cell": "lstm", "num_layers": 2},
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
@pytest.mark.parametrize("steps", ["last", "all", "mean", "max", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models(monkeypatch, cell, steps, direction, symbols, dtype):
    options = {**cell, "steps": steps, "direction": direction, "dtype": dtype}
    data = examples(steps, symbols, dtype)
    assert_same(*both(monkeypatch, options, {"optimizer": crnn.Adam(0.01)}, *data))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
@pytest.mark.parametrize("steps", ["last", "all", "mean", "max", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("symbols", [False, True])
def test_unequal_lengths(monkeypatch, cell, steps, direction, listed, symbols):
    x, y = examples(steps, symbols)
    lengths = np.random.default_rng(1).integers(1, T + 1, M)
    more = {"lengths": lengths}
    if listed:
        x, more = [x[:n, i] for i, n in enumerate(lengths)], {}
        y = [y[:n, i] for i, n in enumerate(lengths)] if steps == "all" else y
    elif symbols:
        x[T - 1, lengths < T] = 99  # not read
    options = {**cell, "steps": steps, "direction": direction}
    more |= {"optimizer": crnn.Adam(0.01), "batch_size": 3}
    assert_same(*both(monkeypatch, options, more, x, y))


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("inspect", [False, True])
def test_unequal_lengths_with_weights(monkeypatch, steps, equal, inspect):
    x, y = examples(steps)
    rng = np.random.default_rng(1)
    lengths = np.full(M, 4) if equal else rng.integers(1, T + 1, M)
    more = {"lengths": lengths, "sample_weight": rng.random(M), "inspect": inspect}
    assert_same(*both(monkeypatch, {"steps": steps}, more, x, y))


#: Losses, n_y, and the numbers of a target.
LOSSES = [
    ("mse", 3, 3), ("mae", 1, 1), ("huber", 2, 2), (crnn.Huber(0.3), 1, 1), ("quantiles", 6, 2),
    (crnn.Quantiles((0.2, 0.8)), 2, 1), ("gaussian_nll", 4, 2), ("binary_cross_entropy", 1, 0),
    ("binary_cross_entropy", 3, 3),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "n_y", "s"), LOSSES)
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(monkeypatch, loss, n_y, s, steps, dtype, weighted):
    x, y = examples(steps, dtype=dtype)
    rng = np.random.default_rng(1)
    shape = (*y.shape, s) if s else y.shape
    y = rng.integers(0, 2, shape) if loss == "binary_cross_entropy" else rng.normal(size=shape)
    options = {"loss": loss, "n_y": n_y, "steps": steps, "dtype": dtype}
    more = {"sample_weight": rng.random(M)} if weighted else {}
    assert_same(*both(monkeypatch, options, {"optimizer": crnn.Adam(0.01), **more}, x, y))


@pytest.mark.parametrize(
    "optimizer",
    [
        crnn.SGD(0.1), crnn.SGD(0.1, 0.9, 0.1), crnn.AdamW(0.01), crnn.RMSprop(0.01),
        crnn.RMSprop(0.01, momentum=0.5, weight_decay=0.1), crnn.Adam(Cosine(0.1)),
        crnn.SGD(Warmup(5, OnPlateau(0.1, patience=0))),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "more",
    [
        {}, {"clip_norm": 0.1, "sample_weight": np.arange(M) + 0.5}, {"clip_value": 0.01},
        {"clip_value": 0.02, "clip_norm": 0.1},
    ],
)  # fmt: skip
def test_optimizers(monkeypatch, optimizer, more):
    assert_same(*both(monkeypatch, {}, {"optimizer": optimizer, **more}, *examples()))


@pytest.mark.parametrize("steps", ["last", "all"])
def test_weights_and_validation_and_patience(monkeypatch, steps):
    x, y = examples(steps)
    options = {"class_weight": "balanced", "validation": (x, y), "patience": 2, "epochs": 6}
    assert_same(*both(monkeypatch, {"steps": steps}, options, x, y))


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize(
    "drawn",
    [{**CELLS[4], "dropout": 0.4}, {**CELLS[2], "noise": 0.1},
     {**CELLS[2], "noise": 0.1, "dropout": 0.4}],
)  # fmt: skip
def test_noise_and_dropout(monkeypatch, direction, unequal, drawn):
    x, y = examples()
    options = {**drawn, "num_layers": 3, "direction": direction}
    lengths = {"lengths": np.arange(M) % T + 1} if unequal else {}
    fit, used = crnn.RNN.fit, []

    def with_generator(model, x, y, **given):
        used.append(np.random.default_rng(5))
        return fit(model, x, y, **{**given, "rng": used[-1]})

    monkeypatch.setattr(crnn.RNN, "fit", with_generator)
    assert_same(*both(monkeypatch, options, lengths, x, y))
    assert used[0].bit_generator.state == used[1].bit_generator.state
    x[...] = np.nan  # both draw the seeds of the steps before the error, and that of its own
    with pytest.raises(crnn.DivergenceError):
        both(monkeypatch, options, lengths, x, y)
    monkeypatch.setattr(train, "compiled", lambda trainer, data: None)
    model = crnn.RNN(3, 5, 4, **options, rng=0)
    with pytest.raises(crnn.DivergenceError):
        model.fit(x, y, batch_size=6, progress=False, **lengths)
    assert used[2].bit_generator.state == used[3].bit_generator.state


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
def test_the_first_batch_of_an_epoch_is_inspected(monkeypatch, cell):
    options = {"inspect": True, "epochs": 2, "optimizer": crnn.Adam(0.01)}
    assert_same(*both(monkeypatch, cell, options, *examples()))


def test_a_second_call_continues(monkeypatch):
    x, y = examples()
    adam, models = crnn.Adam(0.01), []
    for find in (compiled.compiled, lambda trainer, data: None):
        monkeypatch.setattr(train, "compiled", find)
        models.append(crnn.RNN(3, 5, 4, rng=0))
        for _ in range(2):
            models[-1].fit(x, y, batch_size=5, epochs=2, optimizer=adam, progress=False, rng=0)
    assert_same(*((model, crnn.History(""), model._memory[1]) for model in models))


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
        {"accumulate": 2},
        {"optimizer": crnn.SGD(lambda step: 0.1)}, {"batch_size": M},
        {"a0": [np.zeros((M, 5), "f4")]},
    ]  # fmt: skip
    model_options = [
        {"masks": {"Waa": np.eye(5)}},
        {"initial_state": "trained"},
        {"cell": "leaky", "leak": 0.5, "equation": "current"},
    ]  # fmt: skip
    cases = [({}, options) for options in fit_options] + [(o, {}) for o in model_options]
    for made, options in cases:
        model = crnn.RNN(3, 5, 4, steps="all", **made, rng=0)
        model.fit(x, y, **{"batch_size": 6, "epochs": 1, "progress": False, **options})
        assert found.pop() is None, (made, options)


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
        calls, rates = itertools.count(1), compiled._rates

        def pressed(*arguments):
            if next(calls) == call:
                signal.raise_signal(signal.SIGINT)
            return rates(*arguments)

        monkeypatch.setattr(compiled, "_rates", pressed)
        path = tmp_path / "c.safetensors"
        options |= {"checkpoint": path, "every": every}
        assert crnn.RNN(3, 5, 4, rng=0).fit(x, y, **options).interrupted
        model = crnn.RNN(3, 5, 4, rng=1)  # its parameters do not matter
        model.fit(x, y, **options)
        assert next(calls) == 12 + 1  # no step was repeated
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
