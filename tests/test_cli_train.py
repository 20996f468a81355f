"""`crnn train`: what it prints, the model that it writes, and its options."""

import io
import sys

import numpy as np
import pytest
from cli_runs import BRIEF, SMALL, WORDS

import crnn
from crnn import text
from crnn._training import batches
from crnn.cli import options, train
from crnn.schedules import Cosine, Linear, Step, Warmup


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
