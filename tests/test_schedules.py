"""Schedules of the learning rate: their curves, their place in training, and what they remember."""

import argparse
import math
from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn._training import rule
from crnn.cli.optimizer import optimizer
from crnn.schedules import Constant, Cosine, Linear, OnPlateau, Step, Warmup


def examples(m=16, T=4):
    rng = np.random.default_rng(0)
    return rng.standard_normal((T, m, 2)), rng.integers(0, 2, m)


def curve(lr, steps, known=True):
    """The rates of the steps of one call of `fit`."""
    sgd, w = crnn.SGD(lr), np.zeros(1)
    memory = sgd.start(w)
    rule.begin(sgd, memory, steps if known else None)
    rates = []
    for _ in range(steps):
        sgd.step(w, np.ones(1), memory)
        rates.append(memory["lr"])
    assert w[0] == pytest.approx(-sum(rates))  # these rates are those that the steps had
    return rates


@pytest.mark.parametrize(
    ("lr", "expected"),
    [
        (0.5, [0.5] * 6),
        (Constant(0.5), [0.5] * 6),
        (lambda step: 1 / (1 + step), [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]),
        (Linear(0.6), [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        (Linear(0.6, steps=3, final=0.3), [0.6, 0.5, 0.4, 0.3, 0.3, 0.3]),
        (Cosine(1.0), [(1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)]),
        (Cosine(1.0, steps=2, final=0.5), [1, 0.75, 0.5, 0.5, 0.5, 0.5]),
        (Step(1.0, every=2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (Warmup(3, 0.4), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]),
        (Warmup(2, Linear(0.6)), [0.2, 0.4, 0.6, 0.45, 0.3, 0.15]),
        (Warmup(2, Step(0.6, every=2, factor=0.5)), [0.2, 0.4, 0.6, 0.6, 0.3, 0.3]),
        (Warmup(1, lambda step: 1.0 + step), [0.5, 1, 2, 3, 4, 5]),
        (Warmup(9, Cosine(1.0)), [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
    ],
)
def test_curves(lr, expected):
    np.testing.assert_allclose(curve(lr, 6), expected, rtol=1e-14, atol=1e-16)


def test_the_history_has_the_last_rate_of_each_epoch():
    x, y = examples()
    options = {"epochs": 3, "batch_size": 4, "progress": False, "rng": 0}
    for lr, expected in (
        (0.1, [0.1] * 3),
        (lambda step: 0.1 / (1 + step), [0.1 / 4, 0.1 / 8, 0.1 / 12]),
        (Linear(0.12), [0.09, 0.05, 0.01]),
    ):
        history = crnn.RNN(2, 3, 2, rng=0).fit(x, y, optimizer=crnn.Adam(lr), **options)
        np.testing.assert_allclose(history.learning_rate, expected, rtol=1e-14)


def test_a_second_call_continues_the_steps_and_falls_again():
    x, y = examples()
    options = {"epochs": 1, "batch_size": 4, "progress": False, "rng": 0}
    for lr, expected in (
        (Step(0.1, every=4, factor=0.5), [0.1, 0.05]),
        (Linear(0.1), [0.025, 0.025]),
        (Warmup(4, 0.1), [0.08, 0.1]),
    ):
        model, sgd = crnn.RNN(2, 3, 2, rng=0), crnn.SGD(lr)
        rates = [model.fit(x, y, optimizer=sgd, **options).learning_rate[0] for _ in range(2)]
        np.testing.assert_allclose(rates, expected, rtol=1e-14)


def test_the_windows_of_a_stream_are_counted():
    model = crnn.RNN(3, 4, 3, steps="all", rng=0)
    symbols = np.arange(100) % 3  # 2 rows of 49 steps: 7 windows of at most 8
    history = model.fit_stream(
        symbols, epochs=2, batch_size=2, steps=8, optimizer=crnn.SGD(Linear(0.14)), progress=False
    )
    np.testing.assert_allclose(history.learning_rate, [0.08, 0.01], rtol=1e-12)


def test_on_plateau_by_hand():
    sgd = crnn.SGD(OnPlateau(0.8, factor=0.5, patience=1, threshold=0.1, final=0.3))
    memory, rates = sgd.start(np.zeros(1)), []
    #         best, not by a tenth, twice: halved, best, no, no: at its least
    for loss in (1.0, 0.95, 0.93, 0.5, 0.6, 0.6):
        sgd.step(np.zeros(1), np.zeros(1), memory)
        rates.append(memory["lr"])
        rule.end_epoch(sgd, memory, loss)
    sgd.step(np.zeros(1), np.zeros(1), memory)
    assert [*rates, memory["lr"]] == [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.3]


def test_on_plateau_of_a_negative_loss():
    sgd = crnn.SGD(OnPlateau(0.8, factor=0.5, patience=0))
    memory = sgd.start(np.zeros(1))
    for loss in (-1.0, -2.0, -3.0):
        rule.end_epoch(sgd, memory, loss)
    assert memory["plateau factor"] == 1


@pytest.mark.parametrize("held_out", [False, True])
def test_on_plateau_watches_the_validation_loss_if_there_is_one(held_out):
    """A step this small changes no loss by a tenth, so the rate falls with each epoch."""
    x, y = examples()
    model, sgd = crnn.RNN(2, 3, 2, rng=0), crnn.SGD(OnPlateau(1e-6, 0.5, 0, threshold=0.1))
    validation = examples(8) if held_out else None
    options = {"epochs": 4, "optimizer": sgd, "progress": False, "rng": 0}
    history = model.fit(x, y, validation=validation, **options)
    np.testing.assert_allclose(history.learning_rate, [1e-6, 1e-6, 0.5e-6, 0.25e-6])
    lowest = min(history.val_loss if held_out else history.loss)
    assert model._memory[1]["plateau lowest"] == pytest.approx(lowest, rel=1e-4)


def test_what_changes_is_in_the_optimizers_memory_in_values_that_can_be_saved():
    adam = crnn.AdamW(Warmup(2, OnPlateau(0.1)))
    memory = adam.start(np.zeros(3))
    rule.begin(adam, memory, 5)
    adam.step(np.zeros(3), np.zeros(3), memory)
    rule.end_epoch(adam, memory, 1.0)
    for name, value in memory.items():
        assert isinstance(name, str)
        assert value is None or type(value) in (bool, int, float, str, np.ndarray), name


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Constant(0), "lr: expected a finite number > 0"),
            (lambda: Linear(0.1, steps=0), "steps: expected a whole number >= 1"),
            (lambda: Cosine(0.1, final=-1), "final: expected a finite number >= 0"),
            (lambda: Step(0.1, every=0), "every: expected"),
            (lambda: Step(0.1, every=3, factor=1), "factor: expected a finite number > 0 and < 1"),
            (lambda: OnPlateau(0.1, patience=-1), "patience: expected"),
            (lambda: OnPlateau(0.1, final=0.5), "final: expected a number <= lr = 0.1, got 0.5"),
            (lambda: Warmup(0, 0.1), "steps: expected a whole number >= 1"),
            (lambda: Warmup(3, 0), "then: expected a finite number > 0"),
        ],
    )
    def test_numbers_out_of_range(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    @pytest.mark.parametrize("wrong", ["fast", None, Cosine, [0.1]])
    def test_what_is_no_rate(self, wrong):
        with pytest.raises(TypeError, match="lr: expected a number, got"):
            crnn.SGD(wrong)

    def test_an_end_that_is_not_known(self):
        message = "lr: expected a schedule with its number of steps"
        for lr in (Cosine(0.1), Warmup(2, Linear(0.1))):
            with pytest.raises(ValueError, match=message):
                curve(lr, 3, known=False)
        assert curve(Cosine(0.1, steps=10), 1, known=False) == [0.1]

    @pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
    def test_a_rate_that_a_callable_returns(self, wrong):
        x, y = examples()
        model = crnn.RNN(2, 3, 2, rng=0)
        options = {"epochs": 1, "batch_size": 4, "progress": False, "rng": 0}
        sgd = crnn.SGD(lambda step: 0.1 if step < 2 else wrong)
        with pytest.raises(ValueError, match=r"lr: expected .* from the schedule at step 2"):
            model.fit(x, y, optimizer=sgd, **options)
        assert all(np.isfinite(p).all() for p in model.parameters.values())


@pytest.mark.parametrize(
    ("schedule", "step_epochs", "rates"),
    [
        ("plateau", None, OnPlateau(0.1, 0.5, patience=0)),
        ("step", 2, Step(0.1, every=20, factor=0.5)),
    ],
)
def test_the_command_counts_schedules_in_epochs(schedule, step_epochs, rates):
    options = argparse.Namespace(
        optimizer="sgd", lr=0.1, schedule=schedule, step_epochs=step_epochs, warmup=3,
        momentum=None, weight_decay=None,
    )  # fmt: skip
    assert optimizer(options, windows=10) == crnn.SGD(Warmup(3, rates))


def test_the_page_runs():
    pages.run_python(Path(__file__).parent.parent / "docs" / "learning.md")
