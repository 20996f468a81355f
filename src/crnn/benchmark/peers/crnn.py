"""crnn itself, through its public functions."""

from __future__ import annotations

from typing import Any

import numpy as np

import crnn
from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.check import backward_of
from crnn.check import cells as check_cells
from crnn.reference import Array, Gradients


class Crnn(Peer):
    """`crnn.rnn_forward` and `crnn.rnn_backward`, and the same functions of the other cells.

    Inference of the other cells uses `crnn.Prepared`, which packs the weights once, as a session
    of ONNX Runtime and a primitive of oneDNN do.
    """

    name = "crnn"

    def start(self, threads: int) -> None:
        """Set the threads of the process."""
        crnn.set_num_threads(threads)

    def version(self) -> str:
        """The version of the package."""
        return crnn.__version__

    def prepare(self, case: Case) -> Prepared:
        """Allocate the states once, as a loop over batches would."""
        p = case.problem()
        a = np.empty_like(p.da)  # (T, m, n_a)
        if isinstance(p, check_cells.Problem):
            return _of_cell(p, a)

        def forward() -> Array:
            return crnn.rnn_forward(**p.arguments, out=a)

        def training() -> Gradients:
            forward()
            gradients: Gradients = backward_of(crnn.rnn_backward, p, a)
            return gradients

        return Prepared(forward, lambda states: states, training, lambda gradients: gradients)


def _of_cell(p: check_cells.Problem, a: Array) -> Prepared:
    weights = {name: value for name, value in p.arguments.items() if name != "x"}
    leak = {"leak": p.options["leak"]} if p.cell == "leaky" else {}
    prepared = crnn.Prepared(p.cell, **weights, **leak)
    x = p.arguments["x"]

    def forward() -> Array:
        prepared.forward(x, **p.initial, out=a)
        return a

    def training() -> Any:
        return p.backward(p.forward())

    return Prepared(forward, lambda states: states, training, lambda gradients: gradients)
