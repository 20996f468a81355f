"""Write the tables of the pages, and the pictures of speed, from the JSON files in bench/results.

    python bench/tables.py            # rewrite what differs
    python bench/tables.py --check    # name what differs; exit with status 1 if anything does

A page marks where a table goes:

    <!-- table: NAME -->
    <!-- end -->

Everything between the two lines is replaced. table_NAME is a function of this module or of
speed_tables. The pages are the README, those in docs/ and bench/README.md.
"""

import argparse
import re
import sys

import kept
import pictures
import speed_tables
from kept import digits, markdown, measured, ratio, results, shape, title

BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.S)


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


def table_stepper():
    """Microseconds of a step in C, and of what it is compared with."""
    columns = {
        "stepper": "stepper", "kernel": "its kernel", "call": "call with T = 1",
        "stream.step": "`stream.step`", "p99.9": "p99.9 of the stepper",
    }  # fmt: skip
    rows = [
        [title(row["cell"]), row["units"], *(digits(row[of]) for of in columns)]
        for row in results("stepper_avx512")["rows"]
        if row["units"] in (16, 64, 256, 512)
    ]
    return measured("stepper_avx512") + "\n" + markdown(["cell", "units", *columns.values()], rows)


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
    root = kept.ROOT
    return [*root.glob("*.md"), *root.glob("docs/*.md"), root / "bench" / "README.md"]


def tables():
    """The function of each table, by its name on the pages."""
    every = vars(speed_tables) | globals()
    prefix = "table_"
    return {name.removeprefix(prefix): f for name, f in every.items() if name.startswith(prefix)}


def filled(text):
    """The text of a page with every table written anew. Raises KeyError for an unknown table."""
    write = tables()

    def block(match):
        return f"{match[1]}\n{write[match[2]]()}\n{match[3]}"

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
        path, dots = kept.ROOT / "docs" / name, picture.dots()
        if not pictures.is_current(path, dots):
            stale.append(path)
            if not check:
                pictures.draw(path, dots, picture)
    for path in stale:
        print("stale:" if check else "written:", path.relative_to(kept.ROOT))
    return 1 if check and stale else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    sys.exit(main(parser.parse_args().check))
