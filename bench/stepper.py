"""Steps of libcrnn's stepper beside those of Python's stream, in microseconds a step.

    python bench/stepper.py [--steps 100000] [--cell vanilla] [--dtype float32]

Builds libcrnn and bench/stepper.c with CMake and cc in a temporary folder. The kernel's own time
is that of the same step without the stepper around it. A call is one of crnn.h with T = 1, which has
no output layer; its ratio is to `stream.step`. Run it on a quiet machine: p99.9 is of single steps,
and says as much about the machine as about the stepper.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import crnn

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--cell", default="vanilla")
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    print(f"{options.cell}, n_x = n_y = 1, {options.dtype}, {options.steps} steps; microseconds")
    print("units  stepper  kernel  stream.step     call  ratio  single step: median  p99.9  ratio")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = build(folder)
        for n_a in SIZES:
            leak = {"leak": 0.5} if options.cell == "leaky" else {}
            model = crnn.RNN(1, n_a, 1, cell=options.cell, loss="mse", dtype=options.dtype, rng=0,
                             **leak)  # fmt: skip
            model.save(folder / "model.safetensors")
            steps = options.steps if n_a <= 64 else options.steps // 10
            figures = run(program, folder / "model.safetensors", str(steps)).split()
            step, kernel, call, median, tail = (float(figure) / 1000 for figure in figures)
            python = python_step(model, steps // 10)
            print(f"{n_a:5}  {step:7.3f} {kernel:7.3f}  {python:11.3f}  {call:7.3f} "
                  f"{call / python:6.2f}  {median:20.3f} {tail:6.3f}  {tail / median:5.2f}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
