"""A plot of a report: how many times as long as crnn each peer takes."""

from __future__ import annotations

from pathlib import Path

from crnn.benchmark.results import Report
from crnn.benchmark.table import busy


def check(path: Path) -> None:
    """Check before a run that `draw` will be able to write this file.

    Raises
    ------
    RuntimeError
        If matplotlib is not installed.
    ValueError
        If it does not know the format of the name's ending.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise RuntimeError("--plot needs matplotlib: python -m pip install matplotlib") from None

    formats = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:  # matplotlib would add an ending of its own
        raise ValueError(f"--plot: expected a name ending in .png, .svg or .pdf, got {path.name}")


def draw(report: Report, path: Path) -> None:
    """Draw a dot for each peer and row, on a logarithmic axis. Right of the line crnn is faster."""
    from matplotlib.figure import Figure

    operations = list(dict.fromkeys(row.operation for row in report.rows))
    most = max(sum(row.operation == o for row in report.rows) for o in operations)
    figure = Figure(figsize=(6 * len(operations), 2.3 + 0.25 * most), layout="constrained")
    all_axes = figure.subplots(1, len(operations), squeeze=False)[0]
    for axes, operation in zip(all_axes, operations, strict=True):
        rows = [row for row in report.rows if row.operation == operation]
        for k, name in enumerate(report.peers):
            dots = [(row.ratio(name), y) for y, row in enumerate(rows) if name in row.theirs]
            if dots:
                marker = "os^Dv<>"[k % 7]
                label = f"{name} {report.versions[name]}"
                axes.plot(*zip(*dots, strict=True), marker, color=f"C{k}", label=label, alpha=0.8)
        axes.axvline(1, color="black", linewidth=1)
        labels = [f"{r.case.name} f{r.case.dtype[-2:]}, {r.threads} thr." for r in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize=8)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("time of the peer over crnn's")
        axes.set_title(operation)
        axes.set_ylim(len(rows) - 0.5, -0.5)  # the first row on top
        axes.grid(axis="x", alpha=0.3)
    handles = {  # a peer that is missing from one plot may be in the other
        label: handle
        for axes in all_axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside right upper")
    machine = report.machine
    lines = [f"{machine['cpu']}, {machine['simd']} kernels, crnn {machine['crnn']}", busy(report)]
    figure.suptitle("\n".join(line for line in lines if line is not None))
    figure.savefig(path, dpi=150)
