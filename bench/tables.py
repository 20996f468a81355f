"""Write the tables of the pages, and the pictures of speed, from the JSON files in bench/results.

    python bench/tables.py            # rewrite what differs
    python bench/tables.py --check    # name what differs; exit with status 1 if anything does

A page marks where a table goes:

    <!-- table: NAME -->
    <!-- end -->

Everything between the two lines is replaced. table_NAME is a function of this module. The pages
are the README, those in docs/ and bench/README.md.

A file of results is what `crnn bench --json` wrote, or, where only the medians were kept, a list of
them with the same two entries: "machine" (the processor, the kernels, the date, the command) and
"versions" (of the other libraries).
"""

import argparse
import json
import re
import sys
from functools import cache
from pathlib import Path

import pictures

from crnn.benchmark.results import Report, geometric_mean

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.S)

LIBRARIES = {
    "torch": "PyTorch", "jax": "JAX", "onnxruntime": "ONNX Runtime", "onednn": "oneDNN",
    "keras": "Keras",
}  # fmt: skip
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


def of_gated(threads, cell, operation):
    """The rows of the report of GRU and LSTM, in the order of their shapes."""
    return [
        row
        for row in report("gated_avx512").rows
        if (row.threads, row.case.cell, row.operation) == (threads, cell, operation)
    ]


# Cells of a table, as text.


def digits(value, n=2):
    """A number with n significant digits, or all those before the point."""
    text = f"{value:#.{n}g}" if value < 10**n else f"{value:.0f}"
    return text.removesuffix(".")


def ratio(value):
    """A ratio to the nearest 0.01, or 0.1 from 2 on; in bold where another library is faster."""
    text = f"{value:.2f}" if value < 2 else digits(value)
    return f"**{text}**" if float(text) < 1 else text


def shape(name):
    """100x32x128x128 as 100, 32, 128, 128; without the cell that a report puts first."""
    return name.split()[-1].replace("x", ", ")


def mean_and_range(ratios):
    """The geometric mean of ratios, with the least and the most in brackets."""
    return f"{geometric_mean(ratios):.2f} ({ratio(min(ratios))} to {ratio(max(ratios))})"


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
    kernels = {"avx2": "AVX2", "avx512": "AVX-512"}[machine["simd"]]
    cpu = ", ".join(filter(None, [machine["cpu"], machine.get("cpu_version")]))
    return (
        f"Measured on {machine['date']} on an {cpu}, with {kernels} kernels, beside "
        f"{others}: `{machine['command']}`.\n"
    )


# Tables.


def milliseconds(names, threads, columns):
    """Forward / training of the vanilla cell, for each shape, in milliseconds."""
    medians = {
        (row["shape"], row["threads"], row["operation"]): row
        for row in results("vanilla_avx2")["milliseconds"]
    }
    rows = []
    for name in names:
        row = [shape(name)]
        for n in threads:
            pair = [medians[name, n, operation] for operation in OPERATIONS]
            row += [" / ".join(digits(one[c]) for one in pair) for c in columns if c in pair[0]]
        rows.append(row)
    return rows


def vanilla_shapes():
    """The shapes of the vanilla cell of which the medians were kept."""
    return list(dict.fromkeys(row["shape"] for row in results("vanilla_avx2")["milliseconds"]))


def table_few():
    """The README's table: some shapes of the vanilla cell on one thread."""
    head = ["T, m, n_x, n_a", "crnn", "fastest other", "PyTorch"]
    few = ["10x1x32x32", "100x1x128x128", "100x16x64x64", "100x32x128x128", "100x32x256x256"]
    return markdown(head, milliseconds(few, [1], ["crnn", "fastest other", "torch"]))


def table_vanilla():
    """The vanilla cell on one thread and two, in milliseconds."""
    head = ["T, m, n_x, n_a", "crnn", "fastest other", "PyTorch"]
    head += ["crnn, 2 threads", "fastest other, 2 threads"]
    rows = milliseconds(vanilla_shapes(), [1, 2], ["crnn", "fastest other", "torch"])
    return measured("vanilla_avx2") + "\n" + markdown(head, rows)


def table_means():
    """The geometric means of every cell on one thread and two."""
    rows = []
    means = results("vanilla_avx2")["means"]
    for threads in (1, 2):
        of = [row for row in means if row["threads"] == threads]
        rows.append(
            ["vanilla", "AVX2", 25, threads, *(row["fastest other"] for row in of)]
            + [row.get("torch", "") for row in of]
        )
    for cell in GATED:
        for threads in (1, 2):
            both = [of_gated(threads, cell, operation) for operation in OPERATIONS]
            best = [mean_and_range([row.ratio(row.best) for row in of]) for of in both]
            torch = [digits(geometric_mean(row.ratio("torch") for row in of)) for of in both]
            rows.append([cell.upper(), "AVX-512", len(both[0]), threads, *best, *torch])
    for cell in GATED:
        for threads in (1, 2):
            of = [
                f"{row['mean']} (**{row['least']}** to {row['most']})"
                for row in results("gated_avx2")["ratios"]
                if (row["cell"], row["threads"]) == (cell, threads)
            ]
            rows.append([cell.upper(), "AVX2", 8, threads, *of, "", ""])
    head = ["cell", "kernels", "shapes", "threads", "fastest other, forward", "training"]
    return markdown([*head, "PyTorch, forward", "training"], rows)


def table_gated():
    """GRU and LSTM: the fastest other library's time over crnn's."""
    columns = [(cell, operation) for cell in GATED for operation in OPERATIONS]
    text = measured("gated_avx512")
    for threads in (1, 2):
        ratios = [
            [ratio(row.ratio(row.best)) for row in of_gated(threads, *column)] for column in columns
        ]
        names = [shape(row.case.name) for row in of_gated(threads, *columns[0])]
        head = [f"T, m, n_x, n_a; threads: {threads}"]
        head += [f"{cell.upper()} {operation}" for cell, operation in columns]
        text += "\n" + markdown(head, zip(names, *ratios, strict=True))
    return text


def table_losses():
    """Every line of the report of GRU and LSTM at which another library took less time."""
    rows = []
    for row in report("gated_avx512").rows:
        best = row.theirs[row.best]
        if round(row.ratio(row.best), 2) < 1:
            low, high = row.ours.quartiles
            spread = f"{(high - low) / row.ours.median:.0%}"
            times = [digits(one.median * 1e3) for one in (row.ours, best)]
            case = [row.case.cell.upper(), shape(row.case.name), row.operation, row.threads]
            rows.append([*case, *times, LIBRARIES[row.best], f"{row.ratio(row.best):.2f}", spread])
    head = ["cell", "T, m, n_x, n_a", "operation", "threads", "crnn, ms", "other, ms", "library"]
    return markdown([*head, "ratio", "spread of crnn"], rows)


def table_adapters():
    """What one line gains inside another tool."""
    pages = {
        "torch": "[PyTorch](torch.md)",
        "jax": "[JAX](jax.md)",
        "onnx": "[ONNX](onnx.md)",
        "keras": "[Keras](keras.md)",
    }
    rows = [
        [pages[row["tool"]], row["what"], shape(row["shape"]), row["threads"], ratio(row["times"]),
         f"`{row['command']}`"]
        for row in results("adapters_avx2")["times"]
    ]  # fmt: skip
    head = ["tool", "what", "T, m, n_x, n_a", "threads", "times as fast", "measure it again"]
    return markdown(head, rows)


def table_use():
    """A step of a stream, and training by the command, beside PyTorch."""
    rows = [
        [row["what"], digits(row["crnn"]), digits(row["torch"]), f"`{row['command']}`"]
        for row in results("use_avx2")["rows"]
    ]
    return markdown(["what", "crnn", "PyTorch", "measure it again"], rows)


def table_stream():
    """Microseconds of single steps of a stream, one after another and at a rate."""
    quantiles = ("median", "p99", "p99.9")
    rows = [
        [row["cell"], row["units"]]
        + [digits(row[way][q]) for way in ("one after another", "at a rate") for q in quantiles]
        + [f"{row['missed']} of {row['due']}"]
        for row in results("stream_avx512")["rows"]
    ]
    head = ["cell", "units", "one after another: median", "p99", "p99.9"]
    return markdown([*head, "at 1 kHz: median", "p99", "p99.9", "late"], rows)


def table_products():
    """crnn's own matrix products and a BLAS's, forward / backward."""
    rows = [
        [shape(row["shape"]), *(" / ".join(map(digits, row[of])) for of in ("tiles", "blas"))]
        for row in results("products_avx2")["milliseconds"]
    ]
    return markdown(["T, m, n_x, n_a", "crnn's tiles", "OpenBLAS"], rows)


def table_examples():
    """What the examples reach on held-out data."""
    rows = [
        [f"[`{name}.py`](../examples/{name}.py): {row['what']}", row["result"], row["baseline"]]
        for row in results("examples")["rows"]
        for name in [row["example"]]
    ]
    return markdown(["example", "result on held-out data", "baseline"], rows)


# Pages.


def pages():
    """Every page that may have tables."""
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "bench" / "README.md"]


def filled(text):
    """The text of a page with every table written anew. Raises KeyError for an unknown table."""

    def block(match):
        return f"{match[1]}\n{globals()['table_' + match[2]]()}\n{match[3]}"

    return BLOCK.sub(block, text)


def main(check):
    stale = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if filled(text) != text:
            stale.append(page)
            if not check:
                page.write_text(filled(text), encoding="utf-8")
    for name, picture in pictures.PICTURES.items():
        path, dots = ROOT / "docs" / name, picture.dots(results, report)
        if not pictures.is_current(path, dots):
            stale.append(path)
            if not check:
                pictures.draw(path, dots, picture)
    for path in stale:
        print("stale:" if check else "written:", path.relative_to(ROOT))
    return 1 if check and stale else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    sys.exit(main(parser.parse_args().check))
