"""Errors that all ranks of a training raise, and that only the first one prints."""

from __future__ import annotations

import sys
import traceback
from typing import Any

#: The attribute of an exception that every rank raises: the number of the rank that has this one.
_SHARED = "_crnn_shared"


class Lost(RuntimeError):
    """MPI cannot reach a process, most often because it was killed."""

    def __init__(self, error: BaseException) -> None:
        says = str(error).partition(",")[0]
        super().__init__(f"another process ended or cannot be reached (MPI: {says})")


def is_shared(error: BaseException) -> bool:
    """Whether all ranks raise this error, or one that quotes it."""
    return hasattr(error, _SHARED)


def printed_by_first(error: BaseException) -> bool:
    """Whether the first rank raises this error too, or one that quotes it, and this is another."""
    return bool(getattr(error, _SHARED, 0))


def shared(error: BaseException, rank: int) -> BaseException:
    """Mark an error that every rank raises: if nobody catches it, only the first one prints it."""
    try:
        setattr(error, _SHARED, rank)
    except AttributeError:  # an exception with slots: it is printed on every rank
        return error
    if rank > 0 and sys.excepthook is not _print_unless_shared:
        global _before
        _before, sys.excepthook = sys.excepthook, _print_unless_shared
    return error


_before = sys.excepthook


def _print_unless_shared(kind: Any, error: BaseException, trace: Any) -> None:
    if not printed_by_first(error):
        _before(kind, error, trace)


def quoted(error: BaseException) -> tuple[str, str]:
    """The error as text, in short and with its traceback."""
    return f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
