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

    Raises
    ------
    ValueError
        Where there are none, or one comes twice.

    Examples
    --------
    >>> from crnn.text import Vocabulary
    >>> vocabulary = Vocabulary.of("banana")
    >>> vocabulary.characters, vocabulary.encode("nab")
    ('abn', array([2, 0, 1]))
    >>> vocabulary.decode([1, 0, 2])
    'ban'
    """

    def __init__(self, characters: str) -> None:
        self._number = {c: k for k, c in enumerate(characters)}
        if not characters or len(self._number) != len(characters):
            raise ValueError("characters: expected at least one, and each only once")
        self.characters = characters

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The characters of a text, sorted."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """Numbers (len(text),) of the characters; ValueError names one that is not known."""
        try:
            return np.fromiter((self._number[c] for c in text), np.intp, len(text))
        except KeyError as error:
            raise ValueError(
                f"character {error.args[0]!r} is not among the {len(self)} of this vocabulary"
            ) from None

    def decode(self, symbols: Iterable[int]) -> str:
        """The text that numbers stand for."""
        return "".join(self.characters[k] for k in symbols)


def python_topics() -> str:
    """English text that ships inside CPython: the topics of its help.

    465,048 characters in Python 3.11; it grows a little from version to version.
    """
    from pydoc_data import topics

    return "\n".join(topics.topics.values())
