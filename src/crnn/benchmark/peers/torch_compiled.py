"""PyTorch's nn.RNN under torch.compile."""

from __future__ import annotations

from crnn.benchmark.cases import Case
from crnn.benchmark.peers import torch as eager
from crnn.benchmark.peers.protocol import Prepared

#: The most steps that are compiled. Every step is unrolled, and compiling 100 takes three minutes.
MOST_STEPS = 100


class TorchCompiled(eager.Torch):
    """`torch.compile` of a `torch.nn.RNN`, which it does not compile by default."""

    name = "torch-compiled"
    on_request = True
    cells = ("vanilla",)

    def start(self, threads: int) -> None:
        """Let the compiler unroll recurrent modules, which it leaves eager by default."""
        super().start(threads)
        import torch._dynamo

        torch._dynamo.config.allow_rnn = True

    def prepare(self, case: Case) -> Prepared:
        """Build the module; the check compiles it."""
        import torch

        rnn = eager.module(case)
        if case.T > MOST_STEPS:
            why = f"torch.compile unrolls every step: not above T = {MOST_STEPS}"
            return Prepared(None, lambda a: a, reasons={"forward": why, "training": why})
        return eager.prepared(case, rnn, torch.compile(rnn, dynamic=False))
