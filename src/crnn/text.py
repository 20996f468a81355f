"""Conversion of text to symbols (integers) and back."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn.reference import Array

#: Characters converted at a time, so that the temporary arrays stay in the cache.
CHUNK = 1 << 16

_CODE_POINTS = 0x110000  # of Unicode


class Vocabulary:
    """Characters and their numbers: a character's number is its position.

    Parameters
    ----------
    characters : str
        Each character once.

    Attributes
    ----------
    characters : str
        As given.

    Raises
    ------
    TypeError
        If they are not a str.
    ValueError
        If there are none, or one occurs twice.

    Examples
    --------
    >>> from crnn.text import Vocabulary
    >>> vocabulary = Vocabulary("abn")
    >>> len(vocabulary), vocabulary.encode("nab")
    (3, array([2, 0, 1], dtype=uint8))
    """

    def __init__(self, characters: str) -> None:
        if not isinstance(characters, str):
            raise TypeError(f"characters: expected a str, got {type(characters).__name__}")
        if not characters or len(set(characters)) != len(characters):
            raise ValueError("characters: expected at least one, and each only once")
        self.characters = characters
        self._codes = np.concatenate(list(_code_points(characters)))  # (len(self),)
        # The number of each code point, which is len(self) for unknown ones. The entry after the
        # largest known code point stands for all larger ones.
        size = int(self._codes.max()) + 2
        self._numbers = np.full(size, len(self), np.min_scalar_type(len(self)))
        self._numbers[self._codes] = np.arange(len(self))

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The characters of a text, sorted.

        Parameters
        ----------
        text : str

        Returns
        -------
        Vocabulary

        Raises
        ------
        TypeError
            If the text is not a str.
        ValueError
            If it is empty.

        Examples
        --------
        >>> Vocabulary.of("banana").characters
        'abn'
        """
        present = np.zeros(_CODE_POINTS, bool)
        for codes in _code_points(_checked(text)):
            present[codes] = True
        return cls(_text(np.flatnonzero(present)))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """The numbers of the characters of a text.

        Parameters
        ----------
        text : str

        Returns
        -------
        symbols : unsigned integers (len(text),)
            Of the smallest dtype that holds all numbers: uint8 up to 256 characters.

        Raises
        ------
        TypeError
            If the text is not a str.
        ValueError
            If a character is not in the vocabulary; the message names it.

        Examples
        --------
        >>> Vocabulary("abn").encode("banana")
        array([1, 0, 2, 0, 2, 0], dtype=uint8)
        """
        symbols = np.empty(len(_checked(text)), np.min_scalar_type(len(self) - 1))
        for k, codes in enumerate(_code_points(text)):
            numbers = self._numbers.take(codes, mode="clip")
            unknown = numbers == len(self)
            if unknown.any():
                raise ValueError(
                    f"character {chr(codes[unknown.argmax()])!r} is not among the {len(self)} of "
                    "this vocabulary"
                )
            symbols[k * CHUNK : k * CHUNK + len(numbers)] = numbers
        return symbols

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
        numbers = _integers(symbols)
        wrong = (numbers < 0) | (numbers >= len(self))
        if wrong.any():
            raise ValueError(
                f"symbols: expected integers in 0..{len(self) - 1}, got "
                f"{validate.shown(int(numbers[wrong.argmax()]))}"
            )
        chunks = (numbers[k : k + CHUNK] for k in range(0, len(numbers), CHUNK))
        return "".join(_text(self._codes[chunk.astype(np.intp)]) for chunk in chunks)


def _checked(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    return text


def _integers(symbols: Any) -> Array:
    """Integers (N,) of any size, from an array or another iterable."""
    if isinstance(symbols, np.ndarray) and symbols.ndim == 1 and symbols.dtype.kind in "iu":
        return symbols
    try:
        return np.array([_index(k) for k in symbols], object)  # some exceed 64 bits
    except (TypeError, OverflowError):
        raise TypeError(f"symbols: expected integers (N,), got {validate.shown(symbols)}") from None


def _index(k: Any) -> int:
    if isinstance(
        k, (bool, np.bool_)
    ):  # which have an index in Python and in older versions of NumPy
        raise TypeError
    return operator.index(k)


def _code_points(text: str) -> Iterator[Array]:
    """The code points of a text, CHUNK characters at a time. Lone surrogates are allowed."""
    for k in range(0, len(text), CHUNK):
        yield np.frombuffer(text[k : k + CHUNK].encode("utf-32-le", "surrogatepass"), "<u4")


def _text(codes: Array) -> str:
    """The text of code points."""
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def python_topics() -> str:
    """English text that ships inside CPython: the topics of its help.

    465,048 characters in Python 3.11; it grows a little from version to version.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If this Python ships without them.

    Examples
    --------
    >>> from crnn.text import python_topics
    >>> "assert" in python_topics()
    True
    """
    from pydoc_data import topics

    return "\n".join(topics.topics.values())
