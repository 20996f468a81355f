"""The regression guard: compares crnn's speed with a baseline, as shares of the roofline.

    python -m crnn.benchmark.regression bench/baseline.json            # fails on a loss over 25 %
    python -m crnn.benchmark.regression bench/baseline.json --write

A share is the least time that a case needs, computed from probes in the same rounds, over the time
that it took. Absolute times are not compared, because a processor may run slower today; that slows
the probes as well. Shares depend on the kind of processor and on the kernels in use, so each
combination has its own entry. Processors of one name may differ, such as in how many multiply-adds
they start in a cycle, so an entry for the family and model comes before one for the name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from crnn.benchmark import roofline
from crnn.benchmark.cases import Case
from crnn.benchmark.results import Report
from crnn.benchmark.rounds import run

#: A call of each kind whose data fit into the caches of one core. The outer caches are shared with
#: other programs.
GUARDED = ["100x1x32x32", "100x1x256x256", "100x7x100x100", "20x32x128x128", "20x16x256x256"]

#: The most that a share may lose.
LOSS = 0.25

#: Measurements that must all show a loss before it is reported.
TRIES = 3

Shares = dict[str, float]


def processor(report: Report) -> str:
    """The name of an entry of the baseline: processor, family and model, kernels."""
    parts = (report.machine["cpu"], report.machine.get("cpu_version"), kernels(report))
    return ", ".join(part for part in parts if part)


def kernels(report: Report) -> str:
    """The end of an entry's name."""
    return f"{report.machine['simd']} kernels"


def entry(path: Path, report: Report) -> Shares:
    """The baseline of the processor's family and model, or else of its name."""
    entries: dict[str, Shares] = json.loads(path.read_text(encoding="utf-8"))
    for name in (processor(report), f"{report.machine['cpu']}, {kernels(report)}"):
        if name in entries:
            return entries[name]
    raise NoBaseline(f"{path} has no entry for {processor(report)}: write one with --write")


def shares(report: Report) -> Shares:
    """The share of the roofline for each shape and operation: from the fastest round and probes.

    Medians would not do: on a busy machine most rounds are disturbed, but rarely all of them.
    """
    best = {
        peak.shape: roofline.Peaks(
            *(max(getattr(p, what) for p in peak.rounds) for what in ("fma", "L2", "L3"))
        )
        for peak in report.peaks
    }
    caches = {int(level[1:]): size for level, size in report.machine["caches"].items()}
    return {
        f"{cell.case.name} {cell.operation}": roofline.least_seconds(
            cell.case, cell.operation, best[cell.case.name], cell.threads, caches
        )
        / min(cell.rounds)
        for cell in report.cells
    }


def measure() -> Report:
    """Time crnn alone on the guarded shapes, with one thread, in many short turns."""
    return run([Case.parse(shape) for shape in GUARDED], [], rounds=15, seconds=0.02)


def losses(measured: Shares, baseline: Shares) -> dict[str, float]:
    """The cases that lost more than LOSS, and how much. Cases not in the baseline are ignored."""
    lost = {what: 1 - measured[what] / baseline[what] for what in measured if what in baseline}
    return {what: loss for what, loss in lost.items() if loss > LOSS}


class NoBaseline(LookupError):
    """The baseline has no entry for this processor and these kernels."""


def guard(path: Path) -> dict[str, float]:
    """The losses that remain after up to `TRIES` measurements, of which the best counts."""
    best: Shares = {}
    found: dict[str, float] = {}
    for _ in range(TRIES):
        report = measure()
        baseline = entry(path, report)
        for what, share in shares(report).items():
            best[what] = max(share, best.get(what, 0))
        found = losses(best, baseline)
        if not found:
            break
    return found


def write(path: Path) -> Shares:
    """Write this processor's entry, from the better of two measurements; keep the others."""
    first, second = measure(), measure()
    better = {what: max(share, shares(second)[what]) for what, share in shares(first).items()}
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries[processor(first)] = {what: round(share, 4) for what, share in better.items()}
    path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return better


def main(arguments: list[str] | None = None) -> int:
    """Compare or write. The exit code is 1 for a loss and 2 if there is no baseline."""
    parser = argparse.ArgumentParser(description="Check that crnn has not become slower.")
    parser.add_argument("baseline", type=Path, help="a JSON file of shares of the roofline")
    parser.add_argument("--write", action="store_true", help="write it instead of comparing")
    options = parser.parse_args(arguments)
    if options.write:
        for what, share in write(options.baseline).items():
            print(f"{what:28} {share:.1%} of the roofline")
        return 0
    try:
        lost = guard(options.baseline)
    except (NoBaseline, OSError) as error:
        print(error)
        return 2
    for what, loss in lost.items():
        print(f"{what}: lost {loss:.0%} of its speed")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
