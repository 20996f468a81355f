"""PyTorch's nn.RNN, eager."""

from __future__ import annotations

from typing import Any

from crnn.benchmark.cases import Case
from crnn.benchmark.peers.protocol import Peer, Prepared
from crnn.reference import Array, Gradients


class Torch(Peer):
    """`torch.nn.RNN`: inference under `inference_mode`, gradients by `torch.autograd.grad`."""

    name = "torch"
    packages = ("torch",)
    modules = ("torch",)

    @classmethod
    def environment(cls, threads: int) -> dict[str, str]:
        """OpenMP creates its thread pool with the right size at once."""
        return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def start(self, threads: int) -> None:
        """Import torch and set the threads of an operation."""
        import torch

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)

    def version(self) -> str:
        """The version of torch, with its build."""
        import torch

        return str(torch.__version__)

    def prepare(self, case: Case) -> Prepared:
        """Build the module with the case's parameters."""
        return prepared(case, module(case))


def module(case: Case) -> Any:
    """A `torch.nn.RNN` with the case's parameters; ba is the first of its two biases."""
    import torch

    arguments = case.problem().arguments
    rnn = torch.nn.RNN(case.n_x, case.n_a, dtype=getattr(torch, case.dtype))
    with torch.no_grad():
        for parameter, value in (
            (rnn.weight_hh_l0, arguments["Waa"]),
            (rnn.weight_ih_l0, arguments["Wax"]),
            (rnn.bias_ih_l0, arguments["ba"]),
        ):
            parameter.copy_(torch.from_numpy(value))
        rnn.bias_hh_l0.zero_()
    return rnn


def prepared(case: Case, rnn: Any, call: Any = None) -> Prepared:
    """Both operations of a module; `call` is its compiled form, if there is one."""
    import torch

    p = case.problem()
    call = rnn if call is None else call
    x = torch.from_numpy(p.arguments["x"])
    h0 = torch.from_numpy(p.arguments["a0"])[None]  # (layers, m, n_a)
    da = torch.from_numpy(p.da)
    x_, h0_ = x.clone().requires_grad_(), h0.clone().requires_grad_()
    wanted = [rnn.weight_hh_l0, rnn.weight_ih_l0, rnn.bias_ih_l0, x_, h0_]

    def forward() -> Any:
        with torch.inference_mode():
            return call(x, h0)[0]

    def training() -> Any:
        return torch.autograd.grad(call(x_, h0_)[0], wanted, da)

    def states(a: Any) -> Array:
        values: Array = a.numpy()
        return values

    def gradients(result: Any) -> Gradients:
        dWaa, dWax, dba, dx, dh0 = (g.numpy() for g in result)
        return Gradients(dWaa, dWax, dba, dx, dh0[0])

    return Prepared(forward, states, training, gradients)
