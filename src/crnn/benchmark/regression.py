"""The guard: has crnn become slower? Shares of the roofline beside those once written down.

    python -m crnn.benchmark.regression bench/baseline.json            # fails on a loss over 25 %
    python -m crnn.benchmark.regression bench/baseline.json --write

A share is the least time that a case needs, by probes taken in the same rounds, over the time it
took: no absolute time is compared, and a processor that runs slower today slows both. Shares do
depend on the kind of processor and on the kernels in use, so each has its own entry.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from crnn.benchmark import roofline
from crnn.benchmark.cases import Case
from crnn.benchmark.results import Report
from crnn.benchmark.rounds import run

#: A call of each kind, all that it touches small enough for the caches of one core: those further
#: out are shared with whatever else the machine does.
GUARDED = ["100x1x32x32", "100x1x256x256", "100x7x100x100", "20x32x128x128", "20x16x256x256"]

#: The most that a share may lose.
LOSS = 0.25

#: Measurements taken before a loss is believed.
TRIES = 3

Shares = dict[str, float]


def processor(report: Report) -> str:
    """What an entry of the baseline belongs to."""
    return f"{report.machine['cpu']}, {report.machine['simd']} kernels"


def shares(report: Report) -> Shares:
    """Of the roofline, by shape and operation: the fastest round over the fastest probes.

    Not medians: on a busy machine most rounds are disturbed, but hardly all of them.
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
    """The guarded shapes, crnn alone, one thread: many short turns."""
    return run([Case.parse(shape) for shape in GUARDED], [], rounds=15, seconds=0.02)


def losses(measured: Shares, baseline: Shares) -> dict[str, float]:
    """What has lost too much, and how much of it is gone; what is not in the baseline is new."""
    lost = {what: 1 - measured[what] / baseline[what] for what in measured if what in baseline}
    return {what: loss for what, loss in lost.items() if loss > LOSS}


class NoBaseline(LookupError):
    """Nothing was written down for this processor and these kernels."""


def guard(path: Path) -> dict[str, float]:
    """The losses that stay in every one of `TRIES` measurements; the best of all counts."""
    best: Shares = {}
    found: dict[str, float] = {}
    for _ in range(TRIES):
        report = measure()
        baseline = json.loads(path.read_text(encoding="utf-8")).get(processor(report))
        if baseline is None:
            raise NoBaseline(f"{path} has no entry for {processor(report)}: write one with --write")
        for what, share in shares(report).items():
            best[what] = max(share, best.get(what, 0))
        found = losses(best, baseline)
        if not found:
            break
    return found


def write(path: Path) -> Shares:
    """Write this processor's entry and leave the others; of two measurements, the better."""
    first, second = measure(), measure()
    better = {what: max(share, shares(second)[what]) for what, share in shares(first).items()}
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    entries[processor(first)] = {what: round(share, 4) for what, share in better.items()}
    path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return better


def main(arguments: list[str] | None = None) -> int:
    """Guard, or write; 1 where something was lost, 2 where there is nothing to compare with."""
    parser = argparse.ArgumentParser(description="Has crnn become slower?")
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
