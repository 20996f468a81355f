"""RNN and RNNCell as torch.nn has them, and accelerate, which swaps the one for the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from crnn.torch.ops import equations, forward_op

__all__ = ["RNN", "RNNCell", "accelerate"]

Layer = Callable[..., Tensor]

_MODES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
_DTYPES = (torch.float32, torch.float64)
#: Fewer steps than these are torch's, which is faster there: to pass an operator made in Python,
#: and its gradient, takes as long as four to six of torch's steps (without gradient 4 to 14).
SHORTEST = 8

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
    and so are the numbers that dropout draws. float32 and float64 on the CPU are crnn's work. All
    else (other devices, half, complex, autocast, torch.func, forward-mode differentiation) is left
    to torch, with a warning the first time; and so are fewer than 8 steps, where torch is as fast.

    It is a `torch.nn.RNNBase` but no `torch.nn.RNN`: torch.compile breaks its graph at every
    instance of that class. As many threads work as `crnn.set_num_threads` allows;
    torch.set_num_threads does not reach them, OMP_NUM_THREADS in the environment does.

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
    ) -> None:
        if nonlinearity not in _MODES:
            raise ValueError(f"nonlinearity: expected 'tanh' or 'relu', got {nonlinearity!r}")
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
        packed = isinstance(input, PackedSequence)
        data = input.data if packed else input
        weights = self.all_weights
        tensors = [data, hx, *chain.from_iterable(weights)]
        if not (self._has_the_shapes(input, hx) and _are_ours(tensors)):
            return _left_to_torch(self, data, input, hx)
        layer = _layer_for(tensors)
        if layer is forward_op and self._is_short(input):
            return torch.nn.RNN.forward(self, input, hx)
        if packed:
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

    def _has_the_shapes(self, input: Any, hx: Tensor | None) -> bool:
        """Whether input and hx fit, and hold anything; where not, torch says what is wrong."""
        dims, m = (2, 3), ()  # type: tuple[int, ...], tuple[int, ...]
        if isinstance(input, PackedSequence):
            x, dims, m = input.data, (2,), (int(input.batch_sizes[0]),)
        else:
            x = input
            if x.dim() == 3:
                m = (x.shape[0 if self.batch_first else 1],)
        cells = self.num_layers * (2 if self.bidirectional else 1)
        return bool(
            x.dim() in dims
            and x.shape[-1] == self.input_size
            and x.numel() > 0
            and (hx is None or hx.shape == (cells, *m, self.hidden_size))
        )

    def _is_short(self, input: Any) -> bool:
        """Whether there are too few steps for crnn to make good what calling it costs."""
        if torch.compiler.is_compiling():  # which does not take torch's own as one graph
            return False
        if isinstance(input, PackedSequence):
            T = len(input.batch_sizes)
        else:
            T = input.shape[1 if self.batch_first and input.dim() == 3 else 0]
        return T < SHORTEST

    def _run_packed(
        self, layer: Layer, weights: list[list[Tensor]], packed: PackedSequence, hx: Tensor | None
    ) -> tuple[PackedSequence, Tensor]:
        """Pad, run, pack; the examples stay in the order in which they are packed."""
        data, batch_sizes, order, order_back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        if hx is not None and order is not None:
            hx = hx[:, order]
        output, h_n = self._run(layer, weights, x, hx, lengths)
        data = pack_padded_sequence(output, lengths).data
        if order_back is not None:
            h_n = h_n[:, order_back]
        return PackedSequence(data, batch_sizes, order, order_back), h_n

    def _run(
        self,
        layer: Layer,
        weights: list[list[Tensor]],
        x: Tensor,
        hx: Tensor | None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Every layer in every direction: x (T, m, n_x), hx (cells, m, n_a)."""
        n = 2 if self.bidirectional else 1
        finals: list[Tensor] = []
        for first in range(0, len(weights), n):
            if first > 0 and self.training and self.dropout > 0:
                x = _dropout(x, self.dropout, lengths)
            states = []
            for k in range(first, first + n):
                w_ih, w_hh, *biases = weights[k]
                a = layer(
                    x,
                    w_hh,
                    w_ih,
                    biases[0] + biases[1] if biases else None,
                    None if hx is None else hx[k],
                    lengths,
                    k > first,
                    self.mode == "RNN_RELU",
                )
                states.append(a)
                finals.append(_final_state(a, lengths, reverse=k > first))
            x = states[0] if n == 1 else torch.cat(states, 2)  # (T, m, n * n_a)
        return x, torch.stack(finals)


class RNNCell(torch.nn.RNNCell):  # type: ignore[misc]
    """Drop-in for `torch.nn.RNNCell`: one step, ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    It computes as torch.nn.RNNCell does, by inheritance: a call is one step, and to leave torch and
    come back takes longer than that. (64 units, one example, forward and backward: 157 microseconds
    against 419 through crnn's operator.) It is here so that code can take both classes from one
    place. `RNN` is for loops over steps whose input is known; a step outside PyTorch is
    `crnn.Stream`, at 0.8 microseconds.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool, optional
    nonlinearity : {"tanh", "relu"}, optional
    device, dtype : optional
        As everywhere in torch.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> cell = crnn.torch.RNNCell(3, 8)
    >>> cell(torch.zeros(4, 3), torch.zeros(4, 8)).shape
    torch.Size([4, 8])
    """


def accelerate(module: torch.nn.Module) -> int:
    """Turn every `torch.nn.RNN` in a module, or the module itself, into a `crnn.torch.RNN`.

    In place: each stays the object that it is, with its parameters, hooks and mode, so that
    optimizers and whoever else refers to it see nothing of it.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    count : int
        How many were turned. Subclasses of torch.nn.RNN, which may compute something else, are
        left as they are, and so are cells: one step alone is no faster in crnn.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.RNN(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> crnn.torch.accelerate(model)
    1
    >>> type(model["rnn"])
    <class 'crnn.torch.modules.RNN'>
    """
    found = [part for part in module.modules() if type(part) is torch.nn.RNN]
    for part in found:
        part.__class__ = RNN
    return len(found)


def _are_ours(tensors: list[Tensor | None]) -> bool:
    """Whether crnn can do the work: floats of one kind in the memory of the CPU."""
    x = tensors[0]
    assert x is not None
    dtype = x.dtype
    if dtype not in _DTYPES or torch.is_autocast_enabled("cpu"):
        return False
    for tensor in tensors:
        if tensor is not None and not (tensor.is_cpu and tensor.dtype == dtype):
            return False
    return True


def _layer_for(tensors: list[Tensor | None]) -> Layer:
    """crnn's operator, or its equations in torch where it could not be differentiated."""
    # An operator made in Python knows neither: it would give a tangent of zeros, or an error.
    if torch._C._are_functorch_transforms_active():
        _warn_once("torch.func")
        return equations
    for tensor in tensors:
        if tensor is not None and unpack_dual(tensor).tangent is not None:
            _warn_once("forward-mode differentiation")
            return equations
    return forward_op  # type: ignore[no-any-return]


def _left_to_torch(module: RNN, x: Tensor, *arguments: Any) -> Any:
    """What torch's own class computes, or raises."""
    result = torch.nn.RNN.forward(module, *arguments)
    if not (x.is_cpu and x.dtype in _DTYPES):
        _warn_once(f"{x.dtype} on {x.device.type}")
    elif x.numel() > 0:
        _warn_once("autocast")
    return result


def _warn_once(why: str) -> None:
    if why not in _warned:
        _warned.add(why)
        warnings.warn(
            f"crnn.torch computes float32 and float64 on the CPU; {why} is left to torch",
            stacklevel=6,  # past forward, and what torch.nn.Module calls it from
        )


def _dropout(x: Tensor, p: float, lengths: Tensor | None) -> Tensor:
    """Dropout as torch.nn.RNN has it: of the packed steps alone, or its numbers would differ."""
    if lengths is None:
        return torch.nn.functional.dropout(x, p)
    packed = pack_padded_sequence(x, lengths)
    data = torch.nn.functional.dropout(packed.data, p)
    return pad_packed_sequence(PackedSequence(data, packed.batch_sizes))[0]


def _final_state(a: Tensor, lengths: Tensor | None, reverse: bool) -> Tensor:
    """The state after the last step read, (m, n_a): right to left, that is step 0."""
    if reverse or lengths is None:
        return a[0 if reverse else -1]
    return a[lengths - 1, torch.arange(a.shape[1])]
