"""PyTorch's recurrent modules, eager."""

from __future__ import annotations

from typing import Any

from crnn.benchmark.cases import LEAK, Case
from crnn.benchmark.peers.protocol import AnyGradients, Peer, Prepared
from crnn.check import cells as check_cells
from crnn.reference import Array, Gradients, GRUGradients, LSTMGradients
from crnn.weights.gates import recurrent_bias


class Torch(Peer):
    """`torch.nn.RNN`, GRU, LSTM, and a loop for the leaky cell.

    Inference is under `inference_mode`, and gradients are by `torch.autograd.grad`.
    """

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
    """A module of torch with the case's parameters; ba is the first of its two biases.

    torch has no leaky cell: users write the loop over time, as `_Leaky` does.
    """
    import torch

    arguments = case.problem().arguments
    classes = {"vanilla": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
    dtype = getattr(torch, case.dtype)
    made = _leaky(case) if case.cell == "leaky" else classes[case.cell](case.n_x, case.n_a)
    made = made.to(dtype)
    with torch.no_grad():
        for parameter, value in (
            (made.weight_hh_l0, arguments["Waa"]),
            (made.weight_ih_l0, arguments["Wax"]),
            (made.bias_ih_l0, arguments["ba"]),
            (made.bias_hh_l0, recurrent_bias(arguments)),
        ):
            parameter.copy_(torch.from_numpy(value))
    return made


def _leaky(case: Case) -> Any:
    """A leaky cell as programs of neuroscience have it: torch's operations, step by step."""
    import torch

    class Leaky(torch.nn.RNN):  # type: ignore[misc]  # for its parameters
        def forward(self, x: Any, hx: Any) -> tuple[Any, Any]:
            a, states = hx[0], []
            for z in torch.nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0).unbind(0):
                a = (1 - LEAK) * a + LEAK * torch.addmm(z, a, self.weight_hh_l0.T).tanh()
                states.append(a)
            return torch.stack(states), a[None]

    return Leaky(case.n_x, case.n_a)


def prepared(case: Case, rnn: Any, call: Any = None) -> Prepared:
    """Both operations of a module; `call` is its compiled form, if there is one."""
    import torch

    p = case.problem()
    call = rnn if call is None else call
    x = torch.from_numpy(p.arguments["x"])
    initial = p.initial if isinstance(p, check_cells.Problem) else p.arguments
    first = [torch.from_numpy(initial[name])[None] for name in CELLS_STATES[case.cell]]
    x_, first_ = x.clone().requires_grad_(), [s.clone().requires_grad_() for s in first]
    biases = [rnn.bias_ih_l0, rnn.bias_hh_l0] if case.cell == "gru" else [rnn.bias_ih_l0]
    wanted = [rnn.weight_hh_l0, rnn.weight_ih_l0, *biases, x_, *first_]
    upstream = [torch.from_numpy(p.da)]
    if isinstance(p, check_cells.Problem) and case.cell == "lstm":
        upstream.append(torch.from_numpy(p.dc_n)[None])

    def states_of(x: Any, first: Any) -> Any:
        """All states, and for an LSTM the last cells."""
        if case.cell == "lstm":
            output, (_, c_n) = call(x, tuple(first))
            return [output, c_n]
        return [call(x, first[0])[0]]

    def forward() -> Any:
        with torch.inference_mode():
            return states_of(x, first)[0]

    def training() -> Any:
        return torch.autograd.grad(states_of(x_, first_), wanted, upstream)

    def states(a: Any) -> Array:
        values: Array = a.numpy()
        return values

    def gradients(result: Any) -> AnyGradients:
        return named(case, [g.numpy() for g in result])

    return Prepared(forward, states, training, gradients)


#: The arguments that are states before the first step.
CELLS_STATES = {"vanilla": ["a0"], "leaky": ["a0"], "gru": ["a0"], "lstm": ["a0", "c0"]}


def named(case: Case, found: list[Array]) -> AnyGradients:
    """Gradients in the order of `prepared`, under crnn's names."""
    if case.cell == "gru":
        dWaa, dWax, db_ih, db_hh, dx, dh0 = found
        return GRUGradients(dWaa, dWax, db_ih, db_hh[-case.n_a :], dx, dh0[0])
    dWaa, dWax, dba, dx, dh0, *dc0 = found
    if case.cell == "lstm":
        return LSTMGradients(dWaa, dWax, dba, dx, dh0[0], dc0[0][0])
    return Gradients(dWaa, dWax, dba, dx, dh0[0])
