"""What ends a command with one line."""

from __future__ import annotations


class UsageError(Exception):
    """What the user asked for cannot be done; one line says why."""


def one_line(error: Exception) -> str:
    """What went wrong, as one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
