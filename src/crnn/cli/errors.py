"""Errors that end a command with one line of text."""

from __future__ import annotations

from crnn import files


class UsageError(Exception):
    """The command cannot do what the user asked for; the message says why."""


def one_line(error: BaseException | str) -> str:
    """The error as one printable line."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def of_unknown(error: ValueError) -> str:
    """The error of a vocabulary about unknown text, with the option for the argument."""
    return str(error).replace("unknown='skip'", "--unknown skip")


def check_writable(option: str, path: str) -> None:
    """Check before the work that its result can be written, or raise UsageError for the option."""
    try:
        files.check_writable(path)
    except OSError as error:
        raise UsageError(f"{option}: {one_line(error)}") from None
