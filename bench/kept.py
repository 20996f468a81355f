"""The results that are kept in bench/results, and cells of tables that are made from them.

A file of results is what `crnn bench --json` wrote, or a list of figures with the same two entries:
"machine" (the processor, the kernels, the date, the command) and "versions" (of the other
libraries).
"""

import json
from functools import cache
from pathlib import Path

from crnn.benchmark.results import Report, geometric_mean

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"

LIBRARIES = {
    "torch": "PyTorch", "jax": "JAX", "onnxruntime": "ONNX Runtime", "onednn": "oneDNN",
    "keras": "Keras", "numpy": "NumPy",
}  # fmt: skip
KERNELS = {"avx2": "AVX2", "avx512": "AVX-512"}
OPERATIONS = ("forward", "training")
GATED = ("gru", "lstm")


@cache
def results(name):
    """The contents of a file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


@cache
def report(name):
    """A file that `crnn bench --json` wrote, as a report."""
    return Report.from_json((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def rows_of(name, threads, cell, operation):
    """Rows of a report, in the order of their shapes."""
    return [
        row
        for row in report(name).rows
        if (row.threads, row.case.cell, row.operation) == (threads, cell, operation)
    ]


def spread(row):
    """The distance of crnn's quartiles over the rounds, as a fraction of its median."""
    low, high = row.ours.quartiles
    return (high - low) / row.ours.median


# Cells of a table, as text.


def digits(value, n=2):
    """A number with n significant digits, or all those before the point."""
    text = f"{value:#.{n}g}" if value < 10**n else f"{value:.0f}"
    return text.removesuffix(".")


def in_bold_below_1(text):
    """A ratio, in bold where another library is faster."""
    return f"**{text}**" if float(text) < 1 else str(text)


def ratio(value):
    """A ratio to the nearest 0.01, or 0.1 from 2 on; in bold below 1."""
    return in_bold_below_1(f"{value:.2f}" if value < 2 else digits(value))


def title(cell):
    """The name of a cell as it is written on pages."""
    return cell.upper() if cell in GATED else cell


def shape(name):
    """100x32x128x128 as 100, 32, 128, 128; without the cell that a report puts first."""
    return name.split()[-1].replace("x", ", ")


def mean_and_range(ratios):
    """The geometric mean of ratios, with the least and the most in brackets."""
    return f"{geometric_mean(ratios):.2f} ({ratio(min(ratios))} to {ratio(max(ratios))})"


def percent(values):
    """The least and the most of some fractions, as 78 to 91 %."""
    return f"{100 * min(values):.0f} to {100 * max(values):.0f} %"


def markdown(head, rows):
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def measured(name):
    """A sentence: the processor, the libraries, the date and the command of a file of results."""
    whole = results(name)
    machine = whole["machine"]
    others = ", ".join(
        f"{LIBRARIES.get(other, other)} {version.split('+')[0]}"
        for other, version in whole["versions"].items()
        if other != "crnn"
    )
    cpu = ", ".join(filter(None, [machine["cpu"], machine.get("cpu_version")]))
    return (
        f"Measured on {machine['date']} on an {cpu}, with {KERNELS[machine['simd']]} kernels"
        f"{', beside ' + others if others else ''}: `{machine['command']}`.\n"
    )
