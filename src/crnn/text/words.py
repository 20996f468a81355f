"""Words as the symbols of a text."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn.reference import Array
from crnn.text.pieces import of_file
from crnn.text.units import Units, checked, numbers

#: A word or punctuation with the space before it, or other white space. Every text is its words
#: one after the other.
_WORD = re.compile(r" ?\w+| ?[^\w\s]+|\s+(?= \S)|\s+")


class WordVocabulary(Units):
    """Words and their numbers: a word's number is its position.

    A word is a run of letters and digits, or of other characters, with the one space before it, or
    a run of white space: "No, no" is "No", ",", " no". So a text is its words one after the other.

    Parameters
    ----------
    words : sequence of str
        Each once.
    unknown : str, optional
        The one of them that stands for every word that is not among them.

    Attributes
    ----------
    words : tuple of str
    unknown : str or None
        As given.

    Raises
    ------
    TypeError
        If they are not str.
    ValueError
        If there are none, one occurs twice, or `unknown` is not among them.

    Examples
    --------
    >>> from crnn.text import WordVocabulary
    >>> vocabulary = WordVocabulary(["<?>", "to", " be", " or"], unknown="<?>")
    >>> vocabulary.encode("to be or not")
    array([1, 2, 3, 0], dtype=uint8)
    """

    unit = "word"

    def __init__(self, words: Iterable[str], unknown: str | None = None) -> None:
        if isinstance(words, (str, bytes)) or not isinstance(words, Iterable):
            raise TypeError(f"words: expected a sequence of str, got {validate.shown(words)}")
        self.words = tuple(words)
        for word in self.words:
            if not isinstance(word, str):
                raise TypeError(f"words: expected str, got {validate.shown(word)}")
        self._numbers = {word: k for k, word in enumerate(self.words)}
        if not self.words or len(self._numbers) != len(self.words) or "" in self._numbers:
            raise ValueError("words: expected at least one, each only once, and none empty")
        if unknown is not None and unknown not in self._numbers:
            raise ValueError(f"unknown: expected one of the words, got {validate.shown(unknown)}")
        self.unknown = unknown

    @classmethod
    def of(
        cls, text: str, most: int | None = None, unknown: str | None = " <unk>"
    ) -> WordVocabulary:
        """The words of a text, the most frequent ones first.

        Parameters
        ----------
        text : str
        most : int, optional
            Keep this many of them; by default all.
        unknown : str or None, optional
            Has number 0 and stands for every other word. With None there is no such word.

        Returns
        -------
        WordVocabulary

        Raises
        ------
        TypeError, ValueError
            If the text is not a str or empty, or `most` is not at least 1.

        Examples
        --------
        >>> WordVocabulary.of("no, no, no", most=2).words
        (' <unk>', ' no', ',')
        """
        return cls._of_pieces([checked(text)], most, unknown)

    @classmethod
    def of_file(
        cls,
        path: str | os.PathLike[str],
        most: int | None = None,
        unknown: str | None = " <unk>",
    ) -> WordVocabulary:
        """The words of a text file, which is read in pieces and need not fit in memory.

        Parameters
        ----------
        path : path
            A text in UTF-8.
        most, unknown
            As for `of`.

        Returns
        -------
        WordVocabulary

        Raises
        ------
        TypeError, ValueError, OSError
            As for `of`, or if the file is not UTF-8 or cannot be read.

        Examples
        --------
        >>> import crnn.text
        >>> len(WordVocabulary.of_file(crnn.text.__file__, most=20))
        21
        """
        return cls._of_pieces(of_file(path), most, unknown)

    @classmethod
    def _of_pieces(
        cls, pieces: Iterable[str], most: int | None, unknown: str | None
    ) -> WordVocabulary:
        """The words of a text that comes in pieces."""
        if most is not None:
            validate.count("most", most)
        counts: Counter[str] = Counter()
        for words in _split(pieces):
            counts.update(words)
        first = [] if unknown is None else [unknown]
        kept = sorted(counts.keys() - set(first), key=lambda word: (-counts[word], word))[:most]
        if not kept:
            raise ValueError("text: expected at least one word, got an empty text")
        return cls([*first, *kept], unknown)

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, text: str, unknown: str | None = None) -> Array:
        """The numbers of the words of a text.

        Parameters
        ----------
        text : str
        unknown : {"error", "skip", "replace"}, optional
            What to do with a word that is not in the vocabulary: raise a ValueError, leave it out,
            or put `self.unknown` in its place. By default it is replaced if `self.unknown` is not
            None, else it is an error.

        Returns
        -------
        symbols : unsigned integers (N,)
            Of the smallest dtype that holds all numbers.

        Raises
        ------
        TypeError
            If the text is not a str.
        ValueError
            If a word is unknown and that is an error; the message names it.

        Examples
        --------
        >>> WordVocabulary.of("to be or not to be").encode(" to be")
        array([4, 1], dtype=uint8)
        """
        return super().encode(text, unknown)

    def _encoded(self, pieces: Iterable[str], unknown: str | None = None) -> Iterator[Array]:
        """The numbers of a text that comes in pieces."""
        choice = self._choice(unknown)
        other = -1 if choice != "replace" else self._numbers[str(self.unknown)]
        for words in _split(pieces):
            found = np.array([self._numbers.get(word, other) for word in words], np.int64)
            if choice == "error" and (found < 0).any():
                word = words[int((found < 0).argmax())]
                raise ValueError(
                    f"word {word!r} is not among the {len(self)} of this vocabulary; "
                    "unknown='skip' leaves such words out"
                )
            yield found[found >= 0].astype(self.dtype)

    def decode(self, symbols: Any) -> str:
        """The text that the numbers stand for.

        Parameters
        ----------
        symbols : integers
            Each in ``0..len(vocabulary) - 1``.

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If they are not integers, or out of range.

        Examples
        --------
        >>> WordVocabulary(["a", " b"]).decode([0, 1, 1])
        'a b b'
        """
        return "".join(self.words[int(k)] for k in numbers(symbols, len(self)))

    def to_json(self) -> str:
        """What ``model.metadata["vocabulary"]`` keeps, for `Vocabulary.of_model`.

        Returns
        -------
        str

        Examples
        --------
        >>> WordVocabulary(["a", " b"]).to_json()
        '{"words": ["a", " b"], "unknown": null}'
        """
        return json.dumps({"words": self.words, "unknown": self.unknown})


def _split(pieces: Iterable[str]) -> Iterator[list[str]]:
    """The words of a text, piece by piece: the last word of a piece may go on in the next."""
    rest = ""
    for piece in pieces:
        words = _WORD.findall(rest + piece)
        rest = words.pop() if words else ""
        if words:
            yield words
    if rest:
        yield [rest]
