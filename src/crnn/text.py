"""Text as symbols: characters to integers and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

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
        ValueError
            Where the text is empty.

        Examples
        --------
        >>> Vocabulary.of("banana").characters
        'abn'
        """
        return cls("".join(sorted(set(text))))

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
        ValueError
            Where a character is not among the vocabulary's; the message names it.

        Examples
        --------
        >>> Vocabulary("abn").encode("banana")
        array([1, 0, 2, 0, 2, 0])
        """
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
        ValueError
            Where a number stands for no character.

        Examples
        --------
        >>> Vocabulary("abn").decode([1, 0, 2])
        'ban'
        """
        return "".join(map(self._character, symbols))

    def _character(self, k: int) -> str:
        if not 0 <= k < len(self):
            raise ValueError(f"symbols: expected integers in 0..{len(self) - 1}, got {k}")
        return self.characters[k]


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
