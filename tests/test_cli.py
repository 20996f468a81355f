"""The command line: its output and files, and one line with exit code 2 for each error."""

import io
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import numpy as np
import pytest
from cli_runs import BRIEF, SMALL, WORDS, raise_signals_in_step, runner

import crnn
from crnn import _atomic, check, cli, text
from crnn._training import batches
from crnn.cli import options, train
from crnn.cli.outlet import Outlet
from crnn.schedules import Cosine, Linear, Step, Warmup


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    return runner(capsys, tmp_path, monkeypatch)


@pytest.fixture
def trained(run):
    assert run("train", "--text", "words.txt", *SMALL)[0] == 0
    return "model.safetensors"


class TestTrain:
    def test_reports_progress_saves_and_samples(self, run):
        code, out, err = run("train", "--text", "words.txt", *SMALL)
        assert code == 0
        assert "6120 characters, 14 different; 5508 to learn from, 612 held out" in out
        assert out.count("bits per character") == 2
        assert "wrote model.safetensors" in out
        assert "epoch 2/2" in err
        assert "symbol/s" in err
        model = crnn.load("model.safetensors")
        assert model.config.n_a == 24
        assert len(out.split("of training\n\n")[1]) == 41

    def test_the_same_seed_gives_the_same_model(self, run):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            run("train", "--text", "words.txt", *SMALL, "--out", name, "--seed", seed)
        a, b, c = (crnn.load(name).parameters["Waa"] for name in "abc")
        np.testing.assert_array_equal(a, b)
        assert np.any(a != c)

    def test_options_reach_the_model(self, run):
        code, out, err = run(
            "train", "--text", "words.txt", *SMALL, "--layers", "2", "--activation", "relu",
            "--dtype", "float64", "--validation", "0.2", "--quiet",
            "--threads", str(crnn.get_num_threads()),
        )  # fmt: skip
        assert code == 0
        assert err == ""
        assert "4896 to learn from, 1224 held out" in out
        config = crnn.load("model.safetensors").config
        assert (config.num_layers, config.activation, config.dtype) == (2, "relu", "float64")

    @pytest.mark.parametrize(
        ("arguments", "cell", "leak", "units"),
        [
            (["--cell", "gru"], "gru", None, "24 GRU units"),
            (["--cell", "lstm", "--layers", "2"], "lstm", None, "24 LSTM units"),
            (["--cell", "leaky", "--leak", "0.5"], "leaky", 0.5, "24 leaky tanh units"),
        ],
    )
    def test_every_cell_is_trained_resumed_and_sampled(self, run, arguments, cell, leak, units):
        code, out, _ = run("train", "--text", "words.txt", *SMALL, *arguments)
        assert code == 0
        assert units in out
        config = crnn.load("model.safetensors").config
        assert (config.cell, config.leak) == (cell, leak)
        resumed = run(
            "train", "--text", "words.txt", *BRIEF, "--resume", "model.safetensors", "--out", "more"
        )
        assert resumed[0] == 0
        assert crnn.load("more").config == config
        assert run("sample", "more", "-n", "10", "--seed", "1")[0] == 0

    @pytest.mark.parametrize(
        ("options", "changed"),
        [
            ("", {}),
            ("--clip 0.01", {"clip_norm": 0.01}),
            ("--clip 0", {"clip_norm": None}),
            ("--clip-value 0.001", {"clip_value": 0.001}),
            ("--steps 5", {"steps": 5}),
            ("--batch 3", {"batch_size": 3}),
            ("--epochs 1", {"epochs": 1}),
            ("--lr 0.01", {"optimizer": crnn.Adam(0.01)}),
            ("--optimizer sgd", {"optimizer": crnn.SGD(0.5)}),
            ("--optimizer sgd --lr 0.1 --momentum 0.9", {"optimizer": crnn.SGD(0.1, 0.9)}),
            ("--optimizer rmsprop", {"optimizer": crnn.RMSprop(0.001)}),
            ("--optimizer adamw", {"optimizer": crnn.AdamW(0.002)}),
            ("--schedule cosine", {"optimizer": crnn.Adam(Cosine(0.002))}),
            ("--schedule step", {"optimizer": crnn.Adam(Step(0.002, 43, 0.5))}),
            (
                "--schedule step --step-epochs 2 --epochs 3 --warmup 2",
                {"epochs": 3, "optimizer": crnn.Adam(Warmup(2, Step(0.002, 86, 0.5)))},
            ),
            (
                "--schedule linear --warmup 10 --lr 0.01",
                {"optimizer": crnn.Adam(Warmup(10, Linear(0.01)))},
            ),
            (
                "--optimizer sgd --weight-decay 0.1",
                {"optimizer": crnn.SGD(0.5, weight_decay=0.1)},
            ),
            (
                "--optimizer rmsprop --lr 0.01 --momentum 0.9",
                {"optimizer": crnn.RMSprop(0.01, momentum=0.9)},
            ),
        ],
    )
    def test_training_equals_fit_stream_with_the_same_options(self, run, options, changed):
        arguments = ["train", "--text", "words.txt", *SMALL, "--quiet", *options.split()]
        assert run(*arguments)[0] == 0
        symbols = text.Vocabulary.of(WORDS).encode(WORDS)
        model = crnn.RNN(14, 24, 14, steps="all", rng=0)
        usual = {"epochs": 2, "batch_size": 8, "steps": 16, "clip_norm": 1.0}
        usual |= {"optimizer": crnn.Adam(0.002), "progress": False}
        model.fit_stream(symbols[:5508], **{**usual, **changed})
        loaded = crnn.load("model.safetensors").parameters
        for name, parameter in model.parameters.items():
            np.testing.assert_array_equal(loaded[name], parameter)

    def test_patience_stops_training_early(self, run, tmp_path):
        # The model learns that a and b alternate, which is wrong for the held-out part.
        (tmp_path / "turn.txt").write_text("ab" * 900 + "aabb" * 50)
        arguments = ["--text", "turn.txt", *SMALL, "--epochs", "9", "--lr", "0.01", "--quiet"]
        assert run("train", *arguments)[1].count("bits per character") == 9
        assert run("train", *arguments, "--patience", "2")[1].count("bits per character") < 9

    def test_a_byte_order_mark_is_skipped(self, run, tmp_path):
        (tmp_path / "bom.txt").write_text(WORDS, encoding="utf-8-sig")
        out = run("train", "--text", "bom.txt", *SMALL)[1]
        assert out.startswith("6120 characters, 14 different")

    def test_throughput_counts_the_characters_of_short_windows(self, run, monkeypatch):
        reported = []

        def report(history, characters, *_):
            reported.append(characters * len(windows))

        windows = list(batches.windows(np.zeros(5508, int), 8, 300))
        assert [len(w.x) for w in windows] == [300, 300, 88]
        monkeypatch.setattr(train, "_report", report)
        run("train", "--text", "words.txt", *SMALL, "--steps", "300")
        assert reported == pytest.approx([688 * 8] * 2)

    def test_throughput_is_printed_per_second(self, capsys):
        history = crnn.History("accuracy", loss=[1.0], val_loss=[1.0], steps_per_second=[7.0])
        asked = options.parser().parse_args(["train"])
        train._report(history, 300.0, 0.0, asked)
        assert "  2,100 characters/s  " in capsys.readouterr().out

    def test_resume_continues_training(self, run, trained):
        code, out, _ = run("train", "--text", "words.txt", *BRIEF, "--resume", trained)
        assert code == 0
        first = float(out.split("held out ")[2].split()[0])
        assert first < 3, "a new model would start near log2(14) = 3.8 bits"

    def test_default_text_is_pythons_help_topics(self, run):
        code, out, _ = run(
            "train", "--hidden", "4", "--batch", "512", "--steps", "512", "--epochs", "1", "--quiet"
        )
        assert code == 0
        assert f"{len(text.python_topics())} characters" in out

    def test_divergence_is_a_one_line_error_and_saves_the_last_finite_model(self, run):
        arguments = ["--optimizer", "sgd", "--lr", "1e39", "--quiet"]
        code, _, err = run("train", "--text", "words.txt", *SMALL, *arguments)
        assert code == 1
        assert err.startswith("crnn train: training diverged at step 1: the update is not finite")
        assert len(err.splitlines()) == 1
        assert err.endswith(
            "A smaller --lr or --clip helps; with --start model.safetensors from the model there.\n"
        )
        assert np.isfinite(crnn.load("model.safetensors").parameters["Waa"]).all()

    def test_a_model_that_is_worse_than_guessing(self, run):
        """Large weights are finite, and tanh is: training with a rate of 1e9 does not diverge."""
        note = (
            "the model predicts worse than guessing would, 3.807 bits for 14 different characters"
        )
        for rate, said in (("1e9", True), ("0.002", False)):
            code, out, _ = run("train", "--text", "words.txt", *SMALL, "--lr", rate, "--quiet")
            assert (code, note in out) == (0, said)

    def test_bytes_of_any_file(self, run, tmp_path):
        """They are not changed: neither decoded, nor the ends of lines."""
        content = b"\xef\xbb\xbf\xff\x00\r\n\r" * 500
        (tmp_path / "any").write_bytes(content)
        options = ["train", "--text", "any", "--units", "bytes", *SMALL, "--quiet"]
        code, out, _ = run(*options)
        assert code == 0
        assert "4000 bytes, 256 different; 3600 to learn from" in out
        model = crnn.RNN(256, 24, 256, steps="all", rng=0)
        model.fit_stream(
            np.frombuffer(content, np.uint8)[:3600], epochs=2, batch_size=8, steps=16,
            optimizer=crnn.Adam(0.002), clip_norm=1.0, progress=False,
        )  # fmt: skip
        loaded = crnn.load("model.safetensors").parameters
        for name, parameter in model.parameters.items():
            np.testing.assert_array_equal(loaded[name], parameter)
        out = run("eval", "model.safetensors", "any")[1]
        assert "3999 bytes predicted" in out
        assert "bits per character" not in out, "it has no characters"
        assert "bits per character" in run("eval", "model.safetensors", "words.txt")[1]

    def test_out_may_equal_resume(self, run, trained):
        arguments = ["--text", "words.txt", *BRIEF, "--resume", trained, "--out", trained]
        assert run("train", *arguments)[0] == 0

    def test_header_is_printed_before_training(self, run, monkeypatch):
        def stop(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(crnn.RNN, "fit_stream", stop)
        code, out, _ = run("train", "--text", "words.txt", *SMALL)
        assert code == 130
        assert out.startswith("6120 characters, 14 different; 5508 to learn from, 612 held out")

    @pytest.mark.parametrize("terminal", [False, True])
    def test_a_log_gets_few_progress_lines(self, run, monkeypatch, terminal):
        """A terminal redraws the bar below each line; a log gets only the first and last bar."""
        err = io.StringIO()
        err.isatty = lambda: terminal
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr("tqdm.std.time", lambda: 0.0)  # so that no refresh is due
        code, out, _ = run("train", "--text", "words.txt", *SMALL, "--epochs", "20")
        assert code == 0
        assert out.count("bits per character") == 20
        assert (err.getvalue().count("epoch") > 20) == terminal
        assert err.getvalue().count("\r") > 40 if terminal else err.getvalue().count("\r") == 2


class TestSample:
    def test_output_begins_with_the_prime(self, run, trained):
        code, out, _ = run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "1")
        assert code == 0
        assert out.startswith("the ")
        assert len(out) == 4 + 60 + 1
        assert run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "1")[1] == out
        assert run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "2")[1] != out

    def test_a_closed_pipe_is_no_error(self, trained):
        done = subprocess.run(
            f"{sys.executable} -m crnn sample {trained} -n 200000 | head -c 10",
            shell=True, capture_output=True, text=True,
        )  # fmt: skip
        assert len(done.stdout) == 10
        assert done.stderr == ""

    def test_unencodable_characters_become_question_marks(self, run, tmp_path):
        (tmp_path / "greek.txt").write_text("αβγ " * 500, encoding="utf-8")
        run("train", "--text", "greek.txt", *SMALL)
        done = subprocess.run(
            [sys.executable, "-m", "crnn", "sample", "model.safetensors", "-n", "9"],
            env={"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0
        assert "?" in done.stdout


class TestCheck:
    def test_prints_a_table_and_passes(self, run):
        code, out, _ = run("check")
        assert code == 0
        assert "kernels against reference, float32, tanh" in out
        assert "every comparison holds" in out

    @pytest.mark.parametrize("error", [1.0, float("nan")])
    def test_fails_if_an_error_exceeds_its_tolerance(self, run, monkeypatch, error):
        monkeypatch.setattr(check, "run", lambda: iter([check.Result("x", 1, error, 0.1)]))
        code, out, _ = run("check")
        assert code == 1
        assert "SOME COMPARISONS FAILED" in out

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_sum_tolerance_excludes_naive_summation(self, dtype):
        """So `crnn check`, which sums as many equal terms, detects sums that are not blocked."""
        term, terms = np.dtype(dtype).type(1 - np.tanh(0.5) ** 2), 1 << 20
        chain = np.cumsum(np.full(terms, term))[-1]  # one addition after another
        error = abs(float(chain) - terms * float(term)) / (terms * float(term))
        assert error > 10 * check.sum_tolerance(dtype, terms)

    def test_detects_a_wrong_kernel(self, monkeypatch):
        monkeypatch.setattr(check, "rnn_forward", lambda *a, **k: 1.001 * crnn.rnn_forward(*a, **k))
        assert not all(result.passed for result in check.run())


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


USAGE = [
    (
        "",
        "crnn: the following arguments are required: {train,eval,sample,inspect,tasks,bench,check}",
    ),
    ("fly", "invalid choice: 'fly'"),
    ("sample", "crnn sample: the following arguments are required: model"),
    (
        "train --hidden many",
        "train: --hidden: expected a whole number in 1..2147483647, got 'many'",
    ),
    ("train --hidden 0", "--hidden: expected a whole number in 1..2147483647, got '0'"),
    ("train --hidden 1e3", "--hidden: expected a whole number"),
    ("train --layers -1", "--layers: expected a whole number"),
    ("train --epochs 0", "--epochs: expected a whole number"),
    ("train --batch 99999999999", "--batch: expected a whole number"),
    ("train --steps 0", "--steps: expected a whole number"),
    ("train --patience 0", "--patience: expected a whole number"),
    ("train --threads 0", "--threads: expected a whole number"),
    ("train --seed -1", "--seed: expected a whole number in 0.."),
    ("train --length -1", "--length: expected a whole number in 0.."),
    ("train --temperature nan", "--temperature: expected a finite number >= 0, got 'nan'"),
    ("train --lr -1", "--lr: expected a finite number > 0, got '-1'"),
    ("train --lr fast", "--lr: expected a finite number > 0, got 'fast'"),
    ("train --clip -1", "--clip: expected a finite number >= 0, got '-1'"),
    ("train --momentum 1 --optimizer sgd", "--momentum: expected a number in [0, 1), got '1'"),
    ("train --dropout 0.5", "--dropout: expected only with --layers 2 or more"),
    ("train --momentum 0.5", "--momentum: expected only with --optimizer sgd or rmsprop"),
    (
        "train --weight-decay 0.5",
        "--weight-decay: expected only with --optimizer adamw, sgd or rmsprop",
    ),
    ("train --step-epochs 2", "--step-epochs: expected only with --schedule step"),
    ("train --clip-value 0", "--clip-value: expected a finite number > 0, got '0'"),
    ("train --validation 1", "--validation: expected a share in (0, 1), got '1'"),
    ("train --activation gelu", "--activation: invalid choice: 'gelu'"),
    ("train --cell elman", "--cell: invalid choice: 'elman'"),
    ("train --cell gru --activation relu", "--activation: expected tanh with --cell gru"),
    ("train --cell leaky", "--leak: expected with --cell leaky, and only there"),
    ("train --leak 0.5", "--leak: expected with --cell leaky, and only there"),
    ("train --cell leaky --leak 0", "--leak: expected a number in (0, 1], got '0'"),
    ("train --resume small --cell gru", "--cell: expected vanilla, as small has, got gru"),
    ("train --resume small --leak 0.5", "--leak: expected no --leak, as small has, got 0.5"),
    ("train --start small --hidden 4", "--hidden: expected 3, as small has, got 4"),
    ("train --resume small --layers 2", "--layers: expected 1, as small has, got 2"),
    ("train --resume small --activation relu", "--activation: expected tanh, as small has"),
    ("train --start small --dtype float64", "--dtype: expected float32, as small has"),
    ("train --resume small --dropout 0.5", "--dropout: expected 0.0, as small has, got 0.5"),
    ("train --start small --resume small", "--start: expected only without --resume"),
    ("train --start small --units words", "--units: expected characters, as small has, got words"),
    ("train --start small --most 1", "--most: expected at least 2, as small has, got 1"),
    ("train --most 0", "--most: expected a whole number in 1..2147483647"),
    ("train --units bytes --most 3", "--most: expected only with --units characters or words"),
    ("sample small --unknown x", "--unknown: invalid choice: 'x'"),
    ("sample small -n -1", "crnn sample: -n/--length: expected a whole number in 0..2147483647"),
    ("sample small --temperature -1", "--temperature: expected a finite number >= 0, got '-1'"),
    ("sample small --temperature inf", "--temperature: expected a finite number >= 0, got 'inf'"),
    ("sample small --seed -1", "--seed: expected a whole number in 0.."),
]
FILES = [
    ("train --text none.txt", "none.txt: No such file or directory"),
    ("train --text .", "directory"),
    ("train --text empty.txt", "empty.txt: the file is empty"),
    ("train --text mark.txt", "mark.txt: the file is empty"),
    ("train --text binary", "binary: not UTF-8 text (invalid start byte at byte 0)"),
    ("train --text one.txt", "--text: expected at least 2 different characters, got 'a' alone"),
    ("train --text short.txt", "the text of 5 characters is too short for --batch 32"),
    ("train --text words.txt --out none/m", "--out: "),
    ("train --text words.txt --out .", "--out: .: Is a directory"),
    ("train --text words.txt --out /", "--out: /: Is a directory"),
    ("train --text words.txt --out words.txt/m", "--out: "),
    (f"train --text words.txt --out {'m' * 300}", "--out: "),
    ("train --text words.txt --out ./words.txt", "--out: expected another file than --text"),
    ("train --text words.txt --hidden 2147483647", "--hidden 2147483647, --layers 1: too large"),
    ("train --text words.txt --resume words.txt", "not a model of crnn's"),
    ("train --text words.txt --resume plain", "plain: the model has no vocabulary"),
    (
        "train --text words.txt --resume small",
        "--text: character 't' is not among the 2 of this vocabulary; --unknown skip leaves such",
    ),
    ("train --text empty.txt --units bytes", "--text: empty.txt: the file is empty"),
    ("inspect small --text words.txt", "--text: character 't' is not among the 2"),
    ("sample none", "none: No such file or directory"),
    ("sample .", "directory"),
    ("sample words.txt", "words.txt: not a model of crnn's, or damaged"),
    ("sample plain", "plain: the model has no vocabulary, so it is not a model of text"),
    ("sample odd", "odd: its vocabulary does not fit its inputs and outputs"),
    ("sample last", "last: not a model that predicts the next character"),
    ("sample small --prime Q", "--prime: character 'Q' is not among the 2"),
    ("sample small --prime Q --unknown replace", "sample: --unknown: expected 'error' or 'skip'"),
    (
        "train --text words.txt --start small --unknown replace",
        "train: --unknown: expected 'error'",
    ),
    (
        "train --text words.txt --out short.txt",
        "--out: short.txt: not a model of crnn's, or damaged",
    ),
]
HOSTILE = ['{"a": 0, "b": 1}', '["abc", "def"]', '["a", ["b"]]', "[" * 100_000, "2", "null", '""']


class TestErrors:
    """Errors print one line, exit with code 2 and leave stdout and all files unchanged."""

    @pytest.fixture(autouse=True)
    def files(self, tmp_path, run):
        (tmp_path / "empty.txt").write_text("")
        (tmp_path / "mark.txt").write_text("", encoding="utf-8-sig")
        (tmp_path / "short.txt").write_text("abcab")
        (tmp_path / "one.txt").write_text("a" * 999)
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        model = crnn.RNN(2, 3, 2, steps="all", rng=0)
        model.save("plain")
        for name, characters in (("odd", '"abc"'), ("small", '"ab"')):
            model.metadata["vocabulary"] = characters
            model.save(name)
        model = crnn.RNN(2, 3, 2, rng=0)
        model.metadata["vocabulary"] = '"ab"'
        model.save("last")
        return sorted(os.listdir(tmp_path))

    def check_error(self, run, files, arguments, message):
        code, out, err = run(*arguments)
        assert code == 2
        assert out == ""
        assert len(err.splitlines()) == 1
        assert err.startswith("crnn")
        assert message in err
        assert sorted(os.listdir()) == files

    @pytest.mark.parametrize(("arguments", "message"), USAGE)
    def test_usage_errors(self, run, files, arguments, message):
        self.check_error(run, files, arguments.split(), message)

    @pytest.mark.parametrize(("arguments", "message"), FILES)
    def test_file_errors(self, run, files, arguments, message):
        self.check_error(run, files, arguments.split(), message)

    @pytest.mark.parametrize("option", ["--out", "--text", "--resume"])
    @pytest.mark.parametrize("name", ["", "-"])
    def test_invalid_file_names(self, run, files, option, name):
        message = f"{option}: expected the name of a file, got {name!r}"
        self.check_error(run, files, ["train", option, name], message)

    @pytest.mark.parametrize("vocabulary", HOSTILE, ids=range(len(HOSTILE)))
    @pytest.mark.parametrize(
        "command", ["sample hostile", "train --text words.txt --resume hostile"]
    )
    def test_invalid_vocabularies(self, run, files, vocabulary, command):
        model = crnn.RNN(2, 3, 2, steps="all", rng=0)
        model.metadata["vocabulary"] = vocabulary
        model.save("hostile")
        message = "hostile: the model has no vocabulary"
        self.check_error(run, sorted([*files, "hostile"]), command.split(), message)

    def test_a_read_only_output_file(self, run, files, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
        command = ["train", "--text", "words.txt", "--out", "small"]
        self.check_error(run, files, command, "--out: small: Permission denied")

    def test_a_read_only_output_folder(self, run, files, monkeypatch):
        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(_atomic, "open", refuse, raising=False)
        self.check_error(
            run, files, ["train", "--text", "words.txt"], "model.safetensors: Permission"
        )

    def test_a_blas_that_cannot_set_its_threads(self, run, files, monkeypatch):
        def refuse(_):
            raise RuntimeError("no way")

        monkeypatch.setattr(crnn, "set_num_threads", refuse)
        self.check_error(run, files, ["check", "--threads", "1"], "--threads: no way")


def test_a_temperature_near_zero_equals_zero(run, trained):
    code, out, err = run("sample", trained, "-n", "30", "--temperature", "1e-320", "--seed", "0")
    assert (code, err) == (0, "")
    assert out == run("sample", trained, "-n", "30", "--temperature", "0")[1]


def test_a_python_without_help_topics_is_an_error(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    code, _, err = run("train")
    assert code == 2
    assert "--text: expected a file, this Python has no pydoc_data.topics" in err


def test_runs_with_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "crnn", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"crnn {crnn.__version__}\n"


class TestVocabulary:
    def test_encode_decode_round_trip(self):
        vocabulary = text.Vocabulary.of(WORDS)
        assert vocabulary.decode(vocabulary.encode(WORDS)) == WORDS
        assert len(vocabulary) == 14

    @pytest.mark.parametrize(
        ("n", "dtype"), [(1, "u1"), (255, "u1"), (256, "u1"), (257, "u2"), (0xD800, "u2")]
    )
    def test_symbols_have_the_smallest_dtype(self, n, dtype):
        characters = "".join(map(chr, range(n)))
        symbols = text.Vocabulary(characters).encode(characters)
        assert symbols.dtype == dtype
        np.testing.assert_array_equal(symbols, np.arange(n))

    def test_encoding_in_several_chunks(self, monkeypatch):
        monkeypatch.setattr(text.characters, "CHUNK", 4)
        words = "a\U0010ffff\0b" * 5 + "\ud800ba"  # plane 16, null, a lone surrogate
        vocabulary = text.Vocabulary.of(words)
        assert vocabulary.characters == "\0ab\ud800\U0010ffff"
        np.testing.assert_array_equal(vocabulary.encode(words), [1, 4, 0, 2] * 5 + [3, 2, 1])
        assert vocabulary.decode(vocabulary.encode(words)) == words
        with pytest.raises(ValueError, match="character 'z' is not among the 5"):
            vocabulary.encode(words + "z")

    @pytest.mark.parametrize("unknown", ["c", "\0", "\U0010ffff"])
    def test_encode_refuses_unknown_characters(self, unknown):
        with pytest.raises(ValueError, match=r"character .+ is not among the 2 of"):
            text.Vocabulary("bd").encode("bd" + unknown)

    @pytest.mark.parametrize("characters", ["", "aba"])
    def test_characters_must_differ(self, characters):
        with pytest.raises(ValueError, match="characters: expected at least one, and each only"):
            text.Vocabulary(characters)

    @pytest.mark.parametrize("characters", [["a", "b"], {"a": 0}, None])
    def test_characters_must_be_a_str(self, characters):
        with pytest.raises(TypeError, match="characters: expected a str"):
            text.Vocabulary(characters)

    @pytest.mark.parametrize("symbols", [[True], [np.False_], np.array([True]), [1.0], ["a"], 1])
    def test_decode_refuses_non_integers(self, symbols):
        with pytest.raises(TypeError, match=r"symbols: expected integers \(N,\), got"):
            text.Vocabulary("ab").decode(symbols)

    @pytest.mark.parametrize("k", [-1, 14, 10**30])
    @pytest.mark.parametrize("given", [list, iter, np.array])
    def test_decode_refuses_symbols_out_of_range(self, k, given):
        with pytest.raises(ValueError, match=rf"symbols: expected integers in 0\.\.13, got {k}"):
            text.Vocabulary.of(WORDS).decode(given([0, k]))
