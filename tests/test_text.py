"""Vocabularies of characters, words and bytes; texts in files; the page on text."""

from pathlib import Path

import numpy as np
import pages
import pytest

import crnn
from crnn import cli, text
from crnn._engine import validate
from crnn.text import ByteVocabulary, Vocabulary, WordVocabulary

WORDS = "No, no:  to be, or\n\n not to be.\tNaïve “quotes” 'n 42 don't  "


def test_the_page_on_text_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages.run_python(Path(__file__).parent.parent / "docs" / "text.md")


@pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary, ByteVocabulary])
def test_decoding_undoes_encoding(kind):
    vocabulary = ByteVocabulary() if kind is ByteVocabulary else kind.of(WORDS)
    assert vocabulary.decode(vocabulary.encode(WORDS)) == WORDS
    assert vocabulary.encode("").shape == (0,)


def test_words_take_the_space_before_them():
    vocabulary = WordVocabulary.of("No, no:  to be\n be")
    split = [vocabulary.decode([k]) for k in vocabulary.encode("No, no:  to be\n be")]
    assert split == ["No", ",", " no", ":", " ", " to", " be", "\n", " be"]


def test_words_are_ordered_by_frequency_then_alphabet():
    vocabulary = WordVocabulary.of("b a b c a d", most=3)
    assert vocabulary.words == (" <unk>", " a", " b", " c")  # "b" without a space comes once too
    assert WordVocabulary.of("b a b", unknown=None).words == (" a", " b", "b")


def test_most_keeps_the_frequent_characters():
    assert Vocabulary.of("aaabbc", most=2).characters == "ab"
    assert Vocabulary.of("aaabbc", most=2, unknown="b").characters == "ab"


class TestUnknown:
    def test_the_three_choices(self):
        plain, with_one = Vocabulary("ab"), Vocabulary("ab?", unknown="?")
        with pytest.raises(ValueError, match="character 'x' is not among the 2"):
            plain.encode("axb")
        assert plain.decode(plain.encode("axb", "skip")) == "ab"
        assert with_one.decode(with_one.encode("axb")) == "a?b"
        assert with_one.decode(with_one.encode("axb", "skip")) == "ab"
        with pytest.raises(ValueError, match="character 'x' is not among the 3"):
            with_one.encode("axb", "error")

    def test_the_three_choices_for_words(self):
        plain = WordVocabulary(["a", " b"])
        with pytest.raises(ValueError, match="word ' c' is not among the 2"):
            plain.encode("a c")
        assert plain.decode(plain.encode("a c b", "skip")) == "a b"
        assert WordVocabulary.of("a b").decode(WordVocabulary.of("a b").encode("a c b")) == (
            "a <unk> b"
        )

    @pytest.mark.parametrize("vocabulary", [Vocabulary("ab"), WordVocabulary(["a"])])
    def test_what_cannot_be_is_refused(self, vocabulary):
        with pytest.raises(ValueError, match="unknown: expected 'error' or 'skip'"):
            vocabulary.encode("a", "replace")
        with pytest.raises(ValueError, match="unknown: expected one of 'error', 'skip', 'replace'"):
            vocabulary.encode("a", "drop")
        with pytest.raises(ValueError, match="unknown: expected one of the"):
            type(vocabulary)("ab" if vocabulary.unit == "character" else ["a"], unknown="z")


@pytest.mark.parametrize("words", ["ab", [1], None])
def test_words_must_be_str(words):
    with pytest.raises(TypeError, match="words: expected"):
        WordVocabulary(words)


@pytest.mark.parametrize("words", [[], ["a", "a"], [""]])
def test_words_must_differ(words):
    with pytest.raises(ValueError, match="words: expected at least one"):
        WordVocabulary(words)


@pytest.mark.parametrize("most", [0, -1])
def test_most_is_at_least_one(most):
    for kind in (Vocabulary, WordVocabulary):
        with pytest.raises(ValueError, match="most: expected a whole number >= 1"):
            kind.of("abc", most=most)


def test_bytes_that_are_no_text_become_marks():
    assert ByteVocabulary().decode([0xC3, 65]) == "\ufffdA"
    assert ByteVocabulary().encode(b"\xff\x00").tolist() == [255, 0]


class TestOfModel:
    @pytest.mark.parametrize(
        "vocabulary",
        [
            Vocabulary("abn"),
            Vocabulary("abn", unknown="a"),
            WordVocabulary(["a", " b"]),
            WordVocabulary([" <unk>", "a"], " <unk>"),
            ByteVocabulary(),
        ],
    )
    def test_gives_what_to_json_stored(self, vocabulary):
        n = len(vocabulary)
        model = crnn.RNN(n, 2, n, steps="all", rng=0)
        model.metadata["vocabulary"] = vocabulary.to_json()
        found = Vocabulary.of_model(model)
        assert type(found) is type(vocabulary)
        assert found.to_json() == vocabulary.to_json()

    def test_the_tokens_of_saliency_are_words(self):
        vocabulary = WordVocabulary.of("to be or not to be")
        model = crnn.RNN(len(vocabulary), 4, len(vocabulary), steps="all", rng=0)
        model.metadata["vocabulary"] = vocabulary.to_json()
        assert crnn.inspect.saliency(model, "to be now").tokens == ("to", " be", " <unk>")

    def test_refuses_a_model_without_or_with_another_one(self):
        model = crnn.RNN(3, 2, 3, steps="all", rng=0)
        with pytest.raises(ValueError, match="model: expected a vocabulary in its metadata"):
            Vocabulary.of_model(model)
        model.metadata["vocabulary"] = Vocabulary("ab").to_json()
        with pytest.raises(ValueError, match="its vocabulary of 2 characters does not fit"):
            Vocabulary.of_model(model)


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path, monkeypatch):
        """A file that is read in blocks of 5 bytes, some of which end inside a character."""
        monkeypatch.setattr(text.pieces, "BLOCK", 5)
        path = tmp_path / "text"
        path.write_bytes(b"\xef\xbb\xbf" + WORDS.replace("\n\n", "\r\n\r").encode())
        return path

    @pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary])
    def test_pieces_give_what_the_whole_text_gives(self, path, tmp_path, kind):
        vocabulary = kind.of_file(path)
        assert vocabulary.to_json() == kind.of(WORDS).to_json()
        symbols = vocabulary.encode_file(path, tmp_path / "s.npy")
        assert isinstance(symbols, np.memmap)
        np.testing.assert_array_equal(symbols, vocabulary.encode(WORDS))
        np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), symbols)

    def test_a_file_of_bytes_is_read_as_it_is(self, path, tmp_path):
        path.write_bytes(path.read_bytes() + b"\xff\x00")  # no text in UTF-8
        assert ByteVocabulary().map_file(path).tobytes() == path.read_bytes()
        symbols = ByteVocabulary().encode_file(path, tmp_path / "s.npy")
        assert symbols.tobytes() == path.read_bytes()

    def test_a_number_is_no_path(self, tmp_path):
        """`open` would read from the file descriptor of that number: 0 is standard input."""
        for read in (
            lambda: Vocabulary.of_file(0),
            lambda: WordVocabulary.of_file(0),
            lambda: ByteVocabulary().map_file(0),
            lambda: ByteVocabulary().encode_file(0, tmp_path / "s.npy"),
            lambda: Vocabulary("ab").encode_file(0, tmp_path / "s.npy"),
        ):
            with pytest.raises(TypeError, match="path: expected a path, got 0"):
                read()
        with pytest.raises(TypeError, match=r"model: expected a crnn\.RNN, got 0"):
            Vocabulary.of_model(0)

    def test_text_that_is_not_encoded_is_refused(self):
        model = crnn.RNN(5, 4, 5, steps="all", rng=0)
        for call in (model.fit_stream, lambda text: model.sample(3, prime=text)):
            with pytest.raises(
                TypeError, match=r": expected integers .* crnn\.text encodes a text$"
            ):
                call("hello world")

    def test_errors_name_the_place_and_leave_the_file(self, path, tmp_path):
        (tmp_path / "s.npy").write_bytes(b"before")
        with pytest.raises(ValueError, match="character 'N' is not among the 2"):
            Vocabulary("ab").encode_file(path, tmp_path / "s.npy")
        (tmp_path / "bad").write_bytes("ab€".encode() + b"cdefgh\xffij")
        with pytest.raises(ValueError, match=r"bad: not UTF-8 text .* at byte 11\); convert it"):
            Vocabulary.of_file(tmp_path / "bad")
        assert (tmp_path / "s.npy").read_bytes() == b"before"
        assert sorted(file.name for file in tmp_path.iterdir()) == ["bad", "s.npy", "text"]

    def test_a_text_is_never_replaced_by_its_symbols(self, path):
        before = path.read_bytes()
        (path.parent / "link").symlink_to(path)
        for to in (path, path.parent / "link"):
            with pytest.raises(ValueError, match="to: expected another file than path"):
                Vocabulary.of_file(path).encode_file(path, to)
        assert path.read_bytes() == before

    def test_an_empty_text_is_refused_by_its_name(self, tmp_path):
        (tmp_path / "empty").touch()
        with pytest.raises(ValueError, match="path: expected at least one byte"):
            ByteVocabulary().map_file(tmp_path / "empty")
        for options in ({}, {"unknown": "?"}):
            for call, argument in (
                (Vocabulary.of, ""),
                (Vocabulary.of_file, tmp_path / "empty"),
            ):
                with pytest.raises(ValueError, match="text: expected at least one character"):
                    call(argument, **options)

    def test_symbols_are_checked_in_blocks(self, tmp_path, monkeypatch):
        """A pass over all of a text that is larger than memory must not need memory for it."""
        monkeypatch.setattr(validate.examples, "BLOCK", 4)
        model = crnn.RNN(3, 2, 3, steps="all", rng=0)
        symbols = np.tile(np.array([0, 1, 2], np.uint8), 5)
        model.evaluate_stream(symbols)
        symbols[13] = 3
        with pytest.raises(ValueError, match=r"symbols: expected integers in 0..2, got 3 at \(13,"):
            model.evaluate_stream(symbols)

    def test_mapped_symbols_train_as_symbols_in_memory_do(self, tmp_path):
        (tmp_path / "text").write_text("to be or not to be, " * 20)
        vocabulary = Vocabulary.of_file(tmp_path / "text")
        mapped = vocabulary.encode_file(tmp_path / "text", tmp_path / "s.npy")
        models = [crnn.RNN(len(vocabulary), 4, len(vocabulary), steps="all", rng=0) for _ in "12"]
        for model, symbols in zip(models, (mapped, np.array(mapped)), strict=True):
            model.fit_stream(symbols, epochs=1, batch_size=4, validation=symbols, progress=False)
        np.testing.assert_array_equal(*(model.parameters["Waa"] for model in models))


@pytest.mark.parametrize(
    ("units", "most", "found"),
    [("words", "4", "word"), ("bytes", None, "byte"), ("characters", "4", "character")],
)
def test_the_commands_know_every_unit(tmp_path, monkeypatch, capsys, units, most, found):
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("to be or not to be, " * 40, encoding="utf-8")
    options = ["--hidden", "4", "--batch", "4", "--epochs", "1", "--quiet", "--length", "5"]
    options += [] if most is None else ["--most", most]
    assert cli.main(["train", "--text", "text", "--units", units, *options]) == 0
    assert f"bits per {found}" in capsys.readouterr().out
    vocabulary = Vocabulary.of_model(crnn.load("model.safetensors"))
    assert len(vocabulary) == (256 if most is None else 5)
    assert cli.main(["eval", "model.safetensors", "text"]) == 0
    out = capsys.readouterr().out
    symbols = vocabulary.encode("to be or not to be, " * 40)
    assert out.startswith(f"{len(symbols) - 1} {found}s predicted")
    assert out.count(" per character") == 1
    assert cli.main(["sample", "model.safetensors", "-n", "3", "--prime", "to be"]) == 0
    again = ["train", "--text", "text", "--resume", "model.safetensors", "--batch", "4"]
    assert cli.main([*again, "--epochs", "1", "--quiet"]) == 0
    assert cli.main(["inspect", "model.safetensors", "--text", "text", "--steps", "9"]) == 0
