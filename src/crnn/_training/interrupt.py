"""Ctrl-C during training."""

from __future__ import annotations

import signal
import threading


class Interrupt:
    """Within this context Ctrl-C sets a flag instead of raising in the middle of a step.

    A second Ctrl-C raises at once, because a step, a validation or a callback may take long. The
    handler is set only in the main thread and only in place of Python's own: a program that handles
    the signal itself continues to do so.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interrupt:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) == self._request
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _request(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
