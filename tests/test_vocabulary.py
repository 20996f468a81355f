"""The vocabulary of characters: symbols there and back, and what is refused."""

import numpy as np
import pytest
from cli_runs import WORDS

from crnn import text


def test_encode_decode_round_trip():
    vocabulary = text.Vocabulary.of(WORDS)
    assert vocabulary.decode(vocabulary.encode(WORDS)) == WORDS
    assert len(vocabulary) == 14


@pytest.mark.parametrize(
    ("n", "dtype"), [(1, "u1"), (255, "u1"), (256, "u1"), (257, "u2"), (0xD800, "u2")]
)
def test_symbols_have_the_smallest_dtype(n, dtype):
    characters = "".join(map(chr, range(n)))
    symbols = text.Vocabulary(characters).encode(characters)
    assert symbols.dtype == dtype
    np.testing.assert_array_equal(symbols, np.arange(n))


def test_encoding_in_several_chunks(monkeypatch):
    monkeypatch.setattr(text.characters, "CHUNK", 4)
    words = "a\U0010ffff\0b" * 5 + "\ud800ba"  # plane 16, null, a lone surrogate
    vocabulary = text.Vocabulary.of(words)
    assert vocabulary.characters == "\0ab\ud800\U0010ffff"
    np.testing.assert_array_equal(vocabulary.encode(words), [1, 4, 0, 2] * 5 + [3, 2, 1])
    assert vocabulary.decode(vocabulary.encode(words)) == words
    with pytest.raises(ValueError, match="character 'z' is not among the 5"):
        vocabulary.encode(words + "z")


@pytest.mark.parametrize("unknown", ["c", "\0", "\U0010ffff"])
def test_encode_refuses_unknown_characters(unknown):
    with pytest.raises(ValueError, match=r"character .+ is not among the 2 of"):
        text.Vocabulary("bd").encode("bd" + unknown)


@pytest.mark.parametrize("characters", ["", "aba"])
def test_characters_must_differ(characters):
    with pytest.raises(ValueError, match="characters: expected at least one, and each only"):
        text.Vocabulary(characters)


@pytest.mark.parametrize("characters", [["a", "b"], {"a": 0}, None])
def test_characters_must_be_a_str(characters):
    with pytest.raises(TypeError, match="characters: expected a str"):
        text.Vocabulary(characters)


@pytest.mark.parametrize("symbols", [[True], [np.False_], np.array([True]), [1.0], ["a"], 1])
def test_decode_refuses_non_integers(symbols):
    with pytest.raises(TypeError, match=r"symbols: expected integers \(N,\), got"):
        text.Vocabulary("ab").decode(symbols)


@pytest.mark.parametrize("k", [-1, 14, 10**30])
@pytest.mark.parametrize("given", [list, iter, np.array])
def test_decode_refuses_symbols_out_of_range(k, given):
    with pytest.raises(ValueError, match=rf"symbols: expected integers in 0\.\.13, got {k}"):
        text.Vocabulary.of(WORDS).decode(given([0, k]))
