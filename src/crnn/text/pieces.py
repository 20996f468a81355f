"""Text in pieces: of a str, or of a file that need not fit in memory."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator

from crnn._atomic import spelled

#: Bytes of a file that are read at a time.
BLOCK = 1 << 20

_MARK = codecs.BOM_UTF8


def blocks_of(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The bytes of any file, a block at a time."""
    with open(spelled(path), "rb") as file:
        while block := file.read(BLOCK):
            yield block


def of_file(path: str | os.PathLike[str]) -> Iterator[str]:
    r"""The text of a file in UTF-8, a piece at a time; "\r\n" and "\r" become "\n".

    A byte order mark at its begin is left out. Raises ValueError, with the place, if the file is
    not UTF-8, and OSError if it cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(decoder, translate=True)
    with open(spelled(path), "rb") as file:
        begin = len(_MARK) if file.read(len(_MARK)) == _MARK else 0
        file.seek(begin)
        while True:
            block = file.read(BLOCK)
            begin -= len(decoder.getstate()[0])  # bytes of a character that was cut
            try:
                piece = newlines.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{os.fspath(path)}: not UTF-8 text ({error.reason} at byte "
                    f"{begin + error.start}); convert it, or read it as bytes"
                ) from None
            begin = file.tell()
            if piece:
                yield piece
            if not block:
                return
