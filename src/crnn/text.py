"""Text as symbols: characters to integers and back."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from crnn import _validate
from crnn.reference import Array


class Vocabulary:
    """Characters and their numbers: a character's number is its place.

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
        Where they are no str.
    ValueError
        Where there are none, or one comes twice.

    Examples
    --------
    >>> from crnn.text import Vocabulary
    >>> vocabulary = Vocabulary("abn")
    >>> len(vocabulary), vocabulary.encode("nab")
    (3, array([2, 0, 1]))
    """

    def __init__(self, characters: str) -> None:
        if not isinstance(characters, str):
            raise TypeError(f"characters: expected a str, got {type(characters).__name__}")
        self._number = {c: k for k, c in enumerate(characters)}
        if not characters or len(self._number) != len(characters):
            raise ValueError("characters: expected at least one, and each only once")
        self.characters = characters

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
            Where the text is no str.
        ValueError
            Where it is empty.

        Examples
        --------
        >>> Vocabulary.of("banana").characters
        'abn'
        """
        return cls("".join(sorted(set(_checked(text)))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """The numbers of a text's characters.

        Parameters
        ----------
        text : str

        Returns
        -------
        symbols : integers (len(text),)

        Raises
        ------
        TypeError
            Where the text is no str.
        ValueError
            Where a character is not among the vocabulary's; the message names it.

        Examples
        --------
        >>> Vocabulary("abn").encode("banana")
        array([1, 0, 2, 0, 2, 0])
        """
        _checked(text)
        try:
            return np.fromiter((self._number[c] for c in text), np.intp, len(text))
        except KeyError as error:
            raise ValueError(
                f"character {error.args[0]!r} is not among the {len(self)} of this vocabulary"
            ) from None

    def decode(self, symbols: Iterable[int]) -> str:
        """The text that numbers stand for.

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
            Where they are no integers.
        ValueError
            Where a number stands for no character.

        Examples
        --------
        >>> Vocabulary("abn").decode([1, 0, 2])
        'ban'
        """
        try:
            numbers = [operator.index(k) for k in symbols]
        except (TypeError, OverflowError):
            raise TypeError(
                f"symbols: expected integers (N,), got {_validate.shown(symbols)}"
            ) from None
        return "".join(map(self._character, numbers))

    def _character(self, k: int) -> str:
        if not 0 <= k < len(self):
            raise ValueError(
                f"symbols: expected integers in 0..{len(self) - 1}, got {_validate.shown(k)}"
            )
        return self.characters[k]


def _checked(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    return text


def python_topics() -> str:
    """English text that ships inside CPython: the topics of its help.

    465,048 characters in Python 3.11; it grows a little from version to version.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        Where this Python ships without them.

    Examples
    --------
    >>> from crnn.text import python_topics
    >>> "assert" in python_topics()
    True
    """
    from pydoc_data import topics

    return "\n".join(topics.topics.values())
