"""What all vocabularies have in common."""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from crnn._atomic import replaced
from crnn._engine import validate
from crnn.reference import Array
from crnn.text.pieces import of_file

#: What to do with text that a vocabulary has no symbol for.
UNKNOWN = ("error", "skip", "replace")


class Units:
    """A vocabulary: the parts of text that a model reads one at a time, and their numbers."""

    #: What one symbol stands for, as in "bits per character".
    unit: ClassVar[str]
    #: What unknown text is replaced by, or None.
    unknown: str | None = None

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integers that hold all numbers."""
        return np.dtype(np.min_scalar_type(len(self) - 1))

    def encode(self, text: Any, unknown: str | None = None) -> Array:
        """The numbers of a text, (N,)."""
        found = [*self._encoded([checked(text)], unknown)]
        return np.concatenate(found) if found else np.empty(0, self.dtype)

    def _encoded(self, pieces: Iterable[str], unknown: str | None = None) -> Iterator[Array]:
        """The numbers of a text that comes in pieces, some at a time."""
        raise NotImplementedError

    def _of_file(self, path: str | os.PathLike[str], unknown: str | None) -> Iterator[Array]:
        """The numbers of a text file, some at a time."""
        return self._encoded(of_file(path), unknown)

    def decode(self, symbols: Any) -> str:
        """The text that numbers stand for."""
        raise NotImplementedError

    def to_json(self) -> str:
        """What `Vocabulary.of_model` reads."""
        raise NotImplementedError

    def encode_file(
        self, path: str | os.PathLike[str], to: str | os.PathLike[str], unknown: str | None = None
    ) -> Array:
        """Write the numbers of a text file into a file of NumPy's, and map that into memory.

        Neither the text nor its numbers need to fit in memory: the file is read in pieces, and the
        operating system reads of the result what `fit_stream` asks for.

        Parameters
        ----------
        path : path
            A text in UTF-8; of bytes, any file.
        to : path
            Written completely or not at all: see `numpy.load` with ``mmap_mode="r"``.
        unknown : {"error", "skip", "replace"}, optional
            As for `encode`.

        Returns
        -------
        symbols : numpy.memmap of unsigned integers (N,)

        Raises
        ------
        ValueError
            If the text is not UTF-8 or has something unknown, or `to` is the file of the text.
        OSError
            If a file cannot be read or written. In either case what is at `to` is left unchanged.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from crnn.text import Vocabulary
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "text").write_text("banana")
        >>> Vocabulary("abn").encode_file(folder / "text", folder / "symbols.npy")
        memmap([1, 0, 2, 0, 2, 0], dtype=uint8)
        """
        if os.path.exists(to) and os.path.samefile(path, to):
            raise ValueError("to: expected another file than path, which it would replace")
        with replaced(to) as file:
            write(file, self._of_file(path, unknown), self.dtype)
        symbols: Array = np.load(Path(to), mmap_mode="r")
        return symbols

    def _choice(self, unknown: str | None) -> str:
        """What to do with unknown text, checked; by default it is replaced if it can be."""
        if unknown is None:
            return "error" if self.unknown is None else "replace"
        validate.choice("unknown", unknown, UNKNOWN)
        if unknown == "replace" and self.unknown is None:
            raise ValueError(
                "unknown: expected 'error' or 'skip' with a vocabulary that has nothing for what "
                "is unknown, got 'replace'"
            )
        return unknown


def write(file: Any, parts: Iterable[Array], dtype: np.dtype[Any]) -> int:
    """Write integers that come in parts into a file of NumPy's; return how many they are."""
    header: dict[str, Any] = {"descr": dtype.str, "fortran_order": False, "shape": (0,)}
    count = 0
    np.lib.format.write_array_header_1_0(file, header)  # with room for a larger number
    begin = file.tell()
    for part in parts:
        file.write(np.ascontiguousarray(part, dtype).tobytes())
        count += len(part)
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {**header, "shape": (count,)})
    assert file.tell() == begin
    file.seek(0, os.SEEK_END)
    return count


def checked(text: Any) -> str:
    """The text; raises TypeError if it is none."""
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    return text


def numbers(symbols: Any, n: int) -> Array:
    """Symbols (N,) as an array, from an array or another iterable; each is in 0..n - 1."""
    found = _integers(symbols)
    wrong = (found < 0) | (found >= n)
    if wrong.any():
        raise ValueError(
            f"symbols: expected integers in 0..{n - 1}, got "
            f"{validate.shown(int(found[wrong.argmax()]))}"
        )
    return found


def _integers(symbols: Any) -> Array:
    """Integers (N,) of any size."""
    if isinstance(symbols, np.ndarray) and symbols.ndim == 1 and symbols.dtype.kind in "iu":
        return symbols
    with contextlib.suppress(TypeError, OverflowError):
        return np.array([_index(k) for k in symbols], object)  # some exceed 64 bits
    raise TypeError(f"symbols: expected integers (N,), got {validate.shown(symbols)}")


def _index(k: Any) -> int:
    if isinstance(
        k, (bool, np.bool_)
    ):  # which have an index in Python and in older versions of NumPy
        raise TypeError
    return operator.index(k)
