"""RNN, a drop-in for torch.nn.RNN, and accelerate, which replaces that class in a model."""

from __future__ import annotations

import warnings
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from crnn._engine.sequence import lengths_of
from crnn.torch.arrays import array_of
from crnn.torch.gradients import equations
from crnn.torch.ops import forward_op

__all__ = ["RNN", "accelerate"]

_MODES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
_DTYPES = (torch.float32, torch.float64)
#: Sequences of fewer steps are left to torch, which is faster there: calling an operator made in
#: Python, and its gradient, takes as long as four to six of torch's steps (without gradients 4 to
#: 14).
SHORTEST = 8

#: torch's own class, even if a program replaces torch.nn.RNN by the class below.
TorchRNN = torch.nn.RNN

_warned: set[str] = set()


class RNN(torch.nn.RNNBase):  # type: ignore[misc]
    """Drop-in for `torch.nn.RNN`: ``h<t> = tanh(W_ih x<t> + b_ih + W_hh h<t-1> + b_hh)``.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int, optional
    nonlinearity : {"tanh", "relu"}, optional
    bias : bool, optional
    batch_first : bool, optional
        Whether input and output are (m, T, features), not (T, m, features).
    dropout : float, optional
        The probability with which an output of a layer but the last is zeroed in training.
    bidirectional : bool, optional
    device, dtype : optional
        As everywhere in torch.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        What torch.nn.RNN raises, in its own words.

    Notes
    -----
    Parameters, initial values, `state_dict`, call forms and results are those of torch.nn.RNN,
    and so are the numbers that dropout draws. crnn computes float32 and float64 on the CPU.
    Everything else (other devices, half, complex, autocast, torch.func, forward-mode
    differentiation, per-sample gradients and other classes of tensors) is left to torch, with a
    warning the first time. So are sequences of fewer than 8 steps, which torch computes as fast,
    and export to ONNX, which wants ONNX's own operator: both without a warning.

    It is a `torch.nn.RNNBase` but not a `torch.nn.RNN`: torch.compile breaks its graph at every
    instance of that class. It uses as many threads as `crnn.set_num_threads` allows;
    torch.set_num_threads does not change that, OMP_NUM_THREADS in the environment does.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> rnn = crnn.torch.RNN(3, 8, num_layers=2, bidirectional=True)
    >>> output, h_n = rnn(torch.zeros(5, 4, 3))              # T = 5, m = 4
    >>> output.shape, h_n.shape
    (torch.Size([5, 4, 16]), torch.Size([4, 4, 8]))
    >>> _ = torch.nn.RNN(3, 8, num_layers=2, bidirectional=True).load_state_dict(rnn.state_dict())
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **others: Any,
    ) -> None:
        if "proj_size" in others:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if not isinstance(nonlinearity, str) or nonlinearity not in _MODES:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(
            _MODES[nonlinearity],
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **others,
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        """Run over a sequence, as `torch.nn.RNN` does.

        Parameters
        ----------
        input : Tensor (T, m, input_size), or (m, T, input_size) with batch_first
            Or (T, input_size), one sequence; or a PackedSequence.
        hx : Tensor (num_layers * directions, m, hidden_size), optional
            The states before the first step, zeros by default; for one sequence without m.

        Returns
        -------
        output : Tensor (T, m, directions * hidden_size), or as input is
            The states of the last layer.
        h_n : Tensor (num_layers * directions, m, hidden_size), or as hx is
            The final state of each layer and direction.
        """
        for value in (input, hx):
            if isinstance(value, Proxy):
                return self._call_in_graph(value.tracer, input, hx)
        if torch.onnx.is_in_onnx_export() or not self._has_the_shapes(input, hx):
            return TorchRNN.forward(self, input, hx)
        data = input.data if isinstance(input, PackedSequence) else input
        weights = self.all_weights
        tensors = [t for t in (data, hx, *chain.from_iterable(weights)) if t is not None]
        if reason := _why_torch(tensors):
            result = TorchRNN.forward(self, input, hx)  # or its error
            _warn_once(reason)
            return result
        layer: Any = forward_op
        if reason := _why_equations(tensors):
            _warn_once(reason)
            layer = equations
        elif self._is_short(input):
            return TorchRNN.forward(self, input, hx)
        if isinstance(input, PackedSequence):
            return self._run_packed(layer, weights, input, hx)
        one = data.dim() == 2
        if one:
            x, hx = data[:, None], None if hx is None else hx[:, None]
        else:
            x = data.transpose(0, 1) if self.batch_first else data
        output, h_n = self._run(layer, weights, x.contiguous(), hx)
        if one:
            return output[:, 0], h_n[:, 0]
        return output.transpose(0, 1) if self.batch_first else output, h_n

    def __prepare_scriptable__(self) -> Any:
        """torch.jit.script calls this first."""
        raise RuntimeError(
            "crnn.torch.RNN cannot be compiled by torch.jit.script: use torch.compile or "
            "torch.export, or script a torch.nn.RNN of the same arguments that has loaded this "
            "module's state_dict"
        )

    def _call_in_graph(self, tracer: Any, *arguments: Any) -> Any:
        """One node for the whole module in a graph of torch.fx, as torch's own modules are."""
        if self is getattr(tracer, "root", None):  # then torch.fx looks inside, and finds nothing
            return TorchRNN.forward(self, *arguments)
        path = tracer.path_of_module(self)
        return tracer.create_proxy("call_module", path, arguments, {})

    def _has_the_shapes(self, input: Any, hx: Tensor | None) -> bool:
        """Whether input and hx fit and are not empty. If not, torch raises the error."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        if x.dim() not in ((2,) if packed else (2, 3)):
            return False
        if x.shape[-1] != self.input_size or x.numel() == 0:
            return False
        if hx is None:
            return True
        cells = self.num_layers * (2 if self.bidirectional else 1)
        shape = [cells, self.hidden_size]
        if packed:
            shape.insert(1, int(input.batch_sizes[0]))
        elif x.dim() == 3:
            shape.insert(1, x.shape[0 if self.batch_first else 1])
        return list(hx.shape) == shape

    def _is_short(self, input: Any) -> bool:
        """Whether there are so few steps that torch is faster, because of crnn's call overhead."""
        if torch.compiler.is_compiling():  # torch's own RNN would break its graph
            return False
        if isinstance(input, PackedSequence):
            T = len(input.batch_sizes)
        else:
            T = input.shape[1 if self.batch_first and input.dim() == 3 else 0]
        return T < SHORTEST

    def _run_packed(
        self, layer: Any, weights: list[list[Tensor]], packed: PackedSequence, hx: Tensor | None
    ) -> tuple[PackedSequence, Tensor]:
        """Run a PackedSequence. The examples stay in its order, by decreasing length."""
        x, batch_sizes, order, order_back = packed
        if hx is not None and order is not None:
            hx = hx.index_select(1, order)
        lengths, last = map(torch.from_numpy, lengths_of(array_of(batch_sizes)))
        first = order_back
        if order_back is not None:
            last = last.index_select(0, order_back)
        output, h_n = self._run(layer, weights, x, hx, lengths, first, last)
        return PackedSequence(output, batch_sizes, order, order_back), h_n

    def _run(
        self,
        layer: Any,
        weights: list[list[Tensor]],
        x: Tensor,
        hx: Tensor | None,
        lengths: Tensor | None = None,
        first: Tensor | None = None,
        last: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Every layer in every direction: x (T, m, n_x) or (rows, n_x), hx (cells, m, n_a).

        For packed rows, `first` and `last` are the rows of the examples' first and last steps, in
        the order of h_n; without `first`, they are the first m rows.
        """
        n = 2 if self.bidirectional else 1
        relu = self.mode == "RNN_RELU"
        finals: list[Tensor] = []
        for below in range(0, len(weights), n):
            if below > 0 and self.training and self.dropout > 0:
                x = torch.nn.functional.dropout(x, self.dropout)
            states = []
            for k in range(below, below + n):
                w_ih, w_hh, *biases = weights[k]
                reverse = k > below
                ba = biases[0] + biases[1] if biases else None
                a0 = None if hx is None else hx[k]
                a = layer(x, w_hh, w_ih, ba, a0, lengths, reverse, relu)
                states.append(a)
                finals.append(_final(a, reverse, first, last))
            x = states[0] if n == 1 else torch.cat(states, -1)  # (..., n * n_a)
        return x, torch.stack(finals)


def _final(a: Tensor, reverse: bool, first: Tensor | None, last: Tensor | None) -> Tensor:
    """Each example's state after the last step that was read, (m, n_a): see `RNN._run`."""
    if last is None:
        return a[0 if reverse else -1]
    if not reverse:
        return a.index_select(0, last)
    return a[: len(last)] if first is None else a.index_select(0, first)


def accelerate(module: torch.nn.Module) -> int:
    """Turn every `torch.nn.RNN` in a module, or the module itself, into a `crnn.torch.RNN`.

    The class is changed in place. Each module stays the same object, with its parameters, hooks and
    mode, so that optimizers and other references to it stay valid.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    count : int
        How many were turned. Subclasses of torch.nn.RNN, which may compute something else, are
        left as they are.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.RNN(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> crnn.torch.accelerate(model)
    1
    >>> type(model["rnn"])
    <class 'crnn.torch.modules.RNN'>
    """
    found = [part for part in module.modules() if type(part) is TorchRNN]
    for part in found:
        part.__class__ = RNN
    return len(found)


def _why_torch(tensors: list[Tensor]) -> str | None:
    """The property of the tensors that crnn does not support, or None."""
    dtypes = set()
    for tensor in tensors:
        if not _is_plain(tensor):  # first, because other questions may make such a class raise
            return f"the class {type(tensor).__name__}"
        dtype = tensor.dtype
        if dtype not in _DTYPES or not tensor.is_cpu:
            return f"{dtype} on {tensor.device.type}"
        dtypes.add(dtype)
    if len(dtypes) > 1:
        return "a mixture of dtypes"  # which torch refuses
    return "autocast" if torch.is_autocast_enabled("cpu") else None


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor does not override operations on it, as torch's ExpandedWeight does."""
    kind = type(tensor)
    return (
        kind is Tensor
        or kind is torch.nn.Parameter
        or kind.__torch_function__ is torch._C._disabled_torch_function_impl
    )


def _why_equations(tensors: list[Tensor]) -> str | None:
    """The feature that needs torch's own operations, or None.

    An operator defined in Python does not support torch.func or forward-mode differentiation: it
    would give a tangent of zeros, or an error.
    """
    if torch._C._are_functorch_transforms_active():
        return "torch.func"
    dual = forward_ad._current_level >= 0
    if dual and any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        return "forward-mode differentiation"
    return None


def _warn_once(why: str) -> None:
    if why not in _warned:
        _warned.add(why)
        warnings.warn(
            f"crnn.torch computes float32 and float64 on the CPU; {why} is left to torch",
            stacklevel=5,  # the caller of the module, past forward and torch.nn.Module
        )
