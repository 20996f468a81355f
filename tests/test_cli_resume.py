"""crnn train --resume: a training that was stopped goes on with its options, or is named."""

import os
import signal
import subprocess
import sys

import pytest
from cli_runs import BRIEF, SMALL, WORDS, parameters, raise_signals_in_step

import crnn
from crnn import files
from crnn._training import train


class TestResume:
    """A training that was stopped goes on to the same end."""

    def lines(self, out):
        """What was printed of each epoch, without times."""
        return [
            line.split("  ")[:2] for line in out.splitlines() if "bits per character" in line
        ] + [out.split("of training")[-1]]

    @pytest.fixture
    def whole(self, run):
        """The lines and the bits of a training that never stopped."""
        code, out, _ = run("train", "--text", "words.txt", *SMALL, "--out", "whole")
        assert code == 0
        return self.lines(out), parameters("whole")

    @pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
    @pytest.mark.parametrize("step", [1, 30, 43, 44])
    def test_after_kill(self, run, whole, step):
        """By SIGKILL in the middle of a step; an epoch has 43 steps."""
        code = f"""
import os, signal, sys, crnn
from datetime import timedelta
from crnn import cli
from crnn._training import train as steps
from crnn.cli import train
steps.compiled = lambda *_: None  # each step is taken in Python
step = crnn.Adam.step
def kills(self, parameters, gradients, memory):
    step(self, parameters, gradients, memory)
    if memory["step"] == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
crnn.Adam.step = kills
train.EVERY = timedelta(microseconds=1)
cli.main(sys.argv[1:])
"""
        arguments = ["train", "--text", "words.txt", *SMALL, "--out", "m"]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert files.load_training("m")[3].entry["state"]["steps"] == step - 1
        code, out, _ = run(*arguments, "--resume", "m")
        assert code == 0
        assert (self.lines(out), parameters("m")) == whole

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_after_a_signal(self, run, whole, monkeypatch, number):
        with monkeypatch.context() as patch:
            raise_signals_in_step(patch, 50, number)
            before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                code, out, _ = run("train", "--text", "words.txt", *SMALL, "--out", "m")
            finally:
                signal.signal(signal.SIGTERM, before)
        assert code == 128 + number
        code, out, err = run("train", "--text", "words.txt", *BRIEF, "--resume", "m")
        assert code == 0
        assert (self.lines(out), parameters("m")) == whole
        assert "epoch 2/2" in err
        assert "11.0k/11.0k" in err

    def test_a_stopped_training_is_not_replaced(self, run, monkeypatch):
        """By the command that began it, given again without --resume."""
        arguments = ["train", "--text", "words.txt", *SMALL]
        with monkeypatch.context() as patch:
            raise_signals_in_step(patch, 50, signal.SIGINT)
            assert run(*arguments)[0] == 130
        before = parameters("model.safetensors")
        code, _, err = run(*arguments)
        assert code == 2
        assert err == (
            "crnn train: --out: model.safetensors has a training that was stopped after 50 steps. "
            "--resume model.safetensors continues it; to begin a new one, delete the file or name "
            "another\n"
        )
        assert parameters("model.safetensors") == before
        assert run(*arguments, "--start", "model.safetensors")[0] == 0, "it names the file"
        assert run(*arguments)[0] == 0, "the training in the file is complete"

    def test_with_more_epochs(self, run, whole):
        arguments = ["train", "--text", "words.txt", *SMALL]
        run(*arguments, "--epochs", "1", "--out", "m")
        code, out, _ = run(*arguments, "--resume", "m")
        lines, bits = whole
        found = self.lines(out)
        assert [line[1] for line in found[:2]] == [line[1] for line in lines[:2]]
        assert (code, found[2], parameters("m")) == (0, lines[2], bits)

    def test_a_complete_training_is_only_shown(self, run, whole, monkeypatch):
        monkeypatch.setattr(train, "compiled", lambda *_: None)  # so that steps are in Python
        monkeypatch.setattr(crnn.Adam, "step", lambda *_: pytest.fail("trained"))
        with open("whole", "rb") as file:
            before = file.read()
        code, out, _ = run("train", "--text", "words.txt", *BRIEF, "--resume", "whole")
        assert (code, self.lines(out)) == (0, whole[0])
        with open("whole", "rb") as file:
            assert file.read() == before

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("--batch 4", "--batch: expected 8, as in m, got 4; --start m begins a new training"),
            ("--steps 8", "--steps: expected 16, as in m, got 8"),
            ("--clip 0", "--clip: expected 1.0, as in m, got 0.0"),
            ("--clip-value 1", "--clip-value: expected none, as in m, got 1.0"),
            ("--patience 3", "--patience: expected none, as in m, got 3"),
            ("--epochs 1", "--epochs: expected at least 2, as in m, got 1"),
            ("--lr 1", "--lr: expected 0.002, as in m, got 1.0; --start m begins a new training"),
            ("--optimizer sgd", "--optimizer: expected adam, as in m, got sgd"),
            ("--schedule cosine", "--schedule: expected constant, as in m, got cosine"),
            ("--weight-decay 0.1", "--weight-decay: expected none, as in m, got 0.1"),
            ("--validation 0.2", "--validation: expected 0.1, as in m, got 0.2"),
            ("--shards 2", "--shards: m has the training of one process without shards, which"),
            ("--unknown skip", "--unknown: expected none, as in m, got skip"),
            ("--text other.txt", "--text: expected the text that m was trained with; --start m"),
            ("--text none.txt", "--text: none.txt: No such file or directory; --text says where"),
            ("--hidden 25", "--hidden: expected 24, as m has, got 25"),
        ],
    )
    def test_other_options_are_refused_by_name(self, run, whole, options, message):
        os.replace("whole", "m")
        with open("other.txt", "w", encoding="utf-8") as file:
            file.write(WORDS[::-1])
        bits = parameters("m")
        code, _, err = run("train", "--resume", "m", *options.split())
        assert code == 2
        assert err.startswith(f"crnn train: {message}")
        assert len(err.splitlines()) == 1
        assert parameters("m") == bits

    def test_options_that_are_not_typed_are_those_of_the_file(self, run, monkeypatch):
        """Also those that were not typed the first time, and --epochs unless it is typed."""
        options = [
            "--text", "words.txt", *SMALL, "--epochs", "3", "--optimizer", "adamw", "--lr", "0.01",
            "--schedule", "step", "--step-epochs", "2", "--warmup", "3", "--clip-value", "0.1",
            "--patience", "2", "--validation", "0.2", "--shards", "2", "--seed", "5",
        ]  # fmt: skip
        code, out, _ = run("train", *options, "--out", "whole")
        assert code == 0
        whole = self.lines(out), parameters("whole")
        with monkeypatch.context() as patch:
            raise_signals_in_step(patch, 50, signal.SIGINT)
            code, out, _ = run("train", *options, "--out", "m")
        assert code == 130
        assert "--resume m continues\n" in out
        code, out, _ = run("train", "--resume", "m", "--length", "40")
        assert code == 0
        assert (self.lines(out), parameters("m")) == whole
        code, out, _ = run("train", "--resume", "m", "--epochs", "4")
        assert code == 0
        assert out.count("bits per character") == 4
        assert run("train", "--resume", "m", "--quiet")[1].count("epoch 4/4") == 1, "kept"

    @pytest.mark.parametrize(
        ("entry", "why"),
        [
            ("{", "Expecting"),
            ('{"lr": 1}', "expected a list of text"),
            ("[3]", "expected a list of text"),
            ('["--batch=x"]', "crnn train: --batch: expected a whole number in 1..2147483647"),
            ('["--colour=x"]', "crnn: unrecognized arguments: --colour=x"),
            ("[" * 100_000, "maximum recursion depth"),
        ],
        ids=range(6),
    )
    def test_damaged_options(self, run, whole, entry, why):
        config, weights, metadata, training = files.load_training("whole")
        files.save("m", config, weights, {**metadata, "options": entry}, training)
        before = parameters("m")
        code, out, err = run("train", "--resume", "m")
        assert (code, out) == (2, "")
        assert err.startswith(f"crnn train: m: its options are damaged: {why}")
        assert len(err.splitlines()) == 1
        assert parameters("m") == before

    def test_a_training_of_fit_stream_has_no_options(self, run, whole):
        """Then they are typed, and what differs is named as well as it can be."""
        config, weights, metadata, training = files.load_training("whole")
        del metadata["options"]
        files.save("m", config, weights, metadata, training)
        for other, message in (
            ("--lr 1", "--optimizer, --lr, --schedule, --warmup, --momentum, --weight-decay: exp"),
            ("--validation 0.2", "--text, --validation: expected those that m was trained with"),
        ):
            command = ["train", "--text", "words.txt", *BRIEF, "--resume", "m", *other.split()]
            code, _, err = run(*command)
            assert (code, err[:12]) == (2, "crnn train: ")
            assert err[12:].startswith(message)
        assert run("train", "--text", "words.txt", *BRIEF, "--resume", "m")[0] == 0

    def test_start_begins_a_new_training(self, run, whole):
        start = ["train", "--text", "words.txt", *BRIEF, "--lr", "1e-6", "--start", "whole"]
        code, out, _ = run(*start, "--epochs", "1")
        assert code == 0
        assert "epoch 1/1" in out
        assert float(out.split("held out ")[1].split()[0]) < 3
        assert parameters("whole") == whole[1], "--out is model.safetensors"

    def test_a_file_with_a_model_alone_begins_a_new_training(self, run, whole):
        crnn.load("whole").save("plain")
        before = parameters("plain")
        code, out, _ = run("train", "--text", "words.txt", *BRIEF, "--resume", "plain")
        assert code == 0
        assert "a new training begins with the model of plain\n" in out
        assert parameters("plain") == before
        assert files.load_training("model.safetensors")[3].entry["state"]["steps"] == 86

    def test_a_full_disk_keeps_the_last_good_file(self, run, monkeypatch):
        fsync, room = os.fsync, [2]

        def full(file):
            room[0] -= 1
            if room[0] < 0:
                raise OSError(28, "No space left on device")
            fsync(file)

        monkeypatch.setattr(os, "fsync", full)
        code, _, err = run("train", "--text", "words.txt", *SMALL, "--quiet")
        assert code == 2
        assert err.startswith("crnn train: ")
        assert err.endswith("model.safetensors: No space left on device\n")
        assert len(err.splitlines()) == 1
        assert files.load_training("model.safetensors")[3].entry["state"]["steps"] == 43
