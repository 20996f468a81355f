"""The ratios of a report as a picture: how many times as long as crnn each peer takes."""

from __future__ import annotations

from pathlib import Path

from crnn.benchmark.results import Report


def draw(report: Report, path: Path) -> None:
    """A dot for each peer and row, on a logarithmic axis; right of the line, crnn is faster.

    Raises
    ------
    RuntimeError
        Where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise RuntimeError("--plot needs matplotlib: python -m pip install matplotlib") from None

    operations = list(dict.fromkeys(row.operation for row in report.rows))
    most = max(sum(row.operation == o for row in report.rows) for o in operations)
    figure = Figure(figsize=(6 * len(operations), 2 + 0.25 * most), layout="constrained")
    all_axes = figure.subplots(1, len(operations), squeeze=False)[0]
    for axes, operation in zip(all_axes, operations, strict=True):
        rows = [row for row in report.rows if row.operation == operation]
        for k, name in enumerate(report.peers):
            dots = [(row.ratio(name), y) for y, row in enumerate(rows) if name in row.theirs]
            if dots:
                marker = "os^Dv<>"[k % 7]
                axes.plot(*zip(*dots, strict=True), marker, color=f"C{k}", label=name, alpha=0.8)
        axes.axvline(1, color="black", linewidth=1)
        labels = [f"{r.case.name} f{r.case.dtype[-2:]}, {r.threads} thr." for r in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=8)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
        axes.set_xlabel("time of the peer over crnn's")
        axes.set_title(operation)
        axes.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
        axes.grid(axis="x", alpha=0.3)
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.suptitle(f"{report.machine['cpu']}, crnn {report.machine['crnn']}")
    figure.savefig(path, dpi=150)
