"""Running the command line in tests: a small text, options, and what came of a run."""

import signal

import crnn
from crnn import cli
from crnn._training import train

WORDS = "the cat sat on the mat and the dog sat on the log. " * 120
BRIEF = ["--batch", "8", "--steps", "16", "--epochs", "2", "--length", "40"]
SMALL = ["--hidden", "24", *BRIEF]


def runner(capsys, tmp_path, monkeypatch):
    """A function that runs a command beside words.txt; it returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text(WORDS, encoding="utf-8")

    def run(*arguments):
        try:
            code = cli.main(list(arguments))
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return run


def parameters(path):
    """The bits of a model in a file."""
    return b"".join(p.tobytes() for p in crnn.load(path).parameters.values())


def raise_signals_in_step(monkeypatch, step, *numbers):
    """Raise signals during a step of Adam, when the parameters are partly updated.

    The steps are taken in Python: compiled ones, of which there are several in a call, end with it
    (tests/test_compiled_calls.py).
    """
    real, done = crnn.Adam.step, []

    def step_and_signal(self, parameters, *arguments):
        done.append(1)
        real(self, parameters, *arguments)
        if len(done) == step:
            for number in numbers:
                signal.raise_signal(number)

    monkeypatch.setattr(train, "compiled", lambda *_: None)
    monkeypatch.setattr(crnn.Adam, "step", step_and_signal)
