"""What ends a command with one line."""

from __future__ import annotations


class UsageError(Exception):
    """What the user asked for cannot be done; one line says why."""


def one_line(error: BaseException | str) -> str:
    """What went wrong, as one printable line."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
