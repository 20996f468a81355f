"""crnn itself, through its public functions."""

from __future__ import annotations

import numpy as np

import crnn
from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.check import backward_of
from crnn.reference import Array, Gradients


class Crnn(Peer):
    """`crnn.rnn_forward` and `crnn.rnn_backward`."""

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

        def forward() -> Array:
            return crnn.rnn_forward(**p.arguments, out=a)

        def training() -> Gradients:
            forward()
            gradients: Gradients = backward_of(crnn.rnn_backward, p, a)
            return gradients

        return Prepared(forward, lambda states: states, training, lambda gradients: gradients)
