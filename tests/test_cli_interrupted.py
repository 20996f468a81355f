"""The command line when it is interrupted, or its output cannot be written."""

import io
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import numpy as np
import pytest
from cli_runs import SMALL, WORDS, raise_signals_in_step

import crnn
from crnn import cli, text
from crnn.cli import train
from crnn.cli.outlet import Outlet


class TestBrokenOutputStreams:
    """The model is saved even if stdout or stderr cannot be written."""

    def train(self, tmp_path, *more, **streams):
        (tmp_path / "words.txt").write_text(WORDS)
        command = [sys.executable, "-m", "crnn", "train", "--text", "words.txt", *SMALL, *more]
        return subprocess.Popen(command, cwd=tmp_path, text=True, **streams)

    @pytest.mark.parametrize("together", [False, True], ids=["stdout", "stdout and stderr"])
    def test_model_is_saved_after_the_pipe_is_closed(self, tmp_path, together):
        errors = subprocess.STDOUT if together else subprocess.PIPE
        streams = {"stdout": subprocess.PIPE, "stderr": errors}
        with self.train(tmp_path, "--epochs", "20", **streams) as child:
            child.stdout.readline()
            child.stdout.close()
            err = "" if together else child.stderr.read()
        assert child.returncode == 0
        assert "Error" not in err
        assert crnn.load(tmp_path / "model.safetensors").config.n_a == 24

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
    @pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["train", "--help"]])
    def test_a_full_disk_is_reported_for_argparse_output(self, arguments):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "crnn", *arguments], stdout=full, stderr=subprocess.PIPE
            )
        assert done.returncode == 2
        assert done.stderr == b"crnn: standard output: No space left on device\n"

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
    def test_a_full_disk_for_stdout_is_reported_and_the_model_saved(self, tmp_path):
        with open("/dev/full", "w") as full:
            child = self.train(tmp_path, "--quiet", stdout=full, stderr=subprocess.PIPE)
            err = child.communicate()[1]
        assert child.returncode == 2
        assert err == "crnn train: standard output: No space left on device\n"
        assert crnn.load(tmp_path / "model.safetensors").config.n_a == 24

    def test_outlet_keeps_the_first_error_and_drops_later_output(self, tmp_path):
        class Full(io.TextIOWrapper):
            def flush(self):
                raise OSError(28, "No space left on device")

        with open(tmp_path / "out", "wb") as file:
            outlet = Outlet(Full(file, encoding="ascii"))
            assert outlet.write("äb\n") == 3
            outlet.flush()
            outlet.flush()
            assert outlet.write("c") == 1
            assert outlet.error.errno == 28
            assert not outlet.isatty()

    def test_without_stdout_and_stderr(self, run, monkeypatch):
        monkeypatch.setattr(sys, "stdout", None)
        monkeypatch.setattr(sys, "stderr", None)
        assert cli.main(["train", "--text", "words.txt", *SMALL]) == 0
        assert cli.main(["sample", "none"]) == 2


class TestInterruptions:
    @pytest.fixture(autouse=True)
    def default_handlers(self):
        """Set the default handlers: under nohup, for example, SIGHUP is ignored."""
        names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        before = {n: signal.signal(getattr(signal, n), signal.SIG_DFL) for n in names}
        yield
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (MemoryError(), 2, "crnn sample: out of memory\n"),
            (MemoryError("9 TB"), 2, "crnn sample: out of memory: 9 TB\n"),
            (OSError(5, "I/O\n error", "a\nb\x1b"), 2, "crnn sample: a\\nb\\x1b: I/O\\n error\n"),
            (ValueError("two\nlines\x1b"), 2, "crnn sample: two lines\\x1b\n"),
            (KeyboardInterrupt(), 130, "crnn sample: interrupted\n"),
        ],
    )
    def test_errors_are_one_line(self, run, monkeypatch, error, code, message):
        def stop(_):
            raise error

        monkeypatch.setattr(crnn, "load", stop)
        assert run("sample", "m") == (code, "", message)

    def test_ctrl_c_while_parsing_options(self, run, monkeypatch):
        def stop():
            raise KeyboardInterrupt

        monkeypatch.setattr(cli.options, "parser", stop)
        assert run("check") == (130, "", "crnn: interrupted\n")

    def test_ctrl_c_stops_after_the_current_step(self, run, monkeypatch):
        raise_signals_in_step(monkeypatch, 3, signal.SIGINT)
        code, out, err = run("train", "--text", "words.txt", *SMALL, "--quiet")
        assert (code, err) == (130, "")
        assert "interrupted: the model of the last finished step is kept; --resume model.s" in out
        assert_trained(run, steps=3)

    @pytest.mark.parametrize(
        ("signals", "code", "word"),
        [
            (["SIGTERM"], 143, "terminated"),
            (["SIGHUP"], 129, "the terminal was closed"),
            (["SIGINT", "SIGTERM"], 143, "terminated"),
        ],
    )
    def test_a_signal_saves_the_step_under_way(self, run, monkeypatch, signals, code, word):
        if not all(hasattr(signal, name) for name in signals):
            pytest.skip("this system has no such signal")
        raise_signals_in_step(monkeypatch, 3, *(getattr(signal, name) for name in signals))
        got, out, err = run("train", "--text", "words.txt", *SMALL, "--quiet")
        assert (got, err) == (code, f"crnn train: {word}\n")
        assert "model.safetensors has the training up to step 3" in out
        assert_trained(run, steps=3)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    @pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
    def test_a_second_signal_leaves_the_last_file(self, run, monkeypatch, number, code):
        """It ends the command in the middle of the third step, after the file of the second."""
        monkeypatch.setattr(train, "EVERY", timedelta(microseconds=1))
        raise_signals_in_step(monkeypatch, 3, *[getattr(signal, number)] * 2)
        got, out, _ = run("train", "--text", "words.txt", *SMALL, "--quiet")
        assert got == code
        assert "model.safetensors has the training up to step 2" in out
        assert_trained(run, steps=2)

    @pytest.mark.parametrize("signals", [["SIGINT"], ["SIGTERM"]])
    def test_a_signal_while_saving_the_model(self, run, monkeypatch, signals):
        replace, coming = os.replace, [getattr(signal, name) for name in signals]

        def interrupted(*paths):
            if coming:
                signal.raise_signal(coming.pop())
            replace(*paths)

        monkeypatch.setattr(os, "replace", interrupted)
        code, _, _ = run("train", "--text", "words.txt", *SMALL)
        assert code == (130 if signals == ["SIGINT"] else 143)
        assert sorted(os.listdir()) == ["model.safetensors", "words.txt"]
        assert crnn.load("model.safetensors").config.n_a == 24

    @pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP")
    def test_an_ignored_sighup_stays_ignored(self, run, monkeypatch):
        raise_signals_in_step(monkeypatch, 3, signal.SIGHUP)
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            assert run("train", "--text", "words.txt", *SMALL, "--quiet")[0] == 0
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_runs_outside_the_main_thread(self, run):
        codes = []
        thread = threading.Thread(target=lambda: codes.append(run("sample", "none")[0]))
        thread.start()
        thread.join()
        assert codes == [2]

    @pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
    )
    def test_a_stopped_process_saves_its_model(self, tmp_path, number, code):
        (tmp_path / "words.txt").write_text(WORDS)
        command = [sys.executable, "-m", "crnn", "train", "--text", "words.txt", *SMALL]
        with subprocess.Popen(
            [*command, "--epochs", "1000000"], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as child:  # fmt: skip
            while "epoch 3/" not in child.stdout.readline():
                pass
            child.send_signal(number)
            child.stdout.read()
        assert child.returncode == code
        assert crnn.load(tmp_path / "model.safetensors").config.n_a == 24


def assert_trained(run, steps):
    """Check that the saved model is the one after this number of steps."""
    vocabulary = text.Vocabulary.of(WORDS)
    model = crnn.RNN(14, 24, 14, steps="all", rng=0)
    windows = 5508 // 8 // 16 + 1
    assert steps < windows, "all steps must be in the first epoch"
    learn = vocabulary.encode(WORDS)[:5508]
    rule = {"batch_size": 8, "steps": 16, "clip_norm": 1.0, "progress": False}

    class Enough(Exception):
        pass

    class Few(crnn.Adam):
        done = 0

        def step(self, *arguments):
            if self.done == steps:
                raise Enough
            self.done += 1
            super().step(*arguments)

    with pytest.raises(Enough):
        model.fit_stream(learn, epochs=1, optimizer=Few(0.002), **rule)
    saved = crnn.load("model.safetensors").parameters
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(saved[name], parameter)
