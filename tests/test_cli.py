"""The command line: `sample`, `check`, and how it is called."""

import subprocess
import sys

import numpy as np
import pytest
from cli_runs import SMALL

import crnn
from crnn import check
from crnn.check import vanilla


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


def test_a_temperature_near_zero_equals_zero(run, trained):
    code, out, err = run("sample", trained, "-n", "30", "--temperature", "1e-320", "--seed", "0")
    assert (code, err) == (0, "")
    assert out == run("sample", trained, "-n", "30", "--temperature", "0")[1]


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
        monkeypatch.setattr(
            vanilla, "rnn_forward", lambda *a, **k: 1.001 * crnn.rnn_forward(*a, **k)
        )
        assert not all(result.passed for result in check.run())


def test_runs_with_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "crnn", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"crnn {crnn.__version__}\n"
