"""Characters as the symbols of a text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from crnn._engine import validate
from crnn.reference import Array
from crnn.text.pieces import of_file
from crnn.text.units import Units, checked, numbers

if TYPE_CHECKING:
    from crnn.model import RNN

#: Characters converted at a time, so that the temporary arrays stay in the cache.
CHUNK = 1 << 16

_CODE_POINTS = 0x110000  # of Unicode


class Vocabulary(Units):
    """Characters and their numbers: a character's number is its position.

    Parameters
    ----------
    characters : str
        Each character once.
    unknown : str, optional
        The one of them that stands for every character that is not among them.

    Attributes
    ----------
    characters : str
    unknown : str or None
        As given.

    Raises
    ------
    TypeError
        If they are not a str.
    ValueError
        If there are none, one occurs twice, or `unknown` is not among them.

    Examples
    --------
    >>> from crnn.text import Vocabulary
    >>> vocabulary = Vocabulary("abn")
    >>> len(vocabulary), vocabulary.encode("nab")
    (3, array([2, 0, 1], dtype=uint8))
    """

    unit = "character"

    def __init__(self, characters: str, unknown: str | None = None) -> None:
        if not isinstance(characters, str):
            raise TypeError(f"characters: expected a str, got {type(characters).__name__}")
        if not characters or len(set(characters)) != len(characters):
            raise ValueError("characters: expected at least one, and each only once")
        if unknown is not None and (unknown not in [*characters]):
            raise ValueError(
                f"unknown: expected one of the characters, got {validate.shown(unknown)}"
            )
        self.characters, self.unknown = characters, unknown
        self._codes = np.concatenate(list(_code_points(characters)))  # (len(self),)
        # The number of each code point, which is len(self) for unknown ones. The entry after the
        # largest known code point stands for all larger ones.
        size = int(self._codes.max()) + 2
        self._numbers = np.full(size, len(self), np.min_scalar_type(len(self)))
        self._numbers[self._codes] = np.arange(len(self))

    @classmethod
    def of(cls, text: str, most: int | None = None, unknown: str | None = None) -> Vocabulary:
        r"""The characters of a text, sorted.

        Parameters
        ----------
        text : str
        most : int, optional
            Keep this many of them, the most frequent ones; by default all.
        unknown : str, optional
            A character that stands for every other one, such as "\ufffd", the one that Unicode
            has for this.

        Returns
        -------
        Vocabulary

        Raises
        ------
        TypeError
            If the text is not a str.
        ValueError
            If it is empty, or `most` is not at least 1.

        Examples
        --------
        >>> Vocabulary.of("banana").characters
        'abn'
        >>> Vocabulary.of("banana", most=2, unknown="?").characters
        '?an'
        """
        return cls._of_pieces([checked(text)], most, unknown)

    @classmethod
    def of_file(
        cls, path: str | os.PathLike[str], most: int | None = None, unknown: str | None = None
    ) -> Vocabulary:
        """The characters of a text file, which is read in pieces and need not fit in memory.

        Parameters
        ----------
        path : path
            A text in UTF-8.
        most, unknown
            As for `of`.

        Returns
        -------
        Vocabulary

        Raises
        ------
        TypeError, ValueError, OSError
            As for `of`, or if the file is not UTF-8 or cannot be read.

        Examples
        --------
        >>> import crnn.text
        >>> "a" in Vocabulary.of_file(crnn.text.__file__).characters
        True
        """
        return cls._of_pieces(of_file(path), most, unknown)

    @classmethod
    def _of_pieces(
        cls, pieces: Iterable[str], most: int | None = None, unknown: str | None = None
    ) -> Vocabulary:
        """The characters of a text that comes in pieces."""
        if most is not None:
            validate.count("most", most)
        if unknown is not None and (not isinstance(unknown, str) or len(unknown) != 1):
            raise ValueError(f"unknown: expected one character, got {validate.shown(unknown)}")
        counts = np.zeros(_CODE_POINTS, np.intp)
        for piece in pieces:
            for codes in _code_points(piece):
                found = np.bincount(codes)
                counts[: len(found)] += found
        kept = np.flatnonzero(counts)
        if len(kept) == 0:
            raise ValueError("text: expected at least one character, got an empty text")
        if most is not None:
            kept = kept[np.argsort(-counts[kept], kind="stable")[:most]]
        characters = set(_text(kept)) | ({unknown} if unknown else set())
        return cls("".join(sorted(characters)), unknown)

    @staticmethod
    def of_model(model: RNN) -> Units:
        """The vocabulary that a model of text was trained with.

        Parameters
        ----------
        model : RNN
            Its metadata have a vocabulary, as `crnn train` puts it there:
            ``model.metadata["vocabulary"] = vocabulary.to_json()``.

        Returns
        -------
        Vocabulary, WordVocabulary or ByteVocabulary

        Raises
        ------
        TypeError
            If it is no model.
        ValueError
            If the metadata have none, or one whose size is not n_x.

        Examples
        --------
        >>> import crnn
        >>> model = crnn.RNN(3, 8, 3, steps="all", rng=0)
        >>> model.metadata["vocabulary"] = Vocabulary("abn").to_json()
        >>> Vocabulary.of_model(model).encode("ban")
        array([1, 0, 2], dtype=uint8)
        """
        from crnn._vocabulary import vocabulary_of  # which imports this module

        if not hasattr(model, "metadata"):
            raise TypeError(f"model: expected a crnn.RNN, got {validate.shown(model)}")
        found = vocabulary_of(model.metadata)
        if found is None:
            raise ValueError("model: expected a vocabulary in its metadata, which have none")
        if len(found) != model.config.n_x:
            raise ValueError(
                f"model: its vocabulary of {len(found)} {found.unit}s does not fit its inputs, "
                f"n_x = {model.config.n_x}"
            )
        return found

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, unknown: str | None = None) -> Array:
        """The numbers of the characters of a text.

        Parameters
        ----------
        text : str
        unknown : {"error", "skip", "replace"}, optional
            What to do with a character that is not in the vocabulary: raise a ValueError, leave it
            out, or put `self.unknown` in its place. By default it is replaced if `self.unknown` is
            not None, else it is an error.

        Returns
        -------
        symbols : unsigned integers (N,)
            Of the smallest dtype that holds all numbers: uint8 up to 256 characters.

        Raises
        ------
        TypeError
            If the text is not a str.
        ValueError
            If a character is unknown and that is an error; the message names it.

        Examples
        --------
        >>> Vocabulary("abn").encode("banana")
        array([1, 0, 2, 0, 2, 0], dtype=uint8)
        >>> Vocabulary("abn").encode("bandana", unknown="skip")
        array([1, 0, 2, 0, 2, 0], dtype=uint8)
        """
        return super().encode(text, unknown)

    def _encoded(self, pieces: Iterable[str], unknown: str | None = None) -> Iterator[Array]:
        """The numbers of a text that comes in pieces."""
        choice = self._choice(unknown)
        for piece in pieces:
            for codes in _code_points(piece):
                found = self._numbers.take(codes, mode="clip")
                other = found == len(self)
                if other.any():
                    if choice == "error":
                        raise ValueError(
                            f"character {chr(codes[other.argmax()])!r} is not among the "
                            f"{len(self)} of this vocabulary; unknown='skip' leaves such ones out"
                        )
                    if choice == "replace":
                        found[other] = self.characters.index(str(self.unknown))
                    else:
                        found = found[~other]
                yield found.astype(self.dtype, copy=False)

    def decode(self, symbols: Iterable[int]) -> str:
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
        TypeError
            If they are not integers.
        ValueError
            If a number stands for no character.

        Examples
        --------
        >>> Vocabulary("abn").decode([1, 0, 2])
        'ban'
        """
        found = numbers(symbols, len(self))
        chunks = (found[k : k + CHUNK] for k in range(0, len(found), CHUNK))
        return "".join(_text(self._codes[chunk.astype(np.intp)]) for chunk in chunks)

    def to_json(self) -> str:
        """What ``model.metadata["vocabulary"]`` keeps, for `of_model`.

        Returns
        -------
        str

        Examples
        --------
        >>> Vocabulary("abn").to_json()
        '"abn"'
        """
        if self.unknown is None:
            return json.dumps(self.characters)
        return json.dumps({"characters": self.characters, "unknown": self.unknown})


def _code_points(text: str) -> Iterator[Array]:
    """The code points of a text, CHUNK characters at a time. Lone surrogates are allowed."""
    for k in range(0, len(text), CHUNK):
        yield np.frombuffer(text[k : k + CHUNK].encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: Array) -> str:
    """The text of code points."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
