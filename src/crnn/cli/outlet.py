"""Output streams whose errors do not end a command, as when a pipe is closed or a disk is full.

The work of a command is more important than its messages: a model is still trained and saved if
they cannot be written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast


class Outlet:
    """A text stream that never raises: it stores the first error and drops the text after it.

    Characters that its encoding does not have are replaced by question marks.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or drop the text if an earlier write failed."""
        encoding = self._stream.encoding or "utf-8"
        self._try(self._stream.write, text.encode(encoding, "replace").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Flush, unless an earlier write failed."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[..., Any], *arguments: Any) -> None:
        if self.error is not None:
            return
        try:
            act(*arguments)
        except OSError as error:
            self.error = error
            self._drain()

    def _drain(self) -> None:
        """Send buffered text to os.devnull; otherwise Python prints an error at exit."""
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def outlets(stdout: TextIO | None, stderr: TextIO | None) -> Iterator[Outlet]:
    """Replace both streams by outlets within this context, and yield that of standard output.

    A process can be started without a stream, as in `crnn check >&-`.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        out, err = Outlet(stdout or nowhere), Outlet(stderr or nowhere)
        with (
            contextlib.redirect_stdout(cast(TextIO, out)),
            contextlib.redirect_stderr(cast(TextIO, err)),
        ):
            try:
                yield out
            finally:
                out.flush()
