"""RNN and RNNCell as torch.nn has them, and accelerate, which swaps the one for the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from crnn.torch.ops import rnn_forward

__all__ = ["RNN", "RNNCell", "accelerate"]

_MODES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
_DTYPES = (torch.float32, torch.float64)
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
    and so are the numbers that dropout draws. float32 and float64 on the CPU are crnn's work; all
    else (other devices, half, complex, autocast) is left to torch, with a warning the first time.

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

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
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
        weights = self.all_weights
        packed = isinstance(input, PackedSequence)
        data = input.data if packed else input
        if not (self._has_the_shapes(input, hx) and _is_ours(data, hx, *sum(weights, []))):
            return _left_to_torch(torch.nn.RNN, self, data, input, hx)
        if packed:
            return self._run_packed(input, hx, weights)
        one = data.dim() == 2
        if one:
            x, hx = data[:, None], None if hx is None else hx[:, None]
        else:
            x = data.transpose(0, 1) if self.batch_first else data
        output, h_n = self._run(x.contiguous(), hx, weights)
        if one:
            return output[:, 0], h_n[:, 0]
        return output.transpose(0, 1) if self.batch_first else output, h_n

    def _has_the_shapes(self, input: Any, hx: Tensor | None) -> bool:
        """Whether input and hx fit, and hold anything; where not, torch says what is wrong."""
        if isinstance(input, PackedSequence):
            x, m = input.data, (int(input.batch_sizes[0]),)
            fits = x.dim() == 2
        else:
            x = input
            fits = x.dim() in (2, 3)
            m = (x.shape[0 if self.batch_first else 1],) if x.dim() == 3 else ()
        cells = self.num_layers * (2 if self.bidirectional else 1)
        return (
            fits
            and x.shape[-1] == self.input_size
            and x.numel() > 0
            and (hx is None or hx.shape == (cells, *m, self.hidden_size))
        )

    def _run_packed(
        self, packed: PackedSequence, hx: Tensor | None, weights: list[list[Tensor]]
    ) -> tuple[PackedSequence, Tensor]:
        """Pad, run, pack; the examples stay in the order in which they are packed."""
        data, batch_sizes, order, order_back = packed
        x, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        if hx is not None and order is not None:
            hx = hx[:, order]
        output, h_n = self._run(x, hx, weights, lengths)
        data = pack_padded_sequence(output, lengths).data
        if order_back is not None:
            h_n = h_n[:, order_back]
        return PackedSequence(data, batch_sizes, order, order_back), h_n

    def _run(
        self,
        x: Tensor,
        hx: Tensor | None,
        weights: list[list[Tensor]],
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
                a = rnn_forward(
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

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step, as `torch.nn.RNNCell` does.

        Parameters
        ----------
        input : Tensor (m, input_size), or (input_size,)
        hx : Tensor (m, hidden_size), or (hidden_size,), optional
            The state before, zeros by default.

        Returns
        -------
        h : Tensor (m, hidden_size), or (hidden_size,)
            The state after.
        """
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        if not (self._has_the_shapes(input, hx) and _is_ours(input, hx, *weights)):
            return _left_to_torch(torch.nn.RNNCell, self, input, input, hx)
        one = input.dim() == 1
        x = input[None, None] if one else input[None]  # (1, m, n_x)
        a0 = hx[None] if one and hx is not None else hx
        w_ih, w_hh, b_ih, b_hh = weights
        ba = b_ih + b_hh if self.bias else None
        a = rnn_forward(x, w_hh, w_ih, ba, a0, None, False, self.nonlinearity == "relu")
        return a[0, 0] if one else a[0]

    def _has_the_shapes(self, input: Tensor, hx: Tensor | None) -> bool:
        return (
            input.dim() in (1, 2)
            and input.shape[-1] == self.input_size
            and input.numel() > 0
            and self.nonlinearity in _MODES
            and (hx is None or hx.shape == (*input.shape[:-1], self.hidden_size))
        )


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


def _is_ours(x: Tensor, *others: Tensor | None) -> bool:
    """Whether crnn can do the work: floats of one kind in the memory of the CPU."""
    return (
        x.dtype in _DTYPES
        and x.is_cpu
        and not torch.is_autocast_enabled("cpu")
        and all(o is None or (o.dtype == x.dtype and o.is_cpu) for o in others)
    )


def _left_to_torch(cls: Any, module: Any, x: Tensor, *arguments: Any) -> Any:
    """What torch's own class computes, or raises; a warning the first time, and why."""
    result = cls.forward(module, *arguments)
    why = f"{x.dtype} on {x.device.type}"
    if torch.is_autocast_enabled(x.device.type):
        why = f"autocast on {x.device.type}"
    if x.numel() > 0 and why not in _warned:
        _warned.add(why)
        warnings.warn(
            f"crnn.torch computes float32 and float64 on the CPU; {why} is left to torch",
            stacklevel=4,
        )
    return result


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
