"""The command line: what it writes, and one line with exit code 2 for what cannot be done."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import crnn
from crnn import check, cli, text

WORDS = "the cat sat on the mat and the dog sat on the log. " * 120
SMALL = ["--hidden", "24", "--batch", "8", "--steps", "16", "--epochs", "2", "--length", "40"]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")

    def run(*arguments):
        code = cli.main(list(arguments))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def trained(run):
    assert run("train", "--text", "words.txt", *SMALL)[0] == 0
    return "model.safetensors"


class TestTrain:
    def test_reports_writes_and_samples(self, run):
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

    def test_same_seed_same_model(self, run):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            run("train", "--text", "words.txt", *SMALL, "--out", name, "--seed", seed)
        a, b, c = (crnn.load(name).parameters["Waa"] for name in "abc")
        np.testing.assert_array_equal(a, b)
        assert np.any(a != c)

    def test_every_option_reaches_the_model(self, run):
        code, out, err = run(
            "train", "--text", "words.txt", *SMALL, "--layers", "2", "--activation", "relu",
            "--dtype", "float64", "--optimizer", "sgd", "--lr", "0.1", "--momentum", "0.9",
            "--clip", "0.5", "--patience", "1", "--validation", "0.2", "--quiet",
            "--threads", str(crnn.get_num_threads()),
        )  # fmt: skip
        assert code == 0
        assert err == ""
        assert "4896 to learn from, 1224 held out" in out
        config = crnn.load("model.safetensors").config
        assert (config.num_layers, config.activation, config.dtype) == (2, "relu", "float64")

    def test_resume_goes_on(self, run, trained):
        code, out, _ = run("train", "--text", "words.txt", *SMALL, "--resume", trained)
        assert code == 0
        first = float(out.split("held out ")[2].split()[0])
        assert first < 3, "a fresh model would start near log2(14) = 3.8 bits"

    def test_the_default_text_is_pythons_topics(self, run):
        code, out, _ = run(
            "train", "--hidden", "4", "--batch", "512", "--steps", "512", "--epochs", "1", "--quiet"
        )
        assert code == 0
        assert f"{len(text.python_topics())} characters" in out

    def test_divergence_is_one_line_and_keeps_the_last_good_model(self, run):
        arguments = ["--optimizer", "sgd", "--lr", "1e39", "--quiet"]
        code, _, err = run("train", "--text", "words.txt", *SMALL, *arguments)
        assert code == 1
        assert err.startswith("crnn train: training diverged at step 1: the update is not finite")
        assert len(err.splitlines()) == 1
        assert np.isfinite(crnn.load("model.safetensors").parameters["Waa"]).all()

    @pytest.mark.skipif(sys.platform == "win32", reason="signals")
    def test_ctrl_c_keeps_the_model_of_the_last_step(self, tmp_path):
        (tmp_path / "words.txt").write_text(WORDS)
        command = [sys.executable, "-m", "crnn", "train", "--text", "words.txt", *SMALL]
        child = subprocess.Popen(
            [*command, "--epochs", "1000000"], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while "epoch 1/" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGINT)
        out = child.communicate(timeout=30)[0]
        assert child.returncode == 0
        assert "interrupted: the model of the last finished step is kept" in out
        assert crnn.load(tmp_path / "model.safetensors").config.n_a == 24


class TestSample:
    def test_begins_with_the_prime(self, run, trained):
        code, out, _ = run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "1")
        assert code == 0
        assert out.startswith("the ")
        assert len(out) == 4 + 60 + 1
        assert run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "1")[1] == out
        assert run("sample", trained, "--prime", "the ", "-n", "60", "--seed", "2")[1] != out

    def test_a_reader_that_leaves_is_no_error(self, trained):
        done = subprocess.run(
            f"{sys.executable} -m crnn sample {trained} -n 200000 | head -c 10",
            shell=True, capture_output=True, text=True,
        )  # fmt: skip
        assert len(done.stdout) == 10
        assert done.stderr == ""

    def test_what_a_terminal_cannot_show_becomes_a_question_mark(self, run, tmp_path):
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
    def test_fails_where_a_number_is_wrong(self, run, monkeypatch, error):
        monkeypatch.setattr(check, "run", lambda: iter([check.Result("x", 1, error, 0.1)]))
        code, out, _ = run("check")
        assert code == 1
        assert "SOME COMPARISONS FAILED" in out

    def test_sees_a_kernel_that_is_wrong(self, monkeypatch):
        monkeypatch.setattr(check, "rnn_forward", lambda *a, **k: 1.001 * crnn.rnn_forward(*a, **k))
        assert not all(result.passed for result in check.run())


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("train --text none.txt", "none.txt: No such file or directory"),
            ("train --text .", "directory"),
            ("train --text empty.txt", "empty.txt: the file is empty"),
            ("train --text binary", "binary: not UTF-8 text (invalid start byte at byte 0)"),
            ("train --text short.txt", "the text of 5 characters is too short for 32 rows"),
            ("train --text words.txt --out none/m", "--out: there is no folder"),
            ("train --text words.txt --validation 1", "--validation: expected a share in (0, 1)"),
            ("train --text words.txt --hidden 0", "n_a: expected a whole number >= 1, got 0"),
            ("train --text words.txt --lr -1", "lr: expected a finite number > 0"),
            ("train --text words.txt --threads 0", "n: expected a whole number >= 1, got 0"),
            ("train --text words.txt --resume words.txt", "not a model of crnn's"),
            ("train --text words.txt --resume plain", "plain: a model without a vocabulary"),
            ("sample none", "none: No such file or directory"),
            ("sample words.txt", "words.txt: not a model of crnn's, or damaged"),
            ("sample plain", "plain: a model without a vocabulary, not one of text"),
            ("sample odd", "odd: its vocabulary does not fit its inputs"),
            ("sample small --prime Q", "--prime: character 'Q' is not among the 2"),
            ("sample small --temperature -1", "temperature: expected a finite number >= 0"),
            ("sample small -n -1", "n: expected a whole number >= 0, got -1"),
        ],
    )
    def test_are_one_line_and_exit_code_2(self, run, tmp_path, arguments, message):
        (tmp_path / "empty.txt").write_text("")
        (tmp_path / "short.txt").write_text("abcab")
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
        model = crnn.RNN(2, 3, 2, steps="all", rng=0)
        model.save("plain")
        for name, characters in (("odd", '"abc"'), ("small", '"ab"')):
            model.metadata["vocabulary"] = characters
            model.save(name)
        code, _, err = run(*arguments.split())
        assert code == 2
        lines = [line for line in err.splitlines() if line.startswith("crnn ")]
        assert len(lines) == 1
        assert message in lines[0]

    @pytest.mark.parametrize("arguments", [[], ["fly"], ["train", "--hidden", "many"], ["sample"]])
    def test_of_usage_exit_with_2(self, run, arguments):
        with pytest.raises(SystemExit) as exit_:
            run(*arguments)
        assert exit_.value.code == 2


def test_a_python_without_topics_says_so(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data", None)
    code, _, err = run("train")
    assert code == 2
    assert "this Python ships no pydoc_data.topics: name a --text" in err


def test_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "crnn", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"crnn {crnn.__version__}\n"


class TestVocabulary:
    def test_there_and_back(self):
        vocabulary = text.Vocabulary.of(WORDS)
        assert vocabulary.decode(vocabulary.encode(WORDS)) == WORDS
        assert len(vocabulary) == 14

    @pytest.mark.parametrize("characters", ["", "aba"])
    def test_characters_must_differ(self, characters):
        with pytest.raises(ValueError, match="characters: expected at least one, and each only"):
            text.Vocabulary(characters)
