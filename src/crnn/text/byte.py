"""Bytes as the symbols of a text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from crnn._atomic import spelled
from crnn.reference import Array
from crnn.text.pieces import blocks_of
from crnn.text.units import Units, numbers


class ByteVocabulary(Units):
    """The 256 bytes: a symbol is a byte of the text in UTF-8, so that nothing is unknown.

    Examples
    --------
    >>> from crnn.text import ByteVocabulary
    >>> vocabulary = ByteVocabulary()
    >>> len(vocabulary), vocabulary.encode("né")
    (256, array([110, 195, 169], dtype=uint8))
    """

    unit = "byte"

    def __len__(self) -> int:
        return 256

    def encode(self, text: str | bytes, unknown: str | None = None) -> Array:
        """The bytes of a text.

        Parameters
        ----------
        text : str or bytes
        unknown : {"error", "skip"}, optional
            Without effect: no byte is unknown.

        Returns
        -------
        symbols : uint8 (N,)

        Raises
        ------
        TypeError
            If the text is neither a str nor bytes.

        Examples
        --------
        >>> ByteVocabulary().encode(b"ab")
        array([97, 98], dtype=uint8)
        """
        if isinstance(text, bytes):
            self._choice(unknown)
            return np.frombuffer(text, np.uint8)
        return super().encode(text, unknown)

    def _encoded(self, pieces: Iterable[str], unknown: str | None = None) -> Iterator[Array]:
        """The bytes of a text that comes in pieces."""
        self._choice(unknown)
        for piece in pieces:
            yield np.frombuffer(piece.encode("utf-8", "surrogatepass"), np.uint8)

    def _of_file(self, path: str | os.PathLike[str], unknown: str | None = None) -> Iterator[Array]:
        """The bytes of any file, some at a time."""
        self._choice(unknown)
        return (np.frombuffer(block, np.uint8) for block in blocks_of(path))

    def map_file(self, path: str | os.PathLike[str]) -> Array:
        """Map a file of any kind into memory: its bytes are the symbols.

        Parameters
        ----------
        path : path

        Returns
        -------
        symbols : numpy.memmap of uint8 (N,)
            Read when they are needed, so the file may be larger than memory.

        Raises
        ------
        TypeError, ValueError
            If it is no path, or the file is empty.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import crnn.text
        >>> ByteVocabulary().map_file(crnn.text.__file__).dtype
        dtype('uint8')
        """
        name = spelled(path)
        if os.path.exists(name) and os.path.getsize(name) == 0:
            raise ValueError(f"path: expected at least one byte, got the empty file {name!r}")
        return np.memmap(name, np.uint8, "r")

    def decode(self, symbols: Any) -> str:
        r"""The text that the bytes stand for.

        Parameters
        ----------
        symbols : integers
            Each in ``0..255``. Bytes that are not UTF-8, which a model may write, become "\ufffd".

        Returns
        -------
        str

        Raises
        ------
        TypeError, ValueError
            If they are not integers, or out of range.

        Examples
        --------
        >>> ByteVocabulary().decode([110, 195, 169])
        'né'
        """
        found = numbers(symbols, len(self)).astype(np.uint8)
        return found.tobytes().decode("utf-8", "replace")

    def to_json(self) -> str:
        """What ``model.metadata["vocabulary"]`` keeps, for `Vocabulary.of_model`.

        Returns
        -------
        str

        Examples
        --------
        >>> ByteVocabulary().to_json()
        '{"bytes": 256}'
        """
        return json.dumps({"bytes": len(self)})
