"""The command line: one module per command. An error is one line."""

from __future__ import annotations

import argparse
import sys

import crnn
from crnn._training.shared_errors import printed_by_first
from crnn.cli import bench, check, evaluate, inspect, options, sample, signals, tasks, train
from crnn.cli.errors import UsageError, one_line
from crnn.cli.outlet import Outlet, outlets

__all__ = ["main"]

_COMMANDS = {
    "train": train.run,
    "eval": evaluate.run,
    "sample": sample.run,
    "inspect": inspect.run,
    "tasks": tasks.run,
    "bench": bench.run,
    "check": check.run,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code.

    It is 0 for success, 1 for a failed check or a training that diverged, 2 for any other error,
    and 128 + n for the signal n: 130 for Ctrl-C, 143 for SIGTERM. Wrong options raise SystemExit,
    as in argparse.
    """
    with outlets(sys.stdout, sys.stderr) as out, signals.raised():
        name = "crnn"
        try:
            asked = options.parser().parse_args(arguments)
            name += f" {asked.command}"
            return _exit_code(name, out, _run(asked))
        except SystemExit as left:  # argparse, after --help or an error
            if left.code:
                raise
            return _exit_code(name, out, 0)
        except signals.Stopped as stop:
            return _failed(name, stop, 128 + stop.number)
        except KeyboardInterrupt:
            return _failed(name, "interrupted", 130)
        except crnn.DivergenceError as error:
            return _failed(name, error, 1)
        except MemoryError as error:
            return _failed(name, f"out of memory: {error}".removesuffix(": "), 2)
        except (UsageError, OSError, ValueError, OverflowError, RuntimeError) as error:
            return _failed(name, error, 2)


def _run(asked: argparse.Namespace) -> int:
    """Run the command that was parsed, and return its exit code."""
    if getattr(asked, "threads", None) is not None:
        try:
            crnn.set_num_threads(asked.threads)
        except RuntimeError as error:
            raise UsageError(f"--threads: {error}") from None
    return _COMMANDS[asked.command](asked)


def _exit_code(name: str, out: Outlet, code: int) -> int:
    """The command's exit code, or 2 if its output was lost, on a full disk for instance."""
    out.flush()
    if out.error is None or isinstance(out.error, BrokenPipeError):
        return code  # the reader has stopped reading, as in `crnn sample ... | head`
    return _failed(name, f"standard output: {one_line(out.error)}", code or 2)


def _failed(name: str, what: str | BaseException, code: int) -> int:
    """Print why the command failed, unless another process does, and return the exit code."""
    if isinstance(what, BaseException) and printed_by_first(what):
        return code
    print(f"{name}: {one_line(what)}", file=sys.stderr)
    return code
