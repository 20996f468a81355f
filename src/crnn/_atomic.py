"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from crnn._engine.validate import shown


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a whole file under a temporary name beside `path`, then rename it.

    An existing file's permissions are kept.

    Parameters
    ----------
    path : path
    content : bytes

    Raises
    ------
    OSError
        If `path` cannot be written; what is there is left unchanged.

    Examples
    --------
    >>> import os, tempfile
    >>> from crnn.files import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(os.path.join(folder, "notes.txt"), b"3 units")
    ...     os.listdir(folder)
    ['notes.txt']
    """
    with replaced(path) as file:
        file.write(content)


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file under a temporary name, which takes the place of `path` at the end: see `write`."""
    target, mode = _target(path)
    with _renamed_to(target, mode) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise what `save` would raise for this path, without changing what is there.

    Parameters
    ----------
    path : path

    Raises
    ------
    OSError
        If a file cannot be written there.

    Examples
    --------
    >>> from crnn.files import check_writable
    >>> check_writable("none/model.safetensors")        # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory
    """
    target, mode = _target(path)
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(path))
    temporary, file = _new_file_beside(target)
    file.close()
    temporary.unlink()


def spelled(path: Any) -> str:
    """A path as text, and never an integer: `open` would take it as a file descriptor."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"path: expected a path, got {shown(path)}") from None
    if "\0" in text:
        raise ValueError(f"path: expected no null character, got {shown(text)}")
    return text


def _target(path: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """The file that a path leads to, and its permissions if it exists."""
    target = Path(
        os.path.realpath(spelled(path))
    )  # a symbolic link stays, and leads to the new file
    try:
        mode = regular_mode(target, path)
    except FileNotFoundError:
        return target, None
    return target, stat.S_IMODE(mode)


def regular_mode(file: str | Path, path: str | os.PathLike[str]) -> int:
    """A file's mode; OSError, with the path that the caller gave, if it is a device or a pipe.

    Those can neither be mapped into memory nor replaced, and opening a pipe waits for its writer.
    """
    mode = os.stat(file).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))
    return mode


def _new_file_beside(target: Path) -> tuple[Path, BinaryIO]:
    """A new file, open for writing, with the permissions that the umask gives.

    (tempfile's would be 0600, and the umask cannot be read without setting it.)
    """
    temporary = target.with_name(f".crnn-{secrets.token_hex(8)}.tmp")
    try:
        return temporary, open(temporary, "xb")
    except OSError as error:
        # Report the name that the caller knows.
        raise type(error)(error.errno, error.strerror, str(target)) from None


@contextlib.contextmanager
def _renamed_to(target: Path, mode: int | None) -> Iterator[BinaryIO]:
    """A new file that replaces the target at the end, or is deleted if anything fails."""
    temporary, file = _new_file_beside(target)
    try:
        with file:
            if mode is not None:
                os.chmod(temporary, mode)
            yield file
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            # Such as "no space left": report the name that the caller knows.
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise
