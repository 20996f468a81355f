"""Steps of libcrnn's stepper beside those of Python's stream, in microseconds a step.

    python bench/stepper.py [--steps 100000] [--cells vanilla leaky] [--units 64 700]
                            [--dtype float64] [--json FILE]

Builds libcrnn and bench/stepper.c with CMake and cc in a temporary folder. The kernel's own time is
that of the same step without the stepper around it. A call is one of crnn.h with T = 1, which has
no output layer; its ratio is to `stream.step`. Run it on a quiet machine: p99.9 is of single steps,
and says as much about the machine as about the stepper.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import crnn
from crnn.benchmark import machine

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
#: What the program prints: medians over blocks of steps, and two quantiles of single steps.
FIGURES = ("stepper", "kernel", "call", "median", "p99.9")
HERE = Path(__file__).parent


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def build(folder):
    """The program, linked with a libcrnn of this package."""
    source = Path(crnn.get_source())
    run("cmake", "-S", source, "-B", folder)
    run("cmake", "--build", folder, "--target", "crnn_static", "-j")
    internal = [source, source / "../include", source / "../_engine/csrc"]
    program = folder / "stepper"
    run("cc", "-std=gnu11", "-O2", *(f"-I{path}" for path in internal), HERE / "stepper.c",
        folder / "libcrnn.a", "-lm", "-lpthread", "-o", program)  # fmt: skip
    return program


def python_step(model, steps):
    """The median of `stream.step`, in blocks of 100."""
    stream, config = model.stream(), model.config
    x, y = np.zeros((1, config.n_x), config.dtype), np.empty((1, config.n_y), config.dtype)
    times = []
    for _ in range(max(10, steps // 100)):
        before = time.perf_counter()
        for _ in range(100):
            stream.step(x, y)
        times.append((time.perf_counter() - before) / 100)
    return 1e6 * statistics.median(times)


def measured(program, file, cell, dtype, n_a, steps):
    """A row: microseconds of the stepper of one model, and of what it is compared with."""
    leak = {"leak": 0.5} if cell == "leaky" else {}
    model = crnn.RNN(1, n_a, 1, cell=cell, loss="mse", dtype=dtype, rng=0, **leak)
    model.save(file)
    steps = steps if n_a <= 64 else steps // 10
    figures = (float(figure) / 1000 for figure in run(program, file, str(steps)).split())
    row = {"cell": cell, "dtype": dtype, "units": n_a, **dict(zip(FIGURES, figures, strict=True))}
    return row | {"stream.step": python_step(model, steps // 10)}


def main(steps, cells, units, dtype, path):
    whole = {"machine": machine.describe(), "versions": {}, "steps": steps, "rows": []}
    columns = (*FIGURES, "stream.step")
    print(f"n_x = n_y = 1, {dtype}, {steps} steps; microseconds; median and p99.9 of single steps")
    print("cell     units  " + "".join(f"{name:>13}" for name in columns) + "  call/stream.step")
    with tempfile.TemporaryDirectory() as name:
        program = build(Path(name))
        for cell in cells:
            for n_a in units:
                row = measured(program, Path(name) / "model.safetensors", cell, dtype, n_a, steps)
                whole["rows"].append(row)
                figures = "".join(f"{row[name]:13.3f}" for name in columns)
                ratio = row["call"] / row["stream.step"]
                print(f"{cell:8} {n_a:5}  {figures} {ratio:17.2f}", flush=True)
    if path is not None:
        path.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--cells", nargs="+", default=["vanilla"])
    parser.add_argument("--units", nargs="+", type=int, default=SIZES)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path, dest="path", metavar="FILE")
    main(**vars(parser.parse_args()))
