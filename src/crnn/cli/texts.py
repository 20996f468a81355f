"""Texts of commands: from a file or from Python, as symbols that are mapped into memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import numpy as np

from crnn.cli.errors import UsageError, of_unknown
from crnn.reference import Array
from crnn.text import ByteVocabulary, Vocabulary, WordVocabulary, python_topics
from crnn.text.pieces import of_file
from crnn.text.units import Units, write

#: What stands for unknown characters if a vocabulary is made with --most.
REPLACEMENT = "\ufffd"


def pieces(path: str | None) -> Iterator[str]:
    """The text of a file, or the help topics of Python, in pieces."""
    if path is None:
        try:
            yield python_topics()
        except ImportError:
            raise UsageError(
                "--text: expected a file, this Python has no pydoc_data.topics"
            ) from None
        return
    some = False
    for piece in of_file(path):
        some = True
        yield piece
    if not some:
        raise UsageError(f"{path}: the file is empty")


def vocabulary_of(path: str | None, units: str, most: int | None) -> Units:
    """The vocabulary of a text."""
    if units == "bytes":
        return ByteVocabulary()
    if units == "words":
        return WordVocabulary._of_pieces(pieces(path), most, " <unk>")
    return Vocabulary._of_pieces(pieces(path), most, None if most is None else REPLACEMENT)


def _count(path: str) -> int | None:
    """The number of characters in a file, or None if it is no text in UTF-8."""
    try:
        return sum(map(len, of_file(path)))
    except ValueError:
        return None


def check_unknown(vocabulary: Units, unknown: str | None) -> None:
    """Raise UsageError if a vocabulary cannot do what --unknown asks for."""
    try:
        vocabulary._choice(unknown)
    except ValueError as error:
        raise UsageError(f"--{error}") from None


def symbols_of(
    path: str | None, vocabulary: Units, unknown: str | None = None, beside: str | None = None
) -> tuple[Array, int | None]:
    """The symbols of a text, and how many characters it has; None for bytes that are not UTF-8.

    The symbols are in a temporary file without a name, in the folder of `beside` if it is given,
    that is mapped into memory: neither they nor the text need to fit there.
    """
    characters: int | None = 0

    def counted() -> Iterator[str]:
        nonlocal characters
        for piece in pieces(path):
            characters = (characters or 0) + len(piece)
            yield piece

    if path is not None and isinstance(vocabulary, ByteVocabulary):
        parts, characters = vocabulary._of_file(path, unknown), _count(path)
    else:
        parts = vocabulary._encoded(counted(), unknown)
    folder = None if beside is None else os.path.dirname(os.path.realpath(beside))
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            count = write(file, parts, vocabulary.dtype)
        except ValueError as error:
            raise UsageError(of_unknown(error)) from None
        if count == 0 and path is not None and os.path.getsize(path) == 0:
            raise UsageError(f"{path}: the file is empty")
        if count == 0:
            return np.empty(0, vocabulary.dtype), characters
        file.flush()
        file.seek(0)
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, vocabulary.dtype, "r", file.tell(), (count,)), characters
