"""Training that resumes: the same bits as if it had never stopped, and bad files are refused."""

import os
import shlex
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pages
import pytest
from trainings import TRAININGS, Stop, StopsAt, bits, stopper, without_clock

import crnn
from crnn import cli, files
from crnn.schedules import Linear, OnPlateau

TINY = timedelta(microseconds=1)


@pytest.fixture
def stop_at(monkeypatch):
    return stopper(monkeypatch)


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
from trainings import StopsAt, {type(training).__name__} as Training
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
from trainings import StopsAt, FitStream
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
