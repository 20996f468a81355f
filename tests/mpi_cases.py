"""Trainings that tests/test_ranks.py runs on several ranks: mpi_cases.py FOLDER CASE [CASE ...].

Each rank writes what it found to FOLDER/RANK.json.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

import crnn

QUIET = {"progress": False, "epochs": 2}


def examples(m=53, T=7, seed=0):
    """Sequences of unequal lengths and weights, and whether each sum is positive."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((T, m, 3))
    y = (x.sum(axis=(0, 2)) > 0).astype(int)
    return x, y, rng.integers(1, T + 1, m), rng.integers(0, 3, m)


def symbols(n=1000):
    return np.random.default_rng(0).integers(0, 5, n)


class Calls:
    """A callback, and an optimizer, that acts at its n-th call."""

    def __init__(self, n, act):
        self.n, self.act, self.calls = n, act, 0

    def start(self, parameters):
        return {}

    def step(self, parameters, gradients, memory):
        self(None)
        parameters -= 0.1 * gradients

    def __repr__(self):
        return "Calls()"  # the same in every program, as the file of a training needs it

    def __call__(self, history):
        self.calls += 1
        if self.calls == self.n:
            self.act()


# What every number of ranks must agree on. The seeds differ: those of rank 0 count.


def weighted(seed, **ranks):
    """Lengths, weights, an uneven last batch, noise, and early stopping."""
    x, y, lengths, w = examples()
    model = crnn.RNN(3, 8, 2, cell="leaky", leak=0.5, noise=0.1, dtype="float64", rng=seed)
    held_out = *examples(9, seed=1)[:2], examples(9, seed=1)[2]
    return model, model.fit(
        x, y, lengths=lengths, sample_weight=w, batch_size=16, optimizer=crnn.Adam(1e-2),
        validation=held_out, patience=3, clip_norm=1, rng=seed, **QUIET, **ranks,
    )  # fmt: skip


def few(seed, **ranks):
    """Fewer examples than shards, in one batch, recomputed in little memory."""
    x, y, *_ = examples(3)
    model = crnn.RNN(3, 8, 2, cell="gru", rng=seed)
    return model, model.fit(x, y, memory="sqrt", rng=seed, **QUIET, **ranks)


def grouped(seed, **ranks):
    """Steps on the gradient of three batches each, with dropout and a rate that falls."""
    x, y, *_ = examples()
    rule = crnn.Adam(crnn.schedules.Cosine(1e-2))
    model = crnn.RNN(3, 8, 2, num_layers=2, dropout=0.2, rng=seed)
    options = {"batch_size": 8, "accumulate": 3, "optimizer": rule, "rng": seed}
    return model, model.fit(x, y, **options, **QUIET, **ranks)


def listed(seed, **ranks):
    """A list of sequences with a target at every step, and a penalty of the rates."""
    x, _, lengths, _ = examples()
    items = [x[:n, i] for i, n in enumerate(lengths)]
    targets = [item[:, :1] for item in items]
    model = crnn.RNN(3, 8, 1, steps="all", loss="mse", direction="bidirectional", rng=seed)
    penalty = crnn.Penalty(rates_l2=0.1, weights_l2=0.01)
    return model, model.fit(items, targets, penalty=penalty, rng=seed, **QUIET, **ranks)


def share(m, comm):
    """The rows of a batch of m that belong to this rank."""
    rank, size = (0, 1) if comm is None else (comm.rank, comm.size)
    return slice(rank * m // size, (rank + 1) * m // size)


def batches(seed, comm=None, **shards):
    """An iterable, of which each rank has its own share."""
    own = share(8, comm)
    drawn = [examples(8, seed=k) for k in range(3)]
    model = crnn.RNN(3, 8, 2, rng=seed)
    x = [(x[:, own], y[own], lengths[own]) for x, y, lengths, _ in drawn]
    return model, model.fit(x, validation=examples(9, seed=1)[:2], comm=comm, **QUIET, **shards)


def one_by_one(seed, **ranks):
    """Steps in a loop of the caller's, some of them with fewer rows than shards."""
    model, adam, rng = crnn.RNN(3, 8, 2, rng=seed), crnn.Adam(1e-2), np.random.default_rng(0)
    history = crnn.History("accuracy")
    for m in (9, 3, 16):
        x = rng.standard_normal((5, m, 3))
        history.loss += model.train_on_batch(x, (x[0, :, 0] > 0) + 0, optimizer=adam, **ranks)
    return model, history


def unequal(comm=None):
    """The first rank has one batch more than the others."""
    own, last = share(8, comm), slice(0, 4)
    rows = [own, own, last] if comm is None or comm.rank == 0 else [own, own]
    drawn = [examples(8, seed=k) for k in range(3)]
    model = crnn.RNN(3, 8, 2, rng=0)
    x = [(drawn[k][0][:, rows_k], drawn[k][1][rows_k]) for k, rows_k in enumerate(rows)]
    history = model.fit(x, comm=comm, **QUIET)
    return history.loss, model.parameters["Waa"].tolist()


def stream(seed, **ranks):
    """A long sequence in parallel rows whose states are carried."""
    model = crnn.RNN(5, 8, 5, steps="all", cell="lstm", rng=seed)
    return model, model.fit_stream(
        symbols(), batch_size=10, steps=16, validation=symbols(50), **QUIET, **ranks
    )


def numbers(seed, **ranks):
    """Rows of numbers, of which some begin again and some values are missing."""
    rng = np.random.default_rng(0)
    x, resets = rng.standard_normal((60, 10, 3)), rng.random((60, 10)) < 0.1
    mask = rng.random((60, 10)) < 0.9
    model = crnn.RNN(3, 8, 3, steps="all", loss="mse", rng=seed)
    held_out = (x[:9], None, resets[:9])
    return model, model.fit_stream(
        x, resets=resets, mask=mask, steps=16, validation=held_out, **QUIET, **ranks
    )


def grouped_stream(seed, **ranks):
    """Steps on several windows, through which the states are carried."""
    model = crnn.RNN(5, 8, 5, steps="all", cell="lstm", rng=seed)
    return model, model.fit_stream(
        symbols(), batch_size=10, steps=8, accumulate=3, **QUIET, **ranks
    )


SAME = (weighted, grouped, few, listed, batches, one_by_one, stream, grouped_stream, numbers)


def found(case, seed=0, **ranks):
    """The bits of the parameters after a case, some of their numbers, and its losses."""
    model, history = case(seed, **ranks)
    numbers = np.concatenate([p.ravel() for p in model.parameters.values()])
    bits = hashlib.sha256(numbers.tobytes()).hexdigest()
    return {"bits": bits, "numbers": numbers.tolist(), "losses": history.loss + history.val_loss}


def every_case(comm):
    """The findings of all cases, without shards and with 4."""
    return {
        f"{case.__name__} {shards}": found(case, comm.rank, comm=comm, shards=shards)
        for case in SAME
        for shards in (None, 4)
    }


# What goes wrong, on one rank or on all.


def small(comm, **options):
    """Train on 12 examples, one at a time per rank."""
    x, y, *_ = examples(12)
    model = crnn.RNN(3, 4, 2, rng=0)
    return model.fit(x, y, **{"batch_size": comm.size, "rng": 0, "comm": comm, **QUIET, **options})


def outcome(train, *arguments, **options):
    """The error of a training as text, or where it was interrupted."""
    try:
        history = train(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"interrupted: {history.interrupted}, epochs {len(history.loss)}"


def cores():
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def fail():
    raise OSError("the disk is full")


def failures(comm):
    """How trainings end on this rank if something is wrong on one, or on all."""
    last = comm.rank == comm.size - 1
    x, y, *_ = examples(12)
    whole, broken = crnn.RNN(3, 4, 2, rng=0), crnn.RNN(3, 4, 2, rng=0)
    if last:
        broken._network.gradients = lambda *a, **o: fail()
    ctrl_c = Calls(3, lambda: os.kill(os.getpid(), signal.SIGINT) if last else None)
    threads, before = [], crnn.get_num_threads()
    watch = Calls(1, lambda: threads.append(crnn.get_num_threads()))
    crnn.set_num_threads(cores())
    small(comm, optimizer=watch)
    crnn.set_num_threads(before)
    nan = x.copy()
    nan[2, 5, 1] = np.nan
    bad = [(x, y), (x, y if comm.rank == 0 else y[1:])]
    return {
        "other arguments": outcome(small, comm, batch_size=6 + last),
        "other arrays": outcome(whole.fit, x + last, y, comm=comm, **QUIET),
        "a bad argument": outcome(small, comm, epochs=0 if last else 1),
        "callback": outcome(small, comm, callback=Calls(1, fail)),
        "gradient": outcome(broken.fit, x, y, batch_size=4, comm=comm, **QUIET),
        "divergence": outcome(whole.fit, nan, y, batch_size=4, rng=0, comm=comm, **QUIET),
        "interrupt": outcome(small, comm, optimizer=ctrl_c),
        "more batches": unequal(comm),
        "a bad batch": outcome(crnn.RNN(3, 4, 2, rng=0).fit, bad, comm=comm, **QUIET),
        "few rows": outcome(small, comm, batch_size=comm.size - 1),
        "few shards": outcome(small, comm, shards=comm.size - 1),
        "inspect": outcome(small, comm, inspect=True),
        "threads": threads,
    }  # fmt: skip


def saved(path, act, **ranks):
    """Train with a file, and act at the third step."""
    model = crnn.RNN(5, 8, 5, steps="all", cell="gru", rng=0)
    history = model.fit_stream(
        symbols(), batch_size=10, steps=16, optimizer=Calls(3, act), checkpoint=path, **QUIET,
        **ranks,
    )  # fmt: skip
    return model, history


def bits(model):
    """A digest of the parameters."""
    return hashlib.sha256(model._network.arena.flat.tobytes()).hexdigest()


def resumed(comm):
    """The bits after a Ctrl-C, and after a SIGTERM on the last rank; both resumed."""
    last, found = comm.rank == comm.size - 1, {}

    def terminated(*_):
        raise OSError("terminated")

    signal.signal(signal.SIGTERM, terminated)
    for name, number in (("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        path = Path(sys.argv[1]) / f"{name}.safetensors"
        ends = outcome(
            lambda *a, **o: saved(*a, **o)[1],
            path, lambda n=number: os.kill(os.getpid(), n) if last else None, comm=comm, shards=4,
        )  # fmt: skip
        if comm.rank == 0:
            shutil.copy(path, path.with_suffix(".copy"))
        comm.Barrier()
        model, _ = saved(path, lambda: None, comm=comm, shards=4)
        found[name] = {"ends": ends, "bits": bits(model)}
    return found


def dies(comm):
    """The last rank is killed in a step."""
    last = comm.rank == comm.size - 1
    path = Path(sys.argv[1]) / "killed.safetensors"
    saved(path, lambda: os.kill(os.getpid(), signal.SIGKILL) if last else None, comm=comm, shards=4)


def alone(comm):
    """The last rank fails where the others cannot learn of it from a sum."""
    small(comm, optimizer=Calls(3, fail if comm.rank == comm.size - 1 else lambda: None))


def lost(comm):
    """MPI cannot reach another process."""

    def fail():
        raise MPI.Exception(MPI.ERR_OTHER)

    small(comm, optimizer=Calls(3, fail if comm.rank == comm.size - 1 else lambda: None))


def printed(comm):
    """An error of all ranks that nobody catches, and before it a bar."""
    small(comm, progress=True)
    small(comm, epochs=0)


if __name__ == "__main__":
    from mpi4py import MPI

    folder, case = Path(sys.argv[1]), globals()[sys.argv[2]]
    comm = MPI.COMM_WORLD
    (folder / f"{comm.rank}.json").write_text(json.dumps(case(comm)))
