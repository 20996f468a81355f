"""crnn inspect: a table and a picture of a text model's gradient."""

import numpy as np
import pytest

import crnn
import crnn.inspect
from crnn import cli

TEXT = "to be or not to be, that is the question. " * 8


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "text").write_text(TEXT, encoding="utf-8")
    out = folder / "model.safetensors"
    options = ["--hidden", "8", "--epochs", "1", "--batch", "2", "--quiet", "--length", "0"]
    assert cli.main(["train", "--text", str(folder / "text"), "--out", str(out), *options]) == 0
    return out


def run(model, *options):
    return cli.main(["inspect", str(model), "--text", str(model.with_name("text")), *options])


def test_the_table_has_the_rate_of_the_last_step_alone(model, capsys):
    assert run(model, "--steps", "30", "--windows", "1") == 0
    shown = capsys.readouterr().out
    net = crnn.load(model)
    characters = sorted(set(TEXT))
    symbols = np.array([characters.index(c) for c in TEXT])[:31, None]
    last = np.zeros((30, 1))
    last[-1] = 1
    flow = crnn.inspect.gradient_flow(net, symbols[:-1], symbols[1:], sample_weight=last)
    assert f"{flow.rate[0]:.4f}" in shown
    assert f"{flow.loss / np.log(2):.3f} bits" in shown


def test_windows_of_words_are_counted_in_words(model, tmp_path, capsys):
    out, small = tmp_path / "m", ["--hidden", "8", "--epochs", "1", "--batch", "2", "--quiet"]
    text = str(model.with_name("text"))
    command = ["train", "--text", text, "--units", "words", "--out", str(out), *small]
    assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main(["inspect", str(out), "--text", text, "--steps", "5", "--windows", "2"]) == 0
    assert capsys.readouterr().out.startswith("2 windows of 5 words, ")


def test_unknown_text_can_be_skipped(model, tmp_path, capsys):
    other = tmp_path / "other"
    other.write_text(TEXT.replace("b", "B"), encoding="utf-8")
    command = ["inspect", str(model), "--text", str(other), "--steps", "5", "--windows", "2"]
    assert cli.main(command) == 2
    assert "--unknown skip leaves such ones out" in capsys.readouterr().err
    assert cli.main([*command, "--unknown", "skip"]) == 0


def test_the_picture_is_written(model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert run(model, "--steps", "20", "--plot", str(tmp_path / "flow.png")) == 0
    assert (tmp_path / "flow.png").stat().st_size > 1000
    assert "wrote" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "100000"], "--text: expected more than 100000 characters"),
        (["--plot", "no/such/folder/flow.png"], "--plot: "),
        (["--plot", "flow.abc"], "--plot: expected a name ending in"),
    ],
)
def test_errors_are_one_line(model, options, message, capsys):
    assert run(model, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_character_that_the_model_does_not_know(model, tmp_path, capsys):
    other = tmp_path / "other"
    other.write_text("A" * 500, encoding="utf-8")
    assert cli.main(["inspect", str(model), "--text", str(other)]) == 2
    assert "--text: " in capsys.readouterr().err
