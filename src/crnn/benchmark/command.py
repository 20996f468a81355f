"""``crnn bench``: its options and its output."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from crnn._engine import validate
from crnn._network.cells import CELLS
from crnn.benchmark import plot
from crnn.benchmark.cases import QUICK, SHAPES, Case
from crnn.benchmark.machine import cores
from crnn.benchmark.peers import PEERS, onednn
from crnn.benchmark.rounds import run
from crnn.benchmark.table import summary, table


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``crnn bench``."""
    add = parser.add_argument
    add("--quick", action="store_true", help="few shapes, few rounds")
    add("--cell", nargs="+", default=["vanilla"], choices=[*CELLS], dest="cells",
        help="what is timed; several are timed one after the other")  # fmt: skip
    add("--shapes", metavar="TxMxN_XxN_A,...", help="steps x examples x inputs x units, each")
    add(
        "--peers",
        metavar="NAME,...",
        help=f"of {', '.join(PEERS)} (default: all but torch-compiled)",
    )
    add("--threads", type=int, nargs="+", default=[1], dest="numbers_of_threads", metavar="N",
        help="threads of every implementation; several numbers are compared")  # fmt: skip
    add("--dtype", nargs="+", default=["float32"], choices=["float32", "float64"])
    add("--rounds", type=int, metavar="N", help="turns of each (default: 7; with --quick 3)")
    add("--seconds", type=float, default=0.05, metavar="S", help="the least time of a turn")
    add("--build-onednn", action="store_true", help="first build the binding to oneDNN (needs g++)")
    add("--json", type=Path, metavar="FILE", help="write every number and the machine")
    add("--plot", type=Path, metavar="FILE", help="draw the ratios (needs matplotlib)")


def bench(options: argparse.Namespace) -> int:
    """Run what the options ask for, and print a table and a summary."""
    shapes = QUICK if options.quick else SHAPES
    if options.shapes is not None:
        shapes = options.shapes.split(",")
    for n in options.numbers_of_threads:
        validate.count("--threads", n, most=len(cores()))
    seconds = validate.number("--seconds", options.seconds)
    rounds = validate.count(
        "--rounds", (3 if options.quick else 7) if options.rounds is None else options.rounds
    )
    try:
        cases = [
            Case.parse(shape, dtype, cell)
            for cell in options.cells
            for shape in shapes
            for dtype in options.dtype
        ]
    except ValueError as error:
        raise ValueError(f"--shapes: {error}") from None
    for option, path in (("--json", options.json), ("--plot", options.plot)):
        if path is not None:
            _check_writable(option, path)
    if options.plot is not None:
        plot.check(options.plot)
    if options.build_onednn:
        print(f"built {onednn.build()}", file=sys.stderr)
    report = run(
        cases,
        _peers(options.peers),
        threads=options.numbers_of_threads,
        rounds=rounds,
        seconds=seconds,
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print("milliseconds per call; spread: between the quartiles; ratio: best peer over crnn\n")
    print(table(report) + "\n")
    print("\n".join(summary(report)))
    if options.json is not None:
        options.json.write_text(report.to_json(), encoding="utf-8")
    if not report.cells:
        raise ValueError("--shapes: nothing could be timed")
    if options.plot is not None:
        plot.draw(report, options.plot)
    return 0


def _check_writable(option: str, path: Path) -> None:
    """Check before a run that its results can be written afterwards."""
    folder = path.absolute().parent
    if str(path) == "-":
        raise ValueError(f"{option}: expected the name of a file, got '-'")
    if not folder.is_dir():
        raise ValueError(f"{option}: there is no folder {folder}")
    if path.is_dir():
        raise ValueError(f"{option}: expected the name of a file, got the folder {path}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ValueError(f"{option}: no permission to write {path}")


def _peers(names: str | None) -> list[str]:
    if names is None:
        return [name for name, peer in PEERS.items() if not peer.on_request]
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in PEERS:
            raise ValueError(f"--peers: expected some of {', '.join(PEERS)}, got {name!r}")
    return wanted
