"""Training that resumes: the same bits as if it had never stopped, and bad files are refused."""

import copy
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn import cli, files
from crnn.schedules import Linear, OnPlateau

TINY = timedelta(microseconds=1)


class Stop(Exception):
    """Ends a training like a kill, from inside of a step."""


@dataclass(frozen=True)
class StopsAt(crnn.Adam):
    """Adam that calls a function in the middle of one step, when the parameters are changed."""

    def step(self, parameters, gradients, memory):
        super().step(parameters, gradients, memory)
        if memory["step"] == self.at:
            self.act()

    at = 0

    @staticmethod
    def act():
        raise Stop


@pytest.fixture
def stop_at(monkeypatch):
    """Stop at the step of this number, counted over the whole training; 0 never stops."""

    def set_to(step, act=None):
        monkeypatch.setattr(StopsAt, "at", step)
        if act is not None:
            monkeypatch.setattr(StopsAt, "act", staticmethod(act))

    return set_to


class Fit:
    """A training from examples: 8 steps an epoch; lengths, noise and validation."""

    steps = 32
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 60, 3))
    y = (x.sum((0, 2)) > 0).astype(int)
    lengths = rng.integers(1, 7, 60)

    def model(self, seed=0):
        return crnn.RNN(3, 6, 2, cell="leaky", leak=0.5, noise=0.1, rng=seed)

    def run(self, model, **options):
        defaults = {
            "lengths": self.lengths,
            "epochs": 4,
            "batch_size": 8,
            "optimizer": StopsAt(OnPlateau(0.01, patience=1)),
            "validation": (self.x[:, :20], self.y[:20]),
            "patience": 3,
            "progress": False,
            "rng": 3,
        }
        return model.fit(self.x, self.y, **{**defaults, **options})


class FitStream:
    """A training from a long sequence: 9 windows an epoch, the last one short; an LSTM's state."""

    steps = 36
    symbols = np.random.default_rng(1).integers(0, 4, 4 * 70, "uint8")

    def model(self, seed=0):
        return crnn.RNN(4, 5, 4, steps="all", cell="lstm", num_layers=2, rng=seed)

    def run(self, model, **options):
        defaults = {
            "epochs": 4,
            "batch_size": 4,
            "steps": 8,
            "optimizer": StopsAt(0.01),
            "clip_norm": 1.0,
            "progress": False,
        }
        return model.fit_stream(self.symbols, **{**defaults, **options})


class FitBatches(Fit):
    """A training from an iterable of batches, of which it reads again those that were done."""

    def __iter__(self):
        for k in range(0, 60, 8):
            yield self.x[:, k : k + 8], self.y[k : k + 8]

    def run(self, model, **options):
        defaults = {
            "epochs": 4,
            "optimizer": StopsAt(0.01),
            "validation": (self.x[:, :20], self.y[:20]),
            "progress": False,
            "rng": 3,
        }
        return model.fit(self, **{**defaults, **options})


TRAININGS = [Fit(), FitStream(), FitBatches()]


def bits(model):
    return b"".join(p.tobytes() for p in model.parameters.values())


def without_clock(history):
    return {name: value for name, value in vars(history).items() if name != "steps_per_second"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.safetensors"


@pytest.mark.parametrize("training", TRAININGS, ids=["fit", "fit_stream", "fit_batches"])
class TestSameBits:
    """Stopped at any step, a training goes on to the bits of one that never stopped."""

    @pytest.fixture
    def whole(self, training):
        model = training.model()
        return bits(model), without_clock(training.run(model)), bits(model)

    @pytest.mark.parametrize("every", ["epoch", 1, 3, TINY])
    def test_stopped_at_any_step(self, training, whole, path, stop_at, every):
        _, history, end = whole
        for step in (1, 9, 14, training.steps):
            path.unlink(missing_ok=True)
            stop_at(step)
            with pytest.raises(Stop):
                training.run(training.model(), checkpoint=path, every=every)
            stop_at(0)
            model = training.model(seed=1)  # its parameters do not matter
            again = training.run(model, checkpoint=path, every=every)
            assert without_clock(again) == history
            assert bits(model) == end
            assert bits(crnn.load(path)) == end

    def test_stopped_many_times(self, training, whole, path, stop_at):
        """Each time in another model, and at most the steps since the last file are repeated."""
        done, step = 0, 0
        while step < training.steps:
            step += 5
            stop_at(step)
            model = training.model()
            try:
                history = training.run(model, checkpoint=path, every=2)
            except Stop:
                done = files.load_training(path)[3].entry["state"]["steps"]
                assert step - 2 <= done < step
        assert done
        assert without_clock(history) == whole[1]
        assert bits(model) == whole[2]

    def test_a_file_of_fewer_epochs_goes_on_to_more(self, training, whole, path):
        training.run(training.model(), epochs=1, checkpoint=path)
        training.run(training.model(), epochs=3, checkpoint=path)
        model = training.model()
        history = training.run(model, epochs=4, checkpoint=path)
        assert without_clock(history) == whole[1]
        assert bits(model) == whole[2]

    def test_a_training_that_is_done_is_only_read(self, training, whole, path, stop_at):
        training.run(training.model(), checkpoint=path)
        before = path.read_bytes()
        stop_at(training.steps + 1)
        model = training.model()
        assert without_clock(training.run(model, checkpoint=path)) == whole[1]
        assert bits(model) == whole[2]
        assert path.read_bytes() == before
        with pytest.raises(Stop):
            training.run(training.model(), epochs=5, checkpoint=path)

    def test_from_one_file_into_another(self, training, whole, path, tmp_path, stop_at):
        stop_at(20)
        with pytest.raises(Stop):
            training.run(training.model(), checkpoint=path)
        stop_at(0)
        before, model = path.read_bytes(), training.model()
        training.run(model, checkpoint=tmp_path / "d", resume=path)
        assert bits(model) == bits(crnn.load(tmp_path / "d")) == whole[2]
        assert path.read_bytes() == before

    def test_resume_false_begins_anew(self, training, whole, path):
        training.run(training.model(seed=1), checkpoint=path)
        model = training.model()
        training.run(model, checkpoint=path, resume=False)
        assert bits(model) == bits(crnn.load(path)) == whole[2]

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
    def test_killed(self, training, whole, path, tmp_path):
        """By SIGKILL, in the middle of a step, in processes of their own."""
        code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoints import StopsAt, {type(training).__name__} as Training
StopsAt.at = int(sys.argv[2])
StopsAt.act = staticmethod(lambda: os.kill(os.getpid(), signal.SIGKILL))
model = Training().model()
Training().run(model, checkpoint=sys.argv[1], every=3)
"""
        for step in (1, 17):
            command = [sys.executable, "-c", code, str(path), str(step)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == -signal.SIGKILL, done.stderr
        training.run(training.model(), checkpoint=path, every=3)
        assert bits(crnn.load(path)) == whole[2]


class TestSignals:
    """Ctrl-C and SIGTERM write the file after the step."""

    training = TRAININGS[1]

    @pytest.fixture
    def whole(self):
        model = self.training.model()
        self.training.run(model)
        return bits(model)

    def test_ctrl_c_keeps_every_step(self, path, stop_at, whole):
        stop_at(13, lambda: signal.raise_signal(signal.SIGINT))
        model = self.training.model()
        assert self.training.run(model, checkpoint=path).interrupted
        assert files.load_training(path)[3].entry["state"]["steps"] == 13
        assert bits(model) == bits(crnn.load(path))
        history = self.training.run(model, checkpoint=path)
        assert not history.interrupted
        assert len(history.loss) == 4
        assert bits(model) == whole

    def test_ctrl_c_during_a_callback(self, path, whole):
        """The epoch is complete, even if it is the last."""
        for epoch in (2, 4):

            def stop(history, last=epoch):
                if len(history.loss) == last:
                    signal.raise_signal(signal.SIGINT)

            model = self.training.model()
            history = self.training.run(model, checkpoint=path, callback=stop)
            assert history.interrupted
            assert len(history.loss) == epoch
        model = self.training.model()
        assert not self.training.run(model, checkpoint=path).interrupted
        assert bits(model) == whole

    @pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
    def test_a_handler_is_called_between_two_steps(self, path, stop_at, whole, name):
        if not hasattr(signal, name):
            pytest.skip("this system has no such signal")
        number, calls = getattr(signal, name), []

        def handler(got, _):
            calls.append((got, files.load_training(path)[3].entry["state"]["steps"]))

        stop_at(13, lambda: signal.raise_signal(number))
        before = signal.signal(number, handler)
        try:
            model = self.training.model()
            self.training.run(model, checkpoint=path)
            assert signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)
        assert calls == [(number, 13)]
        assert bits(model) == whole

    def test_a_second_signal_is_not_held(self, path, stop_at):
        def handler(*_):
            raise Stop

        def twice():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("the second signal was held")

        stop_at(13, twice)
        before = signal.signal(signal.SIGTERM, handler)
        try:
            with pytest.raises(Stop):
                self.training.run(self.training.model(), checkpoint=path)
        finally:
            signal.signal(signal.SIGTERM, before)
        assert files.load_training(path)[3].entry["state"]["steps"] == 9

    @pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
    def test_sigterm_ends_the_process_after_the_file_is_written(self, path):
        code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_checkpoints import StopsAt, FitStream
StopsAt.at = 13
StopsAt.act = staticmethod(lambda: signal.raise_signal(signal.SIGTERM))
FitStream().run(FitStream().model(), checkpoint=sys.argv[1])
"""
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True)
        assert done.returncode == -signal.SIGTERM
        assert files.load_training(path)[3].entry["state"]["steps"] == 13


class TestEnds:
    """Trainings that end early, or badly."""

    training = TRAININGS[0]

    def test_patience_stays_ended(self, path):
        options = {"checkpoint": path, "patience": 1, "optimizer": StopsAt(1.0)}
        first, second = self.training.model(), self.training.model()
        history = self.training.run(first, epochs=20, **options)
        assert history.stopped_early
        again = self.training.run(second, epochs=30, **options)
        assert without_clock(again) == without_clock(history)
        assert bits(first) == bits(second)

    def test_a_callback_is_asked_again(self, path):
        model = self.training.model()
        self.training.run(model, checkpoint=path, callback=lambda h: len(h.loss) == 2)
        history = self.training.run(model, checkpoint=path, callback=lambda h: len(h.loss) == 2)
        assert (len(history.loss), history.stopped_early) == (2, True)
        history = self.training.run(model, checkpoint=path, callback=lambda h: len(h.loss) == 3)
        assert (len(history.loss), history.stopped_early) == (3, True)
        history = self.training.run(model, checkpoint=path)
        assert (len(history.loss), history.stopped_early) == (4, False)
        whole = self.training.model()
        self.training.run(whole)
        assert bits(model) == bits(whole)

    def test_a_divergence_leaves_the_last_good_file(self, path, stop_at):
        training = TRAININGS[1]

        def break_down():
            raise crnn.DivergenceError(13, float("nan"), "loss")

        stop_at(13, break_down)
        for _ in range(2):
            model = training.model()
            with pytest.raises(crnn.DivergenceError):
                training.run(model, checkpoint=path, every=4)
            assert files.load_training(path)[3].entry["state"]["steps"] == 12
            assert bits(model) == bits(crnn.load(path))


@pytest.mark.parametrize(
    "make",
    [
        lambda: crnn.SGD(0.1),
        lambda: crnn.SGD(0.1, momentum=0.9),
        lambda: crnn.RMSprop(momentum=0.5),
        lambda: crnn.AdamW(1e-2),
        lambda: crnn.Adam(Linear(1e-3, steps=20)),
    ],
)
@pytest.mark.parametrize("rng", [np.random.MT19937, np.random.PCG64, np.random.SFC64])
def test_every_optimizer_and_generator(path, make, rng):
    training = TRAININGS[0]
    (whole, stopped), optimizer = (training.model() for _ in range(2)), make()
    training.run(whole, optimizer=optimizer, rng=np.random.Generator(rng(1)), accumulate=2)
    for epochs in (1, 4):
        generator = np.random.Generator(rng(1 if epochs == 1 else 2))
        options = {"optimizer": optimizer, "rng": generator, "accumulate": 2}
        training.run(stopped, epochs=epochs, checkpoint=path, **options)
        stopped = stopped if epochs == 4 else training.model()
    assert bits(stopped) == bits(whole)


REFUSED = [
    ({"batch_size": 16}, "batch_size: expected 8, as in the training that .*, got 16; resume=F"),
    ({"clip_norm": 1.0}, "clip_norm: expected None"),
    ({"accumulate": 2}, "accumulate: expected 1"),
    ({"optimizer": "sgd"}, "optimizer: expected StopsAt"),
    ({"rng": 4}, "rng: expected 3"),
    ({"rng": np.random.Generator(np.random.MT19937(0))}, "rng: expected PCG64.*got MT19937"),
    ({"lengths": None}, "lengths: expected int64"),
    ({"sample_weight": np.arange(1, 61)}, "sample_weight: expected None"),
    ({"validation": (Fit.x, Fit.y)}, "validation x: expected float"),
    ({"patience": 2}, "patience: expected 3"),
    ({"epochs": 1}, "epochs: expected at least 2, as in the training .* got 1"),
]


class TestRefused:
    """What does not fit is named, and model, generator, metadata and file are left unchanged."""

    training = TRAININGS[0]

    @pytest.fixture(autouse=True)
    def file(self, path):
        self.training.run(self.training.model(seed=1), epochs=2, checkpoint=path)
        before = path.read_bytes()
        yield
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    def refuse(self, path, message, model=None, error=ValueError, **options):
        model = model or self.training.model()
        before = bits(model)
        with pytest.raises(error, match=message):
            self.training.run(model, **{"checkpoint": path, **options})
        assert bits(model) == before
        assert model._memory is None

    @pytest.mark.parametrize(("options", "message"), REFUSED, ids=[m[:12] for _, m in REFUSED])
    def test_another_training(self, path, options, message):
        self.refuse(path, message, **options)

    def test_other_data(self, path, monkeypatch):
        monkeypatch.setattr(Fit, "x", Fit.x + 1e-3)
        self.refuse(path, r"x: expected float32 \(6, 60, 3\) with digest \w+, as in")

    def test_another_kind_of_data(self, path):
        model = crnn.RNN(3, 6, 3, steps="all", cell="leaky", leak=0.5, noise=0.1)
        with pytest.raises(ValueError, match=r"n_y: expected 2, as in the training that .* got 3"):
            model.fit_stream(np.arange(99) % 3, checkpoint=path)

    def test_another_model(self, path):
        self.refuse(path, "n_a: expected 6", model=crnn.RNN(3, 7, 2, rng=0))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"every": 0}, ValueError, "every: expected a whole number >= 1, got 0"),
            ({"every": "week"}, ValueError, "every: expected 'epoch', a number of steps or a t"),
            ({"every": 1.5}, TypeError, "every: expected a whole number, got 1.5"),
            ({"every": timedelta(0)}, ValueError, "every: expected a timedelta above 0, got 0"),
            ({"resume": 1}, TypeError, "resume: expected True, False or a path, got 1"),
            ({"resume": "none"}, FileNotFoundError, "resume: No such file or directory: 'none'"),
            ({"checkpoint": "a\0b"}, ValueError, "checkpoint: expected no null character"),
            ({"checkpoint": 7}, TypeError, "checkpoint: expected a path, got 7"),
            ({"checkpoint": None, "every": 5}, ValueError, "every: expected 'epoch' without che"),
            ({"checkpoint": None, "resume": False}, ValueError, "resume: expected True without"),
        ],
    )
    def test_bad_arguments(self, path, options, error, message):
        self.refuse(path, message, error=error, **options)

    def test_an_iterable_that_can_be_read_only_once(self, path):
        model = self.training.model()
        with pytest.raises(ValueError, match="x: expected an iterable that gives its batches aga"):
            model.fit(iter(TRAININGS[2]), epochs=1, checkpoint=path)

    def test_a_missing_or_read_only_folder(self, path, monkeypatch):
        none = path.parent / "none" / "c"
        named = f"checkpoint: No such file or directory: '{none}'"
        self.refuse(path, named, error=FileNotFoundError, checkpoint=none)
        self.refuse(path, "checkpoint: Is a directory", error=OSError, checkpoint=path.parent)
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        self.refuse(path, "Permission denied", error=PermissionError)


def test_validation_that_comes_or_goes(path):
    training = TRAININGS[2]
    for first, then, message in (
        (None, (Fit.x, Fit.y), "validation: expected none, as in the training that .*, got some"),
        ((Fit.x, Fit.y), None, "validation: expected some, as in the training that .*, got none"),
    ):
        path.unlink(missing_ok=True)
        training.run(training.model(), epochs=1, checkpoint=path, validation=first)
        with pytest.raises(ValueError, match=message):
            training.run(training.model(), checkpoint=path, validation=then)


def absolute(logits, y):
    return np.abs(logits - y).sum(axis=1), np.sign(logits - y)


def squared(logits, y):
    return ((logits - y) ** 2).sum(axis=1), 2 * (logits - y)


def test_another_loss_of_the_users_own(path):
    y = Fit.x.mean(axis=0)[:, :2]
    options = {"checkpoint": path, "progress": False, "rng": 0}
    crnn.RNN(3, 4, 2, loss=squared, rng=0).fit(Fit.x, y, epochs=1, **options)
    with pytest.raises(ValueError, match=r"loss: expected .*\.squared, as in .* got .*\.absolute"):
        crnn.RNN(3, 4, 2, loss=absolute, rng=0).fit(Fit.x, y, epochs=2, **options)
    crnn.RNN(3, 4, 2, loss=squared, rng=0).fit(Fit.x, y, epochs=2, **options)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.arange(120.0)}, r"symbols: expected float64 \(29, 2, 1\) with digest"),
        ({"mask": np.arange(60) > 3}, r"mask: expected float32 \(29, 2\) with digest"),
        ({"mask": None}, r"mask: expected float32 \(29, 2\) with digest"),
        ({"resets": None}, r"resets: expected bool \(29, 2\) with digest .* got None"),
        ({"batch_size": 3}, "batch_size, or the rows of symbols: expected 2, as in .* got 3"),
        ({"steps": 4}, "steps: expected 5"),
        ({"validation": np.arange(9.0)}, "validation: expected none, as in .* got some"),
    ],
)
def test_another_series_is_named_by_its_arguments(path, changed, message):
    usual = {"x": np.arange(60.0), "mask": np.arange(60) > 2, "resets": np.arange(60) % 9 == 0}
    usual |= {"batch_size": 2, "steps": 5, "epochs": 1, "progress": False, "checkpoint": path}

    def run(x, **options):
        crnn.RNN(1, 3, 1, steps="all", loss="mse", rng=0).fit_stream(x / 60, **options)

    run(**usual)
    changed = {**usual, **changed}
    if len(changed["x"]) > 60:
        changed["x"] = changed["x"][60:]
    with pytest.raises(ValueError, match=message):
        run(**changed)


def test_another_kind_of_training(path):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path, patience=None)
    model = training.model()
    with pytest.raises(ValueError, match=r"data: expected examples, as .* got an iterable of bat"):
        model.fit(TRAININGS[2], checkpoint=path, progress=False, rng=3)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not a model of crnn's, or damaged"):
        training.run(training.model(), checkpoint=path)
    assert path.read_bytes() == before


def test_a_foreign_file_and_a_model_alone_are_refused(path):
    training = TRAININGS[0]
    path.write_text("important")
    with pytest.raises(ValueError, match="not a model of crnn's"):
        training.run(training.model(), checkpoint=path)
    assert path.read_text() == "important"
    training.model().save(path)
    with pytest.raises(ValueError, match="it has a model alone; resume=False replaces it"):
        training.run(training.model(), checkpoint=path)
    assert files.load_training(path)[3] is None


def test_a_damaged_state_is_refused(path):
    training = TRAININGS[0]
    training.run(training.model(), epochs=1, checkpoint=path)
    config, parameters, metadata, state = files.load_training(path)
    damages = [
        lambda entry, _: entry["state"].pop("rng"),
        lambda entry, _: entry["state"]["rng"]["state"].update(inc="x"),
        lambda entry, _: entry["state"]["course"]["history"].update(colour=1),
        lambda entry, _: entry["state"].update(rng=None),
        lambda entry, _: entry["state"]["rng"].update(uinteger=-1),
        lambda entry, _: entry["state"]["course"]["history"].update(loss=3.5),
        lambda entry, _: entry["state"]["course"]["history"].update(loss=["x"]),
        lambda entry, _: entry["state"]["course"]["history"]["learning_rate"].pop(),
        lambda entry, _: entry["state"]["course"].update(epoch=-1),
        lambda entry, _: entry["state"]["course"].update(done=3),
        lambda entry, _: entry["state"]["course"]["sums"].update(loss=None),
        lambda entry, _: entry["state"]["course"]["sums"].update(steps=1),
        lambda entry, _: entry["state"]["course"]["sums"].update(loss=float("nan")),
        lambda entry, _: entry["state"]["course"].update(state=[[]]),
        lambda entry, _: entry["state"].update(steps=-1),
        lambda entry, _: entry["state"]["memory"].update(step="x"),
        lambda entry, _: entry["state"]["memory"].update(step=-1),
        lambda entry, _: entry["state"]["memory"].update(step=10**30),
        lambda entry, _: entry["state"]["memory"].update(since=9),
        lambda entry, _: entry["state"]["memory"].update(lr=float("inf")),
        lambda entry, _: entry["state"]["memory"].update(weights={"array": "memory.m"}),
        lambda entry, _: entry["state"]["memory"].update({"plateau lowest": "x"}),
        lambda entry, _: entry["state"]["memory"].update({"plateau factor": float("inf")}),
        lambda entry, _: entry["state"]["memory"].update({"plateau epochs": 2}),
        lambda entry, _: entry["state"].update(memory=3),
        lambda entry, _: entry.update(arguments=3),
        lambda entry, _: entry.update(version=2),
        lambda _, tensors: tensors.pop("memory.m"),
        lambda _, tensors: tensors.update({"memory.m": np.zeros(3, "float32")}),
        lambda _, tensors: tensors["memory.m"].fill(np.nan),
        lambda _, tensors: tensors["memory.v"].fill(-1),
        lambda _, tensors: tensors.update({"course.best": np.zeros(3, "float32")}),
        lambda _, tensors: tensors["course.best"].fill(np.inf),
    ]
    for damage in damages:
        entry, tensors = copy.deepcopy((state.entry, state.tensors))
        damage(entry, tensors)
        files.save(path, config, parameters, metadata, files.Training(entry, tensors))
        model = training.model()
        before = bits(model)
        with pytest.raises(ValueError, match="the training in this file is damaged: "):
            training.run(model, checkpoint=path)
        assert bits(model) == before


@pytest.mark.parametrize("resets", [None, np.arange(280) % 13 == 0])
@pytest.mark.parametrize("shards", [None, 2])
def test_a_damaged_state_of_a_stream_is_refused(path, stop_at, resets, shards):
    """What is carried to the next window has a row for each of its parts, and is finite."""
    training, options = TRAININGS[1], {"resets": resets, "shards": shards}
    stop_at(13)
    with pytest.raises(Stop):
        training.run(training.model(), checkpoint=path, every=1, **options)
    stop_at(0)
    good, (config, parameters, metadata, state) = path.read_bytes(), files.load_training(path)
    carried = [name for name in state.tensors if name.startswith("course.state")]
    assert len(carried) == 4 * (shards or 1)  # a and c of two layers
    a = state.tensors[carried[0]]
    for bad in (a[:-1], np.append(a, a[:1], 0), a.astype("float64"), np.full_like(a, np.nan)):
        damaged = files.Training(state.entry, state.tensors | {carried[0]: bad})
        files.save(path, config, parameters, metadata, damaged)
        model = training.model()
        before = bits(model)
        with pytest.raises(ValueError, match=r"the training in this file is damaged: state: exp"):
            training.run(model, checkpoint=path, every=1, **options)
        assert bits(model) == before
    for lost in (None, [], state.entry["state"]["course"]["state"][:1]):
        entry = copy.deepcopy(state.entry)
        entry["state"]["course"]["state"] = lost
        files.save(path, config, parameters, metadata, files.Training(entry, state.tensors))
        with pytest.raises(ValueError, match=r"damaged: state: expected those of \d (sh|lay)"):
            training.run(training.model(), checkpoint=path, every=1, **options)
    path.write_bytes(good)
    training.run(training.model(), checkpoint=path, every=1, **options)


def test_an_optimizer_that_was_used_before(path, stop_at):
    """The file's memory is compared with that of a new optimizer, not with that of the model."""
    training = TRAININGS[0]
    optimizer = StopsAt(OnPlateau(0.01, patience=1))
    whole, model = training.model(), training.model()
    training.run(whole, optimizer=optimizer)
    stop_at(1)
    with pytest.raises(Stop):  # a file from before the first step
        training.run(training.model(), optimizer=optimizer, checkpoint=path)
    stop_at(0)
    training.run(model, optimizer=optimizer)
    training.run(model, optimizer=optimizer, checkpoint=path)
    assert bits(model) == bits(whole)


def test_a_full_disk_leaves_the_last_good_file(path, monkeypatch):
    """At the first file nothing is trained; later, training goes on from the file before."""
    training, fsync = TRAININGS[1], os.fsync
    room = [0]

    def full(file):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        fsync(file)

    whole = training.model()
    training.run(whole)
    monkeypatch.setattr(os, "fsync", full)
    model = training.model()
    with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
        training.run(model, checkpoint=path)
    assert bits(model) == bits(training.model())
    assert os.listdir(path.parent) == []
    room[0] = 3
    with pytest.raises(OSError, match="No space left on device"):
        training.run(model, checkpoint=path)
    assert files.load_training(path)[3].entry["state"]["course"]["epoch"] == 2
    room[0] = 9
    model = training.model()
    training.run(model, checkpoint=path)
    assert bits(model) == bits(whole)
    assert os.listdir(path.parent) == [path.name]


def test_what_cannot_be_saved_is_named_before_the_first_step(path):
    class Odd(crnn.SGD):
        def start(self, parameters):
            return {**super().start(parameters), "seen": {1, 2}}

    model = TRAININGS[0].model()
    before = bits(model)
    with pytest.raises(TypeError, match=r"memory\.seen: expected None, a bool.* got set"):
        TRAININGS[0].run(model, optimizer=Odd(0.1), checkpoint=path)
    assert bits(model) == before
    assert not path.exists()


def test_an_iterable_with_fewer_batches_than_were_done(path, stop_at):
    class Short(FitBatches):
        def __iter__(self):
            return iter([(self.x[:, :8], self.y[:8])])

    stop_at(12)
    with pytest.raises(Stop):
        TRAININGS[2].run(TRAININGS[2].model(), checkpoint=path, every=1)
    with pytest.raises(ValueError, match="of which 3 are done in this epoch, got 1"):
        Short().run(Short().model(), checkpoint=path, every=1)


def test_fewer_batches_that_are_known_before(path, stop_at):
    """An iterable with a length is refused before anything changes."""

    class Known(FitBatches):
        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

    stop_at(12)
    with pytest.raises(Stop):
        Known(8).run(Known(8).model(), checkpoint=path, every=1)
    model = Known(2).model()
    before = bits(model)
    with pytest.raises(ValueError, match="x: expected at least 3 batches in an epoch, as in .* 2"):
        Known(2).run(model, checkpoint=path, every=1)
    assert bits(model) == before


def test_metadata_come_back_with_the_training(path):
    model = TRAININGS[0].model()
    model.metadata.update(a="file", b="file")
    TRAININGS[0].run(model, epochs=1, checkpoint=path)
    model = TRAININGS[0].model()
    model.metadata.update(b="here")
    TRAININGS[0].run(model, checkpoint=path)
    assert model.metadata == {"a": "file", "b": "here"} == crnn.load(path).metadata


def test_the_bar_goes_on_where_it_stopped(path, capsys, stop_at):
    stop_at(13)
    with pytest.raises(Stop):
        TRAININGS[1].run(TRAININGS[1].model(), checkpoint=path, every=4, progress=False)
    stop_at(14)
    with pytest.raises(Stop):
        TRAININGS[1].run(TRAININGS[1].model(), checkpoint=path, every=4, progress=True)
    # One epoch of 276 symbols and three windows of 4 rows and 8 steps, of four epochs.
    assert "372/1.10k" in capsys.readouterr().err


def test_the_page_does_what_it_says(tmp_path, monkeypatch, capsys):
    page = Path(__file__).parent.parent / "docs" / "resume.md"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("the cat sat on the mat. " * 200)
    pages.run_python(page)
    assert "batch_size: expected 32, as in the training that" in capsys.readouterr().out
    (commands,) = pages.blocks(page.read_text(encoding="utf-8"), "sh")
    for command in commands.splitlines():
        program, *arguments = shlex.split(command)
        assert program == "crnn"
        assert cli.main([*arguments, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.count("epoch 2/3") == out.count("epoch 3/3") == 1
