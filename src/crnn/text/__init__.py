"""Conversion of text to symbols (integers) and back.

`Vocabulary` has characters, `WordVocabulary` words and `ByteVocabulary` bytes.
"""

from crnn.text.byte import ByteVocabulary
from crnn.text.characters import CHUNK, Vocabulary
from crnn.text.words import WordVocabulary

__all__ = ["CHUNK", "ByteVocabulary", "Vocabulary", "WordVocabulary", "python_topics"]


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
