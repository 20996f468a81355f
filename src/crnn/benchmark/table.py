"""A report as text: a table, and a summary in a few figures."""

from __future__ import annotations

from collections.abc import Iterator

from crnn.benchmark import peers
from crnn.benchmark.cases import OPERATIONS
from crnn.benchmark.results import Report, Row, geometric_mean, ratio


def table(report: Report) -> str:
    """The times of crnn and each peer, the ratio to the best peer, the share of the roofline."""
    head = ["shape", "dtype", "operation", "threads", peers.OURS, "spread", *report.peers]
    head += ["best peer", "ratio", "roofline"]
    lines = [head, *(_line(report, row) for row in report.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = {"shape", "dtype", "operation", "best peer"}
    return "\n".join(
        "  ".join(
            f"{word:<{width}}" if title in left else f"{word:>{width}}"
            for title, word, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _line(report: Report, row: Row) -> list[str]:
    low, high = row.ours.quartiles
    line = [row.case.name, row.case.dtype, row.operation, str(row.threads)]
    line += [_milliseconds(row.ours.median), f"{(high - low) / row.ours.median:.0%}"]
    for name in report.peers:
        line.append(_milliseconds(row.theirs[name].median) if name in row.theirs else "-")
    line += [row.best or "-", f"{row.ratio(row.best):.2f}" if row.best else "-", f"{row.share:.0%}"]
    return line


def _milliseconds(seconds: float) -> str:
    """At least three digits."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def summary(report: Report) -> Iterator[str]:
    """The machine, the peers that were not timed and why, and the means of the ratios."""
    machine, versions = report.machine, report.versions
    yield f"{machine['cpu']}, {machine['cores']} cores, kernels {machine['simd']}"
    if (note := busy(report)) is not None:
        yield note
    yield ", ".join(f"{name} {version}" for name, version in versions.items())
    for threads in sorted({peak.threads for peak in report.peaks}):
        peaks = [peak.median for peak in report.peaks if peak.threads == threads]
        fma, L2, L3 = (
            geometric_mean(getattr(peak, what) for peak in peaks) / 1e9
            for what in ("fma", "L2", "L3")
        )
        yield (
            f"{_threads(threads)}: {fma:.0f} Gflop/s of fused multiply-adds ({machine['probe']}), "
            f"L2 {L2:.0f} GB/s, L3 {L3:.0f} GB/s"
        )
    yield from _left_out(report)
    for operation in OPERATIONS:
        for name in (None, *report.peers):
            yield from _ratios(report, operation, name)
    yield from _threads_over_one(report)
    yield from _double_over_single(report)


def busy(report: Report) -> str | None:
    """A warning if the machine was busy when the run began, or None."""
    load = report.machine["load"]
    if load is None or load <= report.machine["cores"] / 2:
        return None
    return f"the machine was busy with other work (load {load:.1f}): do not quote these figures"


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _left_out(report: Report) -> Iterator[str]:
    for name, reason in report.skipped.items():
        yield f"{name} was skipped: {reason}"
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for refusal in report.refusals:
        key = refusal.peer, refusal.operation, refusal.reason
        grouped.setdefault(key, []).append(f"{refusal.case.name} {refusal.case.dtype}")
    for (name, operation, reason), shapes in grouped.items():
        where = ", ".join(dict.fromkeys(shapes))
        if set(shapes) == {f"{cell.case.name} {cell.case.dtype}" for cell in report.cells}:
            where = "every shape"
        yield f"{name}, {operation}, was not timed: {reason} ({where})"


def _ratios(report: Report, operation: str, name: str | None) -> Iterator[str]:
    """crnn against one peer, or for None against the best peer of each row."""
    rows = [row for row in report.rows if row.operation == operation]
    ratios = {
        f"{row.case.name}, {row.case.dtype}, {_threads(row.threads)}": row.ratio(name or row.best)
        for row in rows
        if row.best and (name is None or name in row.theirs)
    }
    yield from _summed_up(f"{operation}: times as fast as {name or 'the best peer'}", ratios)


def _threads_over_one(report: Report) -> Iterator[str]:
    alone = {(r.case, r.operation): r.ours for r in report.rows if r.threads == 1}
    for threads in sorted({row.threads for row in report.rows} - {1}):
        ratios = {
            f"{row.case.name}, {row.case.dtype}, {row.operation}": ratio(
                alone[row.case, row.operation], row.ours
            )
            for row in report.rows
            if row.threads == threads and (row.case, row.operation) in alone
        }
        yield from _summed_up(f"crnn: {threads} threads over 1", ratios)


def _double_over_single(report: Report) -> Iterator[str]:
    single = {
        (row.case.name, row.operation, row.threads): row.ours
        for row in report.rows
        if row.case.dtype == "float32"
    }
    ratios = {
        f"{row.case.name}, {row.operation}, {_threads(row.threads)}": ratio(row.ours, single[key])
        for row in report.rows
        if (key := (row.case.name, row.operation, row.threads)) in single
        and row.case.dtype == "float64"
    }
    yield from _summed_up("crnn: time of float64 over float32", ratios)


def _summed_up(what: str, ratios: dict[str, float]) -> Iterator[str]:
    if ratios:
        least, most = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
        yield (
            f"{what}: geometric mean {geometric_mean(ratios.values()):.2f}, "
            f"least {ratios[least]:.2f} ({least}), most {ratios[most]:.2f} ({most})"
        )
