"""One line with exit code 2 for each error of the command line."""

import os
import sys

import pytest

import crnn
from crnn import _atomic

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


def test_a_python_without_help_topics_is_an_error(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    code, _, err = run("train")
    assert code == 2
    assert "--text: expected a file, this Python has no pydoc_data.topics" in err
