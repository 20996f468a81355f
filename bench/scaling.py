"""Training on several ranks of one machine, and what the cost model says of more machines.

    python bench/scaling.py                    # needs mpi4py and mpiexec

Runs of one and of two ranks alternate, so that other load on the machine affects both; medians are
reported, with the load of the machine. Two ranks need two cores that are otherwise idle: if they
have to share them, they wait for each other at every step. So the part of a step that is not
waiting is timed as CPU time too. The model is that of `crnn train` (256 units), 64 rows per rank.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import crnn
from crnn._training.parallel import ParallelTrainer
from crnn._training.tree import Exchange

SYMBOLS, UNITS, STEPS = 97, 256, 64
WINDOWS, WARM, ROUNDS = 60, 10, 9
ROWS = [8, 16, 64]  # per rank: the time of a step is fitted to these

#: Networks of the prediction: latency in seconds and bytes per second of a link, one direction.
#: Those of this machine are measured; the others are round numbers for what can be bought.
NETWORKS = {
    "10 Gb/s Ethernet, TCP": (30e-6, 1.1e9),
    "100 Gb/s, RDMA": (2e-6, 11e9),
}


def median(values):
    return statistics.median(values)


def worker(rows):
    """Train on all ranks, and print the times of rank 0 as JSON."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    symbols = np.random.default_rng(0).integers(0, SYMBOLS, rows * comm.size * STEPS * WINDOWS + 1)
    model = crnn.RNN(SYMBOLS, UNITS, SYMBOLS, steps="all", rng=0)
    model._network.parameters["Waa"] = model.parameters["Waa"] * 0.5
    walls, sums, cpus = [], [], []
    update, total = ParallelTrainer.update, Exchange.sum

    def timed_update(self, *arguments):
        began, cpu = time.perf_counter(), time.process_time()
        done = update(self, *arguments)
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
        return done

    def timed_sum(self, nodes):
        began, cpu = time.perf_counter(), time.process_time()
        done = total(self, nodes)
        sums.append((time.perf_counter() - began, time.process_time() - cpu))
        return done

    ParallelTrainer.update, Exchange.sum = timed_update, timed_sum
    ranks = {"comm": comm} if comm.size > 1 else {"shards": 1}
    options = {"epochs": 1, "batch_size": rows * comm.size, "steps": STEPS, "progress": False}
    model.fit_stream(symbols, optimizer=crnn.Adam(2e-3), clip_norm=1.0, **options, **ranks)
    walls, cpus, sums = walls[WARM:], cpus[WARM:], sums[WARM:]
    flat = np.zeros(model._network.arena.flat.size + 7, "float32")  # (size,)
    alone = []
    for _ in range(200):
        comm.Barrier()
        began = time.perf_counter()
        comm.Allreduce(MPI.IN_PLACE, flat)
        alone.append(time.perf_counter() - began)
    if comm.rank == 0:
        print(json.dumps({
            "characters": rows * comm.size * STEPS * len(walls) / sum(walls),
            "step": median(walls),
            "quick": min(walls),
            "busy": median([c - s for c, (_, s) in zip(cpus, sums, strict=True)]),
            "meeting": sum(w for w, _ in sums) / sum(walls),
            "allreduce": median(alone),
            "quickest": min(alone),
            "bytes": flat.nbytes,
        }))  # fmt: skip


def run(ranks, rows):
    """The times of one run of some ranks."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        sys.exit("scaling.py: needs mpiexec (python -m pip install mpi4py mpich)")
    command = [mpiexec, "-n", str(ranks), sys.executable, __file__, "--worker", str(rows)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)


def measured():
    """Runs of 1 and 2 ranks in turns, and of 1 rank with fewer rows."""
    found = {1: [], 2: []}
    for _ in range(ROUNDS):
        for ranks, runs in found.items():
            runs.append(run(ranks, 64))
    fewer = {rows: [run(1, rows) for _ in range(3)] for rows in ROWS[:-1]}
    return found, fewer


def report(found):
    """Print what two ranks gain."""
    one, two = found[1], found[2]
    gain = median([b["characters"] / a["characters"] for a, b in zip(one, two, strict=True)])
    busy = median([2 * a["busy"] / b["busy"] for a, b in zip(one, two, strict=True)])
    quick_one, quick_two = (min(r["quick"] for r in runs) for runs in (one, two))
    allreduce, quickest = median([r["allreduce"] for r in two]), min(r["quickest"] for r in two)
    waiting = median([r["meeting"] for r in two])
    print(f"load of the machine (1, 5 and 15 minutes): {os.getloadavg()}")
    print(f"characters/s of one rank {median([r['characters'] for r in one]):,.0f}, "
          f"of two {median([r['characters'] for r in two]):,.0f}")  # fmt: skip
    print(f"gain of two ranks: {gain:.2f}; by their quickest steps, {quick_one * 1e3:.1f} and "
          f"{quick_two * 1e3:.1f} ms, {2 * quick_one / quick_two:.2f}; by CPU time without waiting "
          f"{busy:.2f}")  # fmt: skip
    print(f"Allreduce of {two[0]['bytes']:,} bytes: median {allreduce * 1e6:.0f} us, quickest "
          f"{quickest * 1e6:.0f} us, {100 * quickest / quick_two:.1f} % of the quickest step; with "
          f"waiting for the other rank {100 * waiting:.1f} % of all steps")  # fmt: skip


def fitted(found, fewer):
    """The CPU time of a step as a + b rows: (a, b) in seconds."""
    times = {rows: median([r["busy"] for r in runs]) for rows, runs in fewer.items()}
    times[64] = median([r["busy"] for r in found[1]])
    b, a = np.polyfit(list(times), list(times.values()), 1)
    steps = ", ".join(f"{t * 1e3:.1f} ms with {rows} rows" for rows, t in times.items())
    print(f"\na step of one rank: {steps}; {max(a, 0) * 1e3:.2f} ms + {b * 1e6:.0f} us a row")
    return max(a, 0.0), b


def allreduce_time(ranks, size, latency, speed):
    """Rabenseifner's algorithm: a reduce-scatter and an allgather, log2(ranks) messages each."""
    return 2 * math.ceil(math.log2(ranks)) * latency + 2 * (ranks - 1) / ranks * size / speed


def predict(size, a, b):
    """Print the efficiency at 64 rows per rank, and the rows from which it is 90 %."""
    for name, (latency, speed) in NETWORKS.items():
        print(f"\n{name}\n  ranks  Allreduce  efficiency at 64 rows  rows for 90 %  batch")
        for ranks in (4, 16, 64, 256, 1024):
            wait = allreduce_time(ranks, size, latency, speed)
            step = a + 64 * b
            rows = max(1, math.ceil((9 * wait - a) / b))
            print(f"  {ranks:5d}  {wait * 1e3:6.2f} ms  {100 * step / (step + wait):20.1f} %"
                  f"  {rows:13d}  {rows * ranks:,}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker", type=int, metavar="ROWS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker)
    else:
        runs, fewer = measured()
        report(runs)
        predict(runs[2][0]["bytes"], *fitted(runs, fewer))
