"""``crnn bench``: its options and its output."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from crnn import benchmark, files
from crnn._engine import validate
from crnn._network.cells import CELLS
from crnn.benchmark import plot
from crnn.benchmark.cases import QUICK, SHAPES, Case
from crnn.benchmark.machine import cores
from crnn.benchmark.peers import PEERS, onednn
from crnn.benchmark.table import summary, table
from crnn.cli.errors import check_writable
from crnn.cli.values import named


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
    add("--json", type=named, metavar="FILE", help="write every number and the machine")
    add("--plot", type=named, metavar="FILE", help="draw the ratios (needs matplotlib)")


def run(options: argparse.Namespace) -> int:
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
            check_writable(option, path)
    if options.plot is not None:
        plot.check(Path(options.plot))
    if options.build_onednn:
        print(f"built {onednn.build()}", file=sys.stderr)
    report = benchmark.run(
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
        files.write(options.json, report.to_json().encode())
    if not report.cells:
        raise ValueError("--shapes: nothing could be timed")
    if options.plot is not None:
        plot.draw(report, Path(options.plot))
    return 0


def _peers(names: str | None) -> list[str]:
    if names is None:
        return [name for name, peer in PEERS.items() if not peer.on_request]
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in PEERS:
            raise ValueError(f"--peers: expected some of {', '.join(PEERS)}, got {name!r}")
    return wanted
