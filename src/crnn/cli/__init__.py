"""The command line: one file per command, and one line for what cannot be done."""

from __future__ import annotations

import argparse
import sys

import crnn
from crnn.benchmark.command import bench
from crnn.cli import check, options, sample, train
from crnn.cli.errors import UsageError, one_line
from crnn.cli.outlet import Outlet, outlets

__all__ = ["main"]

_COMMANDS = {"train": train.run, "sample": sample.run, "bench": bench, "check": check.run}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit code.

    0 is well, 1 is a failed check or a training that diverged, 2 is what cannot be done as asked,
    130 is Ctrl-C. Options that cannot be read, and --help, leave by SystemExit, as argparse does.
    """
    with outlets(sys.stdout, sys.stderr) as out:
        name = "crnn"
        try:
            asked = options.parser().parse_args(arguments)
            name += f" {asked.command}"
            return _said(name, out, _run(asked))
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
    """The command's own code, unless what it had to say was lost on somebody who wanted it."""
    out.flush()
    if out.error is None or isinstance(out.error, BrokenPipeError):
        return code  # a reader that leaves, as in `crnn sample ... | head`, has enough
    return _failed(name, f"standard output: {one_line(out.error)}", code or 2)


def _failed(name: str, what: str | Exception, code: int) -> int:
    line = what if isinstance(what, str) else one_line(what)
    print(f"{name}: {line}", file=sys.stderr)
    return code
