"""docs/faq.md: its examples run, and its messages are those that crnn raises."""

import re
from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn._extras import extra
from crnn.data import sliding_windows

PAGE = Path(__file__).parent.parent / "docs" / "faq.md"
MESSAGES = [block.strip() for block in pages.blocks(PAGE.read_text(encoding="utf-8"), "pytb")]

X = np.random.default_rng(0).standard_normal((20, 8, 3)).astype("float32")  # (T, m, n_x)
CLASSES = np.zeros(8, int)


def model(**options):
    return crnn.RNN(3, 16, 2, rng=0, **options)


def nan_in_the_data():
    x = X.copy()
    x[3, 2, 1] = np.nan
    model().fit(x, CLASSES, progress=False)


def text_in_a_table():
    table = np.ones((144, 2), object)
    table[4, 1] = "12,5"
    sliding_windows(table, 24, 12)


def a_file_that_is_none():
    Path("notes.safetensors").write_text("hello world, this is text", encoding="utf-8")
    crnn.load("notes.safetensors")


def a_missing_library():
    with extra("torch", "PyTorch"):
        raise ModuleNotFoundError(name="torch")


#: What raises each message, by the beginning of the message.
CASES = {
    "ValueError: y: expected shape (20,),": lambda: model().fit(
        X.swapaxes(0, 1), CLASSES, progress=False
    ),
    "ValueError: y: expected shape (20, 8)": lambda: model(steps="all").fit(
        X, CLASSES, progress=False
    ),
    "TypeError: y: expected integers": lambda: model().fit(X, np.zeros(8), progress=False),
    "ValueError: y: expected integers in 0..1": lambda: model().fit(
        X, [0, 1, 2, 0, 0, 0, 0, 0], progress=False
    ),
    "ValueError: n_y:": lambda: crnn.RNN(3, 16, 1),
    "TypeError: Wax:": lambda: crnn.rnn_forward(X, np.eye(4), np.ones((4, 3), "float32")),
    "ValueError: x: expected numbers of shape": lambda: model().predict(X[:, 0]),
    "ValueError: lengths:": lambda: model().predict(X, lengths=[21] * 8),
    "ValueError: series:": text_in_a_table,
    "DivergenceError:": nan_in_the_data,
    "ValueError: stream:": lambda: model(direction="bidirectional").stream(),
    "ValueError: sample:": lambda: model().sample(5),
    "ValueError: notes.safetensors:": a_file_that_is_none,
    "ModuleNotFoundError:": a_missing_library,
}

#: Raised while crnn is imported: tests/test_package.py provokes it.
AT_IMPORT = "ImportError: crnn's compiled extension is missing or does not load"


def test_its_examples_run():
    pages.run_python(PAGE)


def test_every_message_is_checked():
    rest = [message for message in MESSAGES if message != AT_IMPORT]
    assert [any(map(message.startswith, CASES)) for message in rest] == [True] * len(CASES)


@pytest.mark.parametrize("beginning", CASES)
def test_the_message_is_what_is_raised(beginning, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (message,) = (text for text in MESSAGES if text.startswith(beginning))
    name, words = message.split(": ", 1)
    with pytest.raises(Exception, match=f"^{re.escape(words)}$") as raised:
        CASES[beginning]()
    assert raised.type.__name__ == name
