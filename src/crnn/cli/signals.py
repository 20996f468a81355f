"""Turns signals that end a process into an exception, so that a command can save its work."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

#: The message for each signal. Python itself handles SIGINT (Ctrl-C).
STOPS = {
    "SIGTERM": "terminated",
    "SIGHUP": "the terminal was closed",
    "SIGBREAK": "interrupted by Ctrl-Break",
}


class Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C asked the process to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return STOPS[signal.Signals(self.number).name]


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(number)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Within this context, each signal of `STOPS` raises `Stopped` in the main thread.

    Signals that would not end the process are left alone: `nohup` ignores SIGHUP, and a program
    that calls `crnn.cli.main` may have handlers of its own.
    """
    taken = []
    if threading.current_thread() is threading.main_thread():
        for name in STOPS:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _stop)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
