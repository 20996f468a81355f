"""The command line: one file per command, and one line for what cannot be done."""

from __future__ import annotations

import argparse
import sys

import crnn
from crnn.benchmark.command import bench
from crnn.cli import check, options, sample, signals, train
from crnn.cli.errors import UsageError, one_line
from crnn.cli.outlet import Outlet, outlets

__all__ = ["main"]

_COMMANDS = {"train": train.run, "sample": sample.run, "bench": bench, "check": check.run}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit code.

    0 is success, 1 a failed check or a training that diverged, 2 what cannot be done as asked, and
    128 + n the signal n: 130 is Ctrl-C, 143 SIGTERM. Options that cannot be read raise SystemExit,
    as argparse does.
    """
    with outlets(sys.stdout, sys.stderr) as out, signals.raised():
        name = "crnn"
        try:
            asked = options.parser().parse_args(arguments)
            name += f" {asked.command}"
            return _said(name, out, _run(asked))
        except SystemExit as left:  # argparse, after --help or an error
            if left.code:
                raise
            return _said(name, out, 0)
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
    """Do what was asked; give the exit code."""
    if getattr(asked, "threads", None) is not None:
        try:
            crnn.set_num_threads(asked.threads)
        except RuntimeError as error:
            raise UsageError(f"--threads: {error}") from None
    return _COMMANDS[asked.command](asked)


def _said(name: str, out: Outlet, code: int) -> int:
    """The command's exit code, or 2 if its output was lost, on a full disk for instance."""
    out.flush()
    if out.error is None or isinstance(out.error, BrokenPipeError):
        return code  # a reader that leaves, as in `crnn sample ... | head`, has enough
    return _failed(name, f"standard output: {one_line(out.error)}", code or 2)


def _failed(name: str, what: str | BaseException, code: int) -> int:
    print(f"{name}: {one_line(what)}", file=sys.stderr)
    return code
