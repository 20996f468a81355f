"""Signals that arrive during training: Ctrl-C, and those that end a process."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

#: Signals that wait until a training with a checkpoint has finished its step and written its file.
HELD = ("SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupt:
    """Within this context Ctrl-C sets a flag instead of raising in the middle of a step.

    A second Ctrl-C raises at once, because a step, a validation or a callback may take long. The
    handler is set only in the main thread and only in place of Python's own: a program that handles
    the signal itself continues to do so.

    With `hold`, the signals of HELD wait too, until `deliver` or the end of the context; then they
    do what they did before, whether that was to end the process or to call a handler. A second one
    is delivered at once. Signals that are ignored stay so.
    """

    def __init__(self, hold: bool = False) -> None:
        self.requested = False
        self.held: int | None = None  # a signal that waits
        self._hold = hold
        self._before: dict[int, Any] = {}  # handlers by signal

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is not threading.main_thread():
            return self
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._request)
        for name in HELD if self._hold else ():
            number = getattr(signal, name, None)
            if number is None:
                continue
            before = signal.getsignal(number)
            if before is not None and before != signal.SIG_IGN:  # None: a handler of C code
                self._before[number] = signal.signal(number, self._wait)
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, before in self._before.items():
                if signal.getsignal(number) in (self._request, self._wait):
                    signal.signal(number, before)
        self.deliver()

    def deliver(self) -> None:
        """Do now what the signal that waits did before this context."""
        if self.held is not None:
            number, self.held = self.held, None
            self._act(number)

    def _act(self, number: int) -> None:
        before = self._before[number]
        if callable(before):
            before(number, sys._getframe())
        else:  # SIG_DFL
            signal.signal(number, before)
            signal.raise_signal(number)

    def _request(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def _wait(self, number: int, _: object) -> None:
        if self.held is None:
            self.held = number
        else:
            self._act(number)
