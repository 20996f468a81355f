"""The benchmark tasks: their examples, what solves them, training on them and the command."""

import math
import signal
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn import cli, tasks
from crnn.tasks import Adding, CopyMemory, DelayedXOR, Digits, TemporalOrder, digits

GENERATED = [Adding, CopyMemory, TemporalOrder, DelayedXOR]
EVERY = [*(kind(30) for kind in GENERATED), Digits(), Digits(permuted=True)]


@pytest.mark.parametrize("task", EVERY, ids=str)
class TestEveryTask:
    def test_a_seed_draws_the_same_examples(self, task):
        first, again, other = (task.draw(20, rng=seed) for seed in (0, 0, 1))
        for k in range(2):
            np.testing.assert_array_equal(first[k], again[k])
            assert (first[k] != other[k]).any()

    def test_held_out_examples_are_fixed_and_not_those_to_learn_from(self, task):
        x, _ = task.held_out(20)
        np.testing.assert_array_equal(x, task.held_out(20)[0])
        learned = task.draw(20, rng=0)[0]
        same = (x[:, :, None] == learned[:, None]).reshape(len(x), 20, 20, -1).all(axis=(0, 3))
        assert not same.any()

    def test_a_model_of_the_task_learns_from_its_examples(self, task):
        model = task.model(4, rng=0)
        x, y = task.draw(8, rng=0)
        assert x.shape[:2] == ((task.T + 20 if task.name == "copy" else task.T), 8)
        history = model.fit(x, y, epochs=1, progress=False, rng=0)
        assert task.score(model, (x, y)) == task.chosen(*model.evaluate(x, y))
        assert len(history.loss) == 1

    def test_no_memory_does_not_solve_it(self, task):
        assert not task.solved(task.baseline)
        best = 0 if task.measure == "loss" else 1
        assert task.solved(best)
        assert task.solved(task.solved_at)


class TestExamples:
    def test_adding(self):
        x, y = Adding(25).draw(4000, rng=0)
        value, mark = x[..., 0], x[..., 1]
        assert (mark.sum(axis=0) == 2).all()
        assert set(np.unique(mark)) == {0, 1}
        np.testing.assert_allclose(y[:, 0], (value * mark).sum(axis=0))
        assert 0 <= value.min() < 0.001 < 0.999 < value.max() < 1
        # Every step is marked equally often: 2/25 of the examples, give or take 4 deviations.
        assert np.abs(mark.mean(axis=1) - 0.08).max() < 4 * math.sqrt(0.08 * 0.92 / 4000)

    def test_the_baseline_of_adding_is_that_of_the_best_constant(self):
        task = Adding(25)
        _, y = task.draw(20_000, rng=0)
        assert np.mean((y - 1) ** 2) == pytest.approx(task.baseline, rel=0.03)

    def test_xor(self):
        x, y = DelayedXOR(40).draw(2000, rng=0)
        bit, mark = x[..., 0], x[..., 1]
        first, second = np.sort(np.nonzero(mark.T)[1].reshape(-1, 2)).T
        assert set(first) == {0, 1, 2, 3}
        assert set(second) == set(range(4, 20))
        each = np.arange(2000)
        np.testing.assert_array_equal(y, bit[first, each] != bit[second, each])
        assert np.mean(y) == pytest.approx(0.5, abs=0.05)

    def test_copy(self):
        x, y = CopyMemory(7).draw(2000, rng=0)
        assert x.shape == y.shape == (27, 2000)
        np.testing.assert_array_equal(x[:10], y[17:])
        assert set(np.unique(x[:10])) == set(range(1, 9))
        assert (x[10:16] == 0).all()
        assert (x[16] == 9).all()
        assert (x[17:] == 0).all()
        assert (y[:17] == 0).all()

    def test_the_baseline_of_copy_is_the_entropy_of_what_cannot_be_remembered(self):
        """By the cross entropy of a model whose logits depend on the number of steps only."""
        task = CopyMemory(7)
        _, y = task.draw(2000, rng=0)
        probability = np.where(np.arange(27) < 17, 1.0, 1 / 8)[:, None]  # of the symbol that comes
        assert np.mean(-np.log(probability) * np.ones(y.shape)) == pytest.approx(task.baseline)

    def test_order(self):
        x, y = TemporalOrder(50).draw(2000, rng=0)
        special = x < 2
        assert (special.sum(axis=0) == 2).all()
        first, second = np.nonzero(special.T)[1].reshape(-1, 2).T
        assert (first.min(), first.max()) == (5, 10)
        assert (second.min(), second.max()) == (20, 25)
        each = np.arange(2000)
        np.testing.assert_array_equal(y, 2 * x[first, each] + x[second, each])
        assert set(np.unique(x)) == set(range(6))

    def test_digits(self):
        x, y = Digits().draw(1347, rng=0)
        assert x.shape == (64, 1347, 1)
        assert 0 <= x.min() < x.max() <= 1
        assert np.bincount(y).min() > 120
        held_x, held_y = Digits().held_out()
        assert held_x.shape == (64, 450, 1)
        np.testing.assert_array_equal(held_y, Digits(permuted=True).held_out()[1])

    def test_permuted_digits_have_the_same_pixels_in_one_other_order(self):
        plain, permuted = Digits().held_out()[0], Digits(permuted=True).held_out()[0]
        order = Digits(permuted=True)._order()
        np.testing.assert_array_equal(permuted, plain[order])
        assert sorted(order) == list(range(64))
        assert (order != np.arange(64)).mean() > 0.9


def interrupted_at(monkeypatch, step):
    """Press Ctrl-C during this step of Adam."""
    real, done = crnn.Adam.step, []

    def step_and_interrupt(*arguments):
        done.append(1)
        if len(done) == step:
            signal.raise_signal(signal.SIGINT)
        real(*arguments)

    monkeypatch.setattr(crnn.Adam, "step", step_and_interrupt)
    monkeypatch.setattr("crnn._training.train.compiled", lambda *_: None)  # steps in Python


def small(**options):
    given = {"optimizer": crnn.Adam(1e-2), "progress": False, "rng": 0, "every": 20, **options}
    task = DelayedXOR(8)
    model = task.model(12, rng=0)
    return model, tasks.train(model, task, **given)


class TestTraining:
    def test_it_ends_when_solved_and_is_tested_on_other_examples(self):
        model, result = small()
        assert result.solved
        assert result.score == DelayedXOR(8).score(model) >= 0.99
        assert result.updates == result.curve[-1].updates < 10_000
        assert result.curve[-1].score >= 0.99
        assert result.curve[-2].score >= 0.99
        pairs = pairwise(result.curve[:-1])
        assert not any(p.score > 0.992 and q.score > 0.992 for p, q in pairs)
        assert [p.updates for p in result.curve] == list(range(20, result.updates + 1, 20))

    def test_one_lucky_check_does_not_end_it(self, monkeypatch):
        scores = iter([0.5, 1.0, 0.9, 1.0, 1.0, 0.3])
        monkeypatch.setattr(DelayedXOR, "score", lambda *_: next(scores))
        _, result = small()
        assert [point.score for point in result.curve] == [0.5, 1.0, 0.9, 1.0, 1.0]
        assert not result.solved  # by the held-out examples

    def test_it_equals_fit_on_the_same_examples(self):
        mine, result = small(updates=50, batch_size=4)
        task, rng, adam = DelayedXOR(8), np.random.default_rng(0), crnn.Adam(1e-2)
        model = task.model(12, rng=0)
        task.draw(400, rng)  # to check whether it is solved
        for updates in (20, 20, 10):
            x, y = task.draw(4 * updates, rng)
            model.fit(x, y, epochs=1, batch_size=4, optimizer=adam, clip_norm=1.0, progress=False,
                      rng=rng)  # fmt: skip
        assert result.updates == 50
        for name, value in model.parameters.items():
            np.testing.assert_array_equal(mine.parameters[name], value)

    def test_a_curriculum_goes_on_when_a_length_is_solved(self):
        _, result = small(curriculum=[4, 6])
        lengths = [point.T for point in result.curve]
        assert lengths == sorted(lengths)
        assert set(lengths) == {4, 6, 8}
        assert result.solved
        assert result.task.T == 8

    def test_a_length_of_the_curriculum_that_is_not_solved_is_the_last(self):
        _, result = small(curriculum=[40], updates=40)
        assert {point.T for point in result.curve} == {40}
        assert not result.solved
        assert result.updates == 40

    def test_seconds_end_training(self):
        _, result = small(seconds=1e-9)
        assert (result.updates, result.curve, result.solved) == (0, [], False)

    def test_divergence_is_told(self):
        _, result = small(optimizer=crnn.SGD(1e38))
        assert result.diverged
        assert not result.solved
        assert 0 < result.updates - result.curve[-1].updates < 20  # those of the last part count
        assert result.seconds >= result.curve[-1].seconds

    def test_digits_are_not_stopped_by_held_out_examples(self):
        task = Digits()
        model = task.model(4, rng=0)
        result = tasks.train(model, task, updates=3, every=2, progress=False, rng=0)
        assert [point.updates for point in result.curve] == [2, 3]
        assert result.score == result.curve[-1].score == task.score(model)

    def test_ctrl_c_ends_training_after_the_step(self, monkeypatch):
        interrupted_at(monkeypatch, 25)
        _, result = small()
        assert result.interrupted
        assert len(result.curve) == 2  # in the second round of 20 updates

    def test_ctrl_c_while_examples_are_drawn_keeps_what_was_learned(self, monkeypatch):
        real, drawn = DelayedXOR._draw, []

        def draw_and_interrupt(*arguments):
            drawn.append(1)
            if len(drawn) == 3:  # the examples to check with, to learn from twice
                signal.raise_signal(signal.SIGINT)
            return real(*arguments)

        monkeypatch.setattr(DelayedXOR, "_draw", draw_and_interrupt)
        _, result = small()
        assert result.interrupted
        assert result.updates == 20
        assert np.isfinite(result.score)

    def test_the_bar_shows_length_and_score(self, capsys):
        small(updates=40, progress=True)
        bar = capsys.readouterr().err
        assert "xor, T = 8" in bar
        assert "accuracy=" in bar

    @pytest.mark.parametrize("kind", [*tasks.KINDS, "vanilla"])
    @pytest.mark.parametrize("task", [Adding(12), CopyMemory(2), DelayedXOR(12)], ids=str)
    def test_every_recipe_trains(self, task, kind):
        recipe = tasks.recipe(task, kind)
        model = recipe.model(task, 6, rng=0)
        result = recipe.train(model, task, updates=4, progress=False, rng=0)
        assert result.updates == 4
        assert np.isfinite(result.score)

    @pytest.mark.parametrize("name", ["xor", "order"])
    def test_recipes_of_some_tasks_begin_with_the_shorter_of_their_lengths(self, name, monkeypatch):
        monkeypatch.setattr(tasks.TASKS[name], "score", lambda *_: 1.0)  # two checks a length
        task = tasks.TASKS[name](40)
        recipe = tasks.recipe(task, "gru")
        result = recipe.train(recipe.model(task, 4, rng=0), task, every=1, progress=False, rng=0)
        assert [point.T for point in result.curve] == [10, 10, 20, 20, 30, 30, 40, 40]
        alone = recipe.train(
            recipe.model(task, 4, rng=0), task, every=1, curriculum=[], progress=False, rng=0
        )
        assert [point.T for point in alone.curve] == [40, 40]

    def test_relu_learns_digits(self):
        """With the settings for adding it diverged, to an accuracy of 0.10."""
        task = Digits()
        recipe = tasks.recipe(task, "relu identity")
        model = recipe.model(task, rng=0)
        assert recipe.train(model, task, updates=700, progress=False, rng=0).score > 0.3

    def test_a_plot_shows_every_stage(self, tmp_path):
        pytest.importorskip("matplotlib")
        _, result = small(curriculum=[4])
        figure = result.plot(tmp_path / "curve.png")
        labels = figure.axes[0].get_legend_handles_labels()[1]
        assert labels[:2] == ["during training, T = 4", "during training, T = 8"]
        assert figure.axes[0].lines[0].get_marker() == "."  # a stage of one check is seen
        assert (tmp_path / "curve.png").stat().st_size > 1000

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda: Adding(1), ValueError, "T: expected a whole number >= 2, got 1"),
            (lambda: Adding(2.0), TypeError, "T: expected a whole number, got 2.0"),
            (lambda: Digits(65), ValueError, "T: expected 64"),
            (lambda: Digits(permuted=1), TypeError, "permuted: expected True or False"),
            (lambda: Adding(9).draw(0), ValueError, "m: expected a whole number >= 1"),
            (lambda: Adding(9).draw(1, rng="x"), TypeError, "rng: expected None, a seed"),
            (lambda: small(updates=0), ValueError, "updates: expected a whole number >= 1"),
            (lambda: small(seconds=0), ValueError, "seconds: expected a finite number > 0"),
            (lambda: small(curriculum=[0]), ValueError, "curriculum: expected a whole number >= 4"),
            (lambda: small(curriculum=5), TypeError, "curriculum: expected lengths, got 5"),
            (
                lambda: tasks.train(None, Adding(9)),
                TypeError,
                "model: expected a crnn.RNN, got None",
            ),
            (lambda: tasks.train(None, "adding"), TypeError, "task: expected a task such as"),
            (
                lambda: tasks.train(Adding(9).model(4), DelayedXOR(8)),
                ValueError,
                "model: expected n_y=2 for the task xor, got 1",
            ),
            (lambda: tasks.recipe("adding", "gru"), TypeError, "task: expected a task such as"),
            (lambda: tasks.recipe(Adding(9), "transformer"), ValueError, "kind: expected one of"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, make, error, message):
        with pytest.raises(error, match=message):
            make()


@pytest.mark.parametrize("page", ["tasks", "long_range"])
def test_the_pages_run(page):
    pages.run_python(Path(__file__).parent.parent / "docs" / f"{page}.md")


class TestCommand:
    @pytest.mark.parametrize(
        ("options", "rule"),
        [
            ("", "Adam(lr=Linear(lr=0.002, steps=2, final=0.0)"),
            ("--lr 0.01", "Adam(lr=Linear(lr=0.01, steps=2, final=0.0)"),
            ("--optimizer sgd", "SGD(lr=Linear(lr=0.1, steps=2, final=0.0)"),
        ],
    )
    def test_the_rate_of_digits_falls_to_the_last_update(self, capsys, options, rule):
        pytest.importorskip("sklearn")
        command = f"tasks run digits --updates 2 --quiet --hidden 4 {options}"
        assert cli.main(command.split()) == 0
        assert rule in capsys.readouterr().out

    def test_the_list(self, capsys):
        assert cli.main(["tasks"]) == 0
        out = capsys.readouterr().out
        for name in tasks.TASKS:
            assert f"{name}: " in out
        for figure in ("GRU 5.3e-05 at T = 600", "RNN 0.0202 at T = 1000", "permuted 0.873"):
            assert figure in out

    def test_a_run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        command = "tasks run xor --steps 8 --hidden 12 --cell gru --lr 0.01 --quiet"
        assert cli.main([*command.split(), "--plot", "curve.png", "--out", "xor.safetensors"]) == 0
        out = capsys.readouterr().out
        assert "xor, T = 8: solved: accuracy" in out
        assert (tmp_path / "curve.png").exists()
        assert DelayedXOR(8).score(crnn.load("xor.safetensors")) >= 0.99

    def test_a_run_equals_train_with_the_same_options(self, capsys, tmp_path):
        command = (
            "tasks run adding --steps 10 --hidden 6 --activation relu --init np --gain 0.9 "
            "--input-std 0.1 --output-gain 2 --optimizer rmsprop --lr 0.003 --batch 8 --clip 0 "
            "--clip-value 0.5 --curriculum 4,6 --updates 60 --seed 3 --quiet"
        )
        path = str(tmp_path / "model")
        assert cli.main([*command.split(), "--out", path]) == 0
        task = Adding(10)
        init = crnn.Init("np", gain=0.9, input_std=0.1, output_gain=2)
        model = task.model(6, activation="relu", init=init, rng=3)
        tasks.train(
            model, task, optimizer=crnn.RMSprop(0.003), batch_size=8, clip_norm=None,
            clip_value=0.5, curriculum=[4, 6], updates=60, progress=False, rng=3,
        )  # fmt: skip
        for name, value in crnn.load(path).parameters.items():
            np.testing.assert_array_equal(value, model.parameters[name])

    def test_ctrl_c_saves_the_model_and_exits_with_130(self, monkeypatch, tmp_path, capsys):
        interrupted_at(monkeypatch, 3)
        path = str(tmp_path / "model")
        assert cli.main(["tasks", "run", "xor", "--cell", "gru", "--quiet", "--out", path]) == 130
        assert crnn.load(path).config.cell == "gru"
        assert "interrupted" in capsys.readouterr().out

    def test_digits_without_scikit_learn(self, monkeypatch, capsys):
        class Missing:
            def find_spec(self, name, *_):
                if name == "sklearn":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        digits._data.cache_clear()
        for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
        assert cli.main(["tasks", "run", "digits"]) == 2
        message = 'the task digits needs scikit-learn: python -m pip install "crnn[sklearn]"'
        assert capsys.readouterr().err == f"crnn tasks: {message}\n"
        assert cli.main(["tasks"]) == 0
        assert message in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("command", "message"),
        [
            ("adding --steps 1", "--steps: expected a whole number >= 2"),
            ("adding --curriculum 1", "--curriculum: expected a whole number >= 2"),
            ("adding --permuted", "--permuted: expected only with the task digits"),
            ("digits --steps 9", "--steps: expected 64"),
            ("digits --curriculum 64", "--curriculum: expected only with a task of any length"),
            ("adding --cell gru --activation relu", "--activation: expected tanh with --cell gru"),
            ("adding --plot x.none", "--plot: expected a name ending in"),
            ("adding --plot x", "--plot: expected a name ending in"),
            ("adding --plot x.png --out ./x.png", "--out: expected another file than --plot"),
            ("adding --out no/folder", "--out: "),
        ],
    )
    def test_contradictions_are_one_line_errors(self, command, message, capsys):
        assert cli.main(["tasks", "run", *command.split()]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"crnn tasks: {message}")
        assert err.count("\n") == 1
