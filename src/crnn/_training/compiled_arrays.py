"""The arrays of compiled steps: see `crnn._engine.steps`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from crnn._network import recurrences
from crnn._network.buffers import Buffers
from crnn._network.config import Config
from crnn._training.trainer import Trainer
from crnn.reference import Array

#: Addresses, bytes of a row and from a row to that of the next step, a batch, and what is held.
Examples = tuple[Array, int, int, Array, list[Array]]
_OF_A_LAYER = ("Waa", "Wax", "ba", "baa")


def examples_of(values: Array | list[Array], M: int, T: int | None, m: int) -> Examples:
    """An array of M examples, or a list of such of one, as `steps.Steps` takes it.

    The batch has T steps of m examples. With None for T, the array has no steps.
    """
    listed = isinstance(values, list)
    held: list[Array] = list(values) if isinstance(values, list) else [values]
    first = held[0]
    shape = first.shape[1 if listed or T is None else 2 :]
    row = int(math.prod(shape)) * first.itemsize
    if listed:
        addresses = np.array([a.ctypes.data for a in held], np.intp)  # (M,)
    else:
        addresses = first.ctypes.data + row * np.arange(M, dtype=np.intp)  # (M,)
    batch = np.zeros((m, *shape) if T is None else (T, m, *shape), first.dtype)
    return addresses, row, row if listed else row * M, batch, held


def arrays_of(
    trainer: Trainer, x: Array, unequal: bool
) -> tuple[list[Any], list[Array], list[Any], tuple[Array | None, ...]]:
    """The arrays of the calls of a step on batches like x, as `steps.Steps` takes them.

    They are those of the passes in Python, which alternate with the compiled ones. `unequal` says
    whether examples may have lengths of their own.
    """
    network, gradients, buffers = trainer.network, trainer.gradients.views, trainer.buffers
    config, parameters, below = network.config, network.parameters, x
    cells: list[Any] = []
    read = 6 if config.equation == "current" else 1  # what others read: the rate, or a itself
    (T, m), n_a, kind, n = x.shape[:2], config.n_a, config.kind, config.num_directions
    for k, place in enumerate(config.recurrences()):
        if place.layer > 0 and k % n == 0:
            below = cells[-1][read]
            if n > 1 or config.dropout:
                below = buffers.array(f"below {k}", (T, m, place.n_in))
        inputs = recurrences.inputs_of(config, place, parameters, below, None, None, None)
        a = buffers.array(f"a {k}", (T, m, n_a))
        kept = buffers.array(f"kept {k}", (kind.kept * T * m * n_a,)) if kind.kept else None
        c_n = buffers.array(f"c_n {k}", (m, n_a)) if "c" in kind.states else None
        dx = buffers.array(f"dx {k}", (T, m, place.n_in)) if place.layer > 0 else None
        rate = buffers.array(f"rate {k}", (T, m, n_a)) if read == 6 else None
        own = place.of(gradients)
        cells.append((inputs, a, kept, c_n, dx, [own.get(name) for name in _OF_A_LAYER], rate))
    between = [buffers.array(f"da {i}", (T, m, n_a)) for i in range(n)] if n > 1 else []
    rows = T * m if config.every_step else m
    reads = [] if n == 1 and not config.pools and not unequal else _reads(config, T, m, buffers)
    head = (
        parameters["Wya"], parameters["by"], gradients["Wya"], gradients["by"],
        buffers.array("logits", (rows, config.n_y)),
        buffers.array("features", (rows, config.features)) if reads else None,
        buffers.array("dfeatures", (rows, config.features)),
    )  # fmt: skip
    return cells, between, reads, head


def _reads(config: Config, T: int, m: int, buffers: Buffers) -> list[Any]:
    """What the output layer reads of each direction, as `steps.Steps` takes it."""
    reads: list[Any] = []
    for i in range(config.num_directions):
        columns = dict.fromkeys(("all", "last", "mean", "max"), -1)
        for k, part in enumerate(config.parts or ("all",)):
            columns[part] = (k * config.num_directions + i) * config.n_a
        gradients: dict[str, Array | None] = dict.fromkeys(columns)
        for part in config.parts:
            gradients[part] = buffers.array(f"d{part} {i}", (m, config.n_a))
        if config.every_step or config.pools:
            gradients["all"] = buffers.array(f"da of steps {i}", (T, m, config.n_a))
        sums = np.empty((m, config.n_a)) if "mean" in config.parts else None
        largest = at = None
        if "max" in config.parts:
            largest = buffers.array(f"largest {i}", (m, config.n_a))
            at = np.empty((m, config.n_a), np.intc)
        reads.append((tuple(columns.values()), sums, largest, at, *gradients.values()))
    return reads
