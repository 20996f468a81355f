"""Plain NumPy: `crnn.reference`, the equations as in a textbook."""

from __future__ import annotations

import numpy as np

import crnn
from crnn import reference
from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.check import backward_of
from crnn.check import cells as check_cells
from crnn.reference import Array, Gradients


class Numpy(Peer):
    """`crnn.reference`: always installed, and the only peer that is not optimised for speed."""

    name = "numpy"

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """NumPy may have another BLAS than scipy, which reads its threads when it is loaded."""
        names = ("OPENBLAS", "MKL", "BLIS", "OMP")
        return {f"{name}_NUM_THREADS": str(threads) for name in names}

    def start(self, threads: int) -> None:
        """Set the threads of the BLAS, in case NumPy and scipy share one."""
        crnn.set_num_threads(threads)

    def version(self) -> str:
        """The version of NumPy."""
        return np.__version__

    def prepare(self, case: Case) -> Prepared:
        """Draw the case."""
        p = case.problem()
        if isinstance(p, check_cells.Problem):
            return Prepared(
                lambda: p.forward(reference),
                lambda s: s.a,
                lambda: p.backward(p.forward(reference), reference),
                lambda gradients: gradients,
            )

        def forward() -> Array:
            return reference.rnn_forward(**p.arguments)

        def training() -> Gradients:
            gradients: Gradients = backward_of(reference.rnn_backward, p, forward())
            return gradients

        return Prepared(forward, lambda states: states, training, lambda gradients: gradients)
