"""A worker process: runs one implementation and answers requests.

    python -m crnn.benchmark.worker NAME THREADS

Requests are pickles on standard input, and answers are pickles on standard output. What a library
prints goes to standard error instead. `Handler` can also be used without a process.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

import crnn
from crnn import check
from crnn.benchmark import machine, peers, roofline
from crnn.benchmark.cases import OPERATIONS, Case
from crnn.benchmark.clock import time_calls
from crnn.benchmark.peers.protocol import Peer, Prepared


class Mismatch(ArithmeticError):
    """The results of an implementation differ from those of crnn."""


class Handler:
    """One implementation and the cases that it has prepared. Its methods are the requests."""

    def __init__(self, peer: Peer, threads: int) -> None:
        self._peer = peer
        crnn.set_num_threads(threads)  # for the comparison with crnn's results
        peer.start(threads)
        self._prepared: dict[Case, Prepared] = {}
        self._threads = threads

    def version(self) -> str:
        """The version of the library."""
        return self._peer.version()

    def prepare(self, case: Case) -> dict[str, str]:
        """Prepare a case and compare with crnn. Returns why operations cannot be timed, by name."""
        if case.cell not in self._peer.cells:
            return dict.fromkeys(OPERATIONS, f"{self._peer.name} has no cell {case.cell} here")
        try:
            prepared = self._peer.prepare(case)
            reasons = dict(prepared.reasons or {})
        except Exception as error:  # any error of a library: the others are still timed
            return dict.fromkeys(OPERATIONS, f"{type(error).__name__}: {error}")
        for operation in OPERATIONS:
            if operation not in reasons:
                try:
                    compare(case, prepared, operation)
                except Exception as error:
                    reasons[operation] = f"{type(error).__name__}: {error}"
        self._prepared[case] = prepared
        return reasons

    def time(self, case: Case, operation: str, seconds: float) -> float:
        """The time of a call: the median of as many samples as fit into `seconds`."""
        return time_calls(self.call(case, operation), seconds)

    def call(self, case: Case, operation: str) -> Callable[[], Any]:
        """The function that is timed."""
        call: Callable[[], Any] = getattr(self._prepared[case], operation)
        return call

    def probe(self) -> roofline.Peaks:
        """Measure the peaks of the processor."""
        return self._probes.measure()

    @cached_property
    def _probes(self) -> roofline.Probes:
        return roofline.Probes(self._threads)

    def forget(self) -> None:
        """Free every prepared case."""
        self._prepared.clear()
        gc.collect()


def compare(case: Case, prepared: Prepared, operation: str) -> None:
    """Raise Mismatch if an operation's results differ from crnn's by more than rounding."""
    ours = {name: value for name, value in case.results(crnn).items() if name != "c_n"}
    if operation == "forward":
        assert prepared.forward is not None
        pairs = {"a": (prepared.states(prepared.forward()), ours["a"])}
    else:
        assert prepared.training is not None
        assert prepared.gradients is not None
        theirs = prepared.gradients(prepared.training())._asdict()
        pairs = {name: (theirs[name], value) for name, value in ours.items() if name != "a"}
    # Both results are rounded: sums over all rows for weights, over units and inputs for states.
    most = 2 * check.tolerance(case.dtype, case.T * case.m + case.n_x + case.gates * case.n_a)
    # Gradients of a gated cell may cancel: they are compared with the largest of them all.
    size = None
    if case.gates > 1 and operation == "training":
        size = max((value for _, value in pairs.values()), key=lambda value: np.abs(value).max())
    for name, (theirs_, ours_) in pairs.items():
        if np.shape(theirs_) != np.shape(ours_):
            raise Mismatch(f"{name} has shape {np.shape(theirs_)}, crnn's {np.shape(ours_)}")
        error = check.relative_error(theirs_, ours_, size)
        if not error <= most:  # also if it is NaN
            raise Mismatch(f"{name} differs from crnn's by {error:.1e}, allowed {most:.1e}")


def serve(handler: Handler, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests (method, arguments) until their end. An error is sent as an answer."""
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = getattr(handler, method)(*arguments)
        except Exception as error:
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()


def main(name: str, threads: int) -> None:  # pragma: no cover: runs in another process
    """Serve one implementation on the standard streams."""
    machine.end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with machine.pinned(threads):
        serve(Handler(peers.find(name)(), threads), sys.stdin.buffer, answers)


if __name__ == "__main__":  # pragma: no cover
    main(sys.argv[1], int(sys.argv[2]))
