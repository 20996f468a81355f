"""Kill a training at random moments, resume it each time, and compare with one never stopped.

    python bench/kills.py [--kills 30] [--seed 0]

It does this with `RNN.fit` (a file every 20 steps) and with `crnn train` (a file at each epoch and
every 0.3 s instead of 10 s), each in processes of its own that are ended by SIGKILL. It prints the
steps and seconds that had to be repeated, and fails if the parameters differ in a bit.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import crnn
from crnn import files

#: Every process appends "STEP TIME" to its log where its file may be written: after each step, or
#: after some steps in compiled code.
CHILD = """
import os, sys, time
from datetime import timedelta
import numpy as np
import crnn
from crnn import cli
from crnn._training.keeper import Keeper
from crnn.cli import train

path, log = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
after_step = Keeper.after_step

def logged(self, *arguments, **options):
    os.write(log, f"{self._trainer.steps} {time.time()}\\n".encode())
    after_step(self, *arguments, **options)

Keeper.after_step = logged
"""
CHILDREN = {
    "fit": CHILD + """
rng = np.random.default_rng(0)
x = rng.standard_normal((60, 3000, 4)).astype("float32")
y = (x.sum(axis=(0, 2)) > 0).astype(int)
lengths = rng.integers(20, 61, 3000)
model = crnn.RNN(4, 64, 2, cell="leaky", leak=0.5, noise=0.1, rng=0)
model.fit(x, y, lengths=lengths, epochs=60, optimizer=crnn.Adam(1e-3), progress=False, rng=1,
          validation=(x[:, :200], y[:200]), patience=50, checkpoint=path, every=20)
""",
    "crnn train": CHILD + """
train.EVERY = timedelta(seconds=0.3)
resume = ["--resume", path] if os.path.exists(path) else []
cli.main(["train", "--out", path, "--hidden", "128", "--epochs", "6", "--quiet", *resume])
""",
}  # fmt: skip


def start(code: str, path: Path, log: Path) -> subprocess.Popen:
    """Start a process that trains, or goes on."""
    command = [sys.executable, "-c", code, str(path), str(log)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def steps(log: Path) -> list[tuple[int, float]]:
    """The steps that a process has done, and when."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(step), float(when)) for step, when in map(str.split, lines)]


def bits(path: Path) -> bytes:
    """The parameters of a model in a file."""
    return b"".join(p.tobytes() for p in crnn.load(path).parameters.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    for name, code in CHILDREN.items():
        with tempfile.TemporaryDirectory() as folder:
            report(name, code, Path(folder), options.kills)


def report(name: str, code: str, folder: Path, kills: int) -> None:
    """Train once without a stop and once with kills, compare and print."""
    whole, stopped = folder / "whole", folder / "stopped"
    assert start(code, whole, folder / "log").wait() == 0
    done = steps(folder / "log")
    length = done[-1][1] - done[0][1]
    print(f"{name}: {done[-1][0]} steps in {length:.1f} s without a stop", flush=True)
    repeated, seconds, same = [], [], True
    while len(repeated) < kills:
        log = folder / f"log{len(repeated)}"
        log.unlink(missing_ok=True)
        child = start(code, stopped, log)
        while child.poll() is None and not log.exists():
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1.5 * length / kills))
        child.send_signal(signal.SIGKILL)
        if child.wait() == 0:  # it ended before it was killed: begin another one
            same = same and bits(whole) == bits(stopped)
            stopped.unlink()
            continue
        kept = files.load_training(stopped)[3].entry["state"]["steps"]
        lost = [(step, when) for step, when in steps(log) if step > kept]
        repeated.append(lost[-1][0] - kept if lost else 0)
        seconds.append(lost[-1][1] - lost[0][1] if lost else 0.0)
    while start(code, stopped, folder / "last").wait() != 0:
        pass
    left = [file for file in os.listdir(folder) if file.endswith(".tmp")]
    same = same and bits(whole) == bits(stopped)
    print(
        f"{name}: {len(repeated)} kills; repeated after one at most {max(repeated)} steps, "
        f"{max(seconds):.2f} s, and {sum(repeated)} steps in all; {len(left)} temporary files; "
        f"parameters {'equal in every bit' if same else 'DIFFER'}",
        flush=True,
    )
    if not same:
        sys.exit(1)


if __name__ == "__main__":
    main()
