"""crnn eval: bits per character, perplexity and accuracy of a text."""

import numpy as np
import pytest

import crnn
from crnn import cli
from crnn.text import Vocabulary

TEXT = "to be or not to be, that is the question. " * 8


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model of TEXT's characters, and texts."""
    monkeypatch.chdir(tmp_path)
    vocabulary = Vocabulary.of(TEXT)
    model = crnn.RNN(len(vocabulary), 8, len(vocabulary), steps="all", rng=0)
    model.metadata["vocabulary"] = f'"{vocabulary.characters}"'
    model.save("model")
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")
    (tmp_path / "empty").write_text("", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "one").write_text("t", encoding="utf-8")
    (tmp_path / "other").write_text("to be or no? to be", encoding="utf-8")
    return tmp_path


def test_the_figures_are_those_of_the_equations(folder, capsys):
    """One row from the zero state: every character but the first is predicted from all before."""
    assert cli.main(["eval", "model", "text"]) == 0
    model, symbols = crnn.load("model"), Vocabulary.of(TEXT).encode(TEXT)
    y_hat = model.predict_proba(symbols[:-1, None])[:, 0]  # (N - 1, n_y)
    bits = -np.log2(y_hat[np.arange(len(y_hat)), symbols[1:]]).mean()
    right = (y_hat.argmax(axis=1) == symbols[1:]).mean()
    assert capsys.readouterr().out == (
        f"{len(TEXT) - 1} characters predicted: {bits:.3f} bits per character, "
        f"perplexity {2**bits:.3f}, {right:.3f} of them right\n"
    )


def test_rows_are_read_side_by_side(folder, capsys):
    assert cli.main(["eval", "model", "text", "--batch", "10"]) == 0
    loss, _ = crnn.load("model").evaluate_stream(Vocabulary.of(TEXT).encode(TEXT), 10)
    out = capsys.readouterr().out
    assert out.startswith("330 characters predicted: ")  # of 336, 33 steps of 10 rows
    assert f" {loss / np.log(2):.3f} bits" in out


def test_unknown_text_names_the_option(folder, capsys):
    assert cli.main(["eval", "model", "other"]) == 2
    assert capsys.readouterr().err.endswith("; --unknown skip leaves such ones out\n")


def test_one_character_is_one(folder, capsys):
    (folder / "two").write_text("tox", encoding="utf-8")
    assert cli.main(["eval", "model", "two", "--unknown", "skip"]) == 0
    assert capsys.readouterr().out.startswith("1 character predicted: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "none"], "crnn eval: none: No such file or directory\n"),
        (["model", "one"], "crnn eval: one: expected at least 2 characters, got 1\n"),
        (["text", "text"], "crnn eval: text: not a model of crnn's, or damaged"),
        (
            ["model", "other"],
            "crnn eval: other: character '?' is not among the 15 of this voc",
        ),
        (["model", "empty"], "crnn eval: empty: the file is empty\n"),
        (["model", "binary"], "crnn eval: binary: not UTF-8 text (invalid start byte at byte 0)"),
        (["model", "text", "--unknown", "replace"], "crnn eval: --unknown: expected 'error' or"),
    ],
)
def test_errors_are_one_line(folder, capsys, arguments, message):
    assert cli.main(["eval", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
