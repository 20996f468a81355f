"""Drop-ins for torch.nn.RNN, GRU and LSTM, and accelerate, which replaces these in a model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence

from crnn._engine.sequence import lengths_of
from crnn.torch.arrays import array_of
from crnn.torch.checks import warn_once, why_equations, why_torch
from crnn.torch.equations import equations, gated_equations
from crnn.torch.gradients import gated_layer, rnn_layer

__all__ = ["GRU", "LSTM", "RNN", "Count", "accelerate"]

_MODES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
#: Sequences of fewer steps are left to torch, which is faster there: a call of crnn takes as long
#: as some of torch's steps.
SHORTEST = 8

#: torch's own classes, even if a program replaces those of torch.nn by the classes below.
TorchRNN, TorchGRU, TorchLSTM = torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM


class _Packed(NamedTuple):
    """The examples of packed rows: `first` and `last` are the rows of their first and last steps.

    Both are in the order of h_n; without `first`, the first steps are the first m rows.
    """

    lengths: Tensor | None = None
    first: Tensor | None = None
    last: Tensor | None = None


class _Recurrent(torch.nn.RNNBase):  # type: ignore[misc]
    """What the three classes share: reading the input, layers and directions.

    States are tuples: (a,), or (a, c) of an LSTM. A subclass computes one layer in one direction.
    """

    _torchs: type[torch.nn.RNNBase]

    def forward(self, input: Any, hx: Any = None) -> Any:
        first = hx if isinstance(hx, (tuple, list)) else (hx,)
        if any(isinstance(value, Proxy) for value in (input, *first)):
            tracer = next(v for v in (input, *first) if isinstance(v, Proxy)).tracer
            return self._call_in_graph(tracer, input, hx)
        given = None if hx is None else self._states_of(hx)
        if torch.onnx.is_in_onnx_export() or not self._has_the_shapes(input, hx, given):
            return self._torchs.forward(self, input, hx)
        data = input.data if isinstance(input, PackedSequence) else input
        weights = self.all_weights
        tensors = [data, *(given or ()), *chain.from_iterable(weights)]
        if reason := self._why_torch() or why_torch(tensors):
            result = self._torchs.forward(self, input, hx)  # or its error
            warn_once(reason)
            return result
        layer = self._layer
        if reason := why_equations(tensors):
            warn_once(reason)
            layer = self._equations
        elif self._is_short(input):
            return self._torchs.forward(self, input, hx)
        if isinstance(input, PackedSequence):
            output, last = self._run_packed(layer, weights, input, given)
            return output, self._as_hx(last)
        one = data.dim() == 2
        if one:
            x = data[:, None]
            given = None if given is None else tuple(s[:, None] for s in given)
        else:
            x = data.transpose(0, 1) if self.batch_first else data
        output, last = self._run(layer, weights, x.contiguous(), given, _Packed())
        if one:
            return output[:, 0], self._as_hx(tuple(s[:, 0] for s in last))
        return output.transpose(0, 1) if self.batch_first else output, self._as_hx(last)

    def _layer(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        """One layer in one direction: all states a, and for an LSTM the last c."""
        raise NotImplementedError

    def _equations(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        """The same in torch's own operations."""
        raise NotImplementedError

    def _why_torch(self) -> str | None:
        """The option of this module that crnn does not support, or None."""
        return None

    def _states_of(self, hx: Any) -> tuple[Any, ...] | None:
        """hx as a tuple of states, or None if it is not of their number."""
        return (hx,)

    def _as_hx(self, states: tuple[Tensor, ...]) -> Any:
        return states[0]

    def __prepare_scriptable__(self) -> Any:
        """torch.jit.script calls this first."""
        raise RuntimeError(
            f"crnn.torch.{type(self).__name__} cannot be compiled by torch.jit.script: use "
            f"torch.compile or torch.export, or script a torch.nn.{type(self).__name__} of the "
            "same arguments that has loaded this module's state_dict"
        )

    def _call_in_graph(self, tracer: Any, *arguments: Any) -> Any:
        """One node for the whole module in a graph of torch.fx, as torch's own modules are."""
        if self is getattr(tracer, "root", None):  # then torch.fx looks inside, and finds nothing
            return self._torchs.forward(self, *arguments)
        path = tracer.path_of_module(self)
        return tracer.create_proxy("call_module", path, arguments, {})

    def _has_the_shapes(self, input: Any, hx: Any, given: tuple[Any, ...] | None) -> bool:
        """Whether input and states fit and are not empty. If not, torch raises the error."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        if x.dim() not in ((2,) if packed else (2, 3)):
            return False
        if x.shape[-1] != self.input_size or x.numel() == 0:
            return False
        if hx is None:
            return True
        if given is None:
            return False
        cells = self.num_layers * (2 if self.bidirectional else 1)
        shape = [cells, self.hidden_size]
        if packed:
            shape.insert(1, int(input.batch_sizes[0]))
        elif x.dim() == 3:
            shape.insert(1, x.shape[0 if self.batch_first else 1])
        return all(isinstance(s, Tensor) and list(s.shape) == shape for s in given)

    def _is_short(self, input: Any) -> bool:
        """Whether there are so few steps that torch is faster, because of crnn's call overhead."""
        if torch.compiler.is_compiling():  # torch's own class would break its graph
            return False
        if isinstance(input, PackedSequence):
            T = len(input.batch_sizes)
        else:
            T = input.shape[1 if self.batch_first and input.dim() == 3 else 0]
        return T < SHORTEST

    def _run_packed(
        self,
        layer: Callable[..., tuple[Tensor, ...]],
        weights: list[list[Tensor]],
        packed: PackedSequence,
        given: tuple[Tensor, ...] | None,
    ) -> tuple[PackedSequence, tuple[Tensor, ...]]:
        """Run a PackedSequence. The examples stay in its order, by decreasing length."""
        x, batch_sizes, order, order_back = packed
        if given is not None and order is not None:
            given = tuple(s.index_select(1, order) for s in given)
        lengths, last = map(torch.from_numpy, lengths_of(array_of(batch_sizes)))
        if order_back is not None:
            last = last.index_select(0, order_back)
        examples = _Packed(lengths, order_back, last)
        output, states = self._run(layer, weights, x, given, examples)
        return PackedSequence(output, batch_sizes, order, order_back), states

    def _run(
        self,
        layer: Callable[..., tuple[Tensor, ...]],
        weights: list[list[Tensor]],
        x: Tensor,
        given: tuple[Tensor, ...] | None,
        packed: _Packed,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Every layer in every direction: x (T, m, n_x) or (rows, n_x), states (cells, m, n_a)."""
        n = 2 if self.bidirectional else 1
        finals: list[tuple[Tensor, ...]] = []
        for below in range(0, len(weights), n):
            if below > 0 and self.training and self.dropout > 0:
                x = torch.nn.functional.dropout(x, self.dropout)
            states = []
            for k in range(below, below + n):
                reverse = k > below
                first = (None, None) if given is None else tuple(s[k] for s in given)
                a, *others = layer(x, weights[k], first, packed.lengths, reverse)
                if packed.first is not None:  # in the order of h_n
                    others = [s.index_select(0, packed.first) for s in others]
                states.append(a)
                finals.append((_final(a, reverse, packed), *others))
            x = states[0] if n == 1 else torch.cat(states, -1)  # (..., n * n_a)
        return x, tuple(torch.stack(each) for each in zip(*finals, strict=True))


def _final(a: Tensor, reverse: bool, packed: _Packed) -> Tensor:
    """Each example's state after the last step that was read, (m, n_a)."""
    if packed.last is None:
        return a[0 if reverse else -1]
    if not reverse:
        return a.index_select(0, packed.last)
    m = len(packed.last)
    return a[:m] if packed.first is None else a.index_select(0, packed.first)


class RNN(_Recurrent):
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

    _torchs = TorchRNN

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
        return super().forward(input, hx)

    def _layer(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        return (rnn_layer(*self._inputs(x, weights, first, lengths, reverse)),)

    def _equations(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        return (equations(*self._inputs(x, weights, first, lengths, reverse)),)

    def _inputs(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Any, ...]:
        w_ih, w_hh, *biases = weights
        ba = biases[0] + biases[1] if biases else None
        return x, w_hh, w_ih, ba, first[0], lengths, reverse, self.mode == "RNN_RELU"


class _Gated(_Recurrent):
    """What GRU and LSTM share."""

    def _layer(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        found = gated_layer(*self._inputs(x, weights, first, lengths, reverse))
        return found if self.mode == "LSTM" else found[:1]

    def _equations(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, ...]:
        found = gated_equations(*self._inputs(x, weights, first, lengths, reverse))
        return found if self.mode == "LSTM" else found[:1]

    def _inputs(
        self,
        x: Tensor,
        weights: list[Tensor],
        first: tuple[Tensor | None, ...],
        lengths: Tensor | None,
        reverse: bool,
    ) -> tuple[Any, ...]:
        w_ih, w_hh, *biases = weights
        b_ih, b_hh = biases or (None, None)
        a0, c0 = (*first, None)[:2]
        return x, w_hh, w_ih, b_ih, b_hh, a0, c0, lengths, reverse


class GRU(_Gated):
    """Drop-in for `torch.nn.GRU`: ``h<t> = (1 - z) n + z h<t-1>``, with the equations of torch.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        As for `RNN`.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        What torch.nn.GRU raises, in its own words.

    Notes
    -----
    As for `RNN`.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> gru = crnn.torch.GRU(3, 8)
    >>> output, h_n = gru(torch.zeros(10, 4, 3))             # T = 10, m = 4
    >>> output.shape, h_n.shape
    (torch.Size([10, 4, 8]), torch.Size([1, 4, 8]))
    >>> _ = torch.nn.GRU(3, 8).load_state_dict(gru.state_dict())
    """

    _torchs = TorchGRU

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
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
        super().__init__(
            "GRU",
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

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        """Run over a sequence, as `torch.nn.GRU` does.

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
        return super().forward(input, hx)


class LSTM(_Gated):
    """Drop-in for `torch.nn.LSTM`: ``c<t> = f c<t-1> + i g``, ``h<t> = o tanh(c<t>)``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        As for `RNN`.
    proj_size : int, optional
        If it is not 0, torch computes, and a warning says so the first time.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        What torch.nn.LSTM raises, in its own words.

    Notes
    -----
    As for `RNN`.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> lstm = crnn.torch.LSTM(3, 8, batch_first=True)
    >>> output, (h_n, c_n) = lstm(torch.zeros(4, 10, 3))     # m = 4, T = 10
    >>> output.shape, c_n.shape
    (torch.Size([4, 10, 8]), torch.Size([1, 4, 8]))
    >>> _ = torch.nn.LSTM(3, 8).load_state_dict(lstm.state_dict())
    """

    _torchs = TorchLSTM

    # torch.nn.RNNBase checks one state, and torch.nn.LSTM two.
    get_expected_cell_size = TorchLSTM.get_expected_cell_size
    check_forward_args = TorchLSTM.check_forward_args
    permute_hidden = TorchLSTM.permute_hidden

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a sequence, as `torch.nn.LSTM` does.

        Parameters
        ----------
        input
            As for `RNN.forward`.
        hx : pair of Tensor (num_layers * directions, m, hidden_size), optional
            h and c before the first step, zeros by default; for one sequence without m.

        Returns
        -------
        output : Tensor (T, m, directions * hidden_size), or as input is
            The states h of the last layer.
        (h_n, c_n) : pair of Tensor (num_layers * directions, m, hidden_size), or as hx is
            The final states of each layer and direction.
        """
        return super().forward(input, hx)

    def _why_torch(self) -> str | None:
        return "proj_size of LSTM" if self.proj_size else None

    def _states_of(self, hx: Any) -> tuple[Any, ...] | None:
        return tuple(hx) if isinstance(hx, (tuple, list)) and len(hx) == 2 else None

    def _as_hx(self, states: tuple[Tensor, ...]) -> Any:
        return states


class Count(int):
    """How many modules `accelerate` turned: a number, with the number of each class in `each`."""

    each: dict[str, int]

    def __new__(cls, each: dict[str, int]) -> Count:
        """The sum of the numbers in `each`."""
        count = super().__new__(cls, sum(each.values()))
        count.each = each
        return count


def accelerate(module: torch.nn.Module) -> Count:
    """Turn every RNN, GRU and LSTM of torch.nn in a module into crnn's class of that name.

    The class is changed in place. Each module stays the same object, with its parameters, hooks and
    mode, so that optimizers and other references to it stay valid.

    Parameters
    ----------
    module : torch.nn.Module
        It may itself be one of these.

    Returns
    -------
    count : Count
        How many were turned, an int; ``count.each`` has the number of each class by name.
        Subclasses of torch's classes, which may compute something else, are left as they are.

    Examples
    --------
    >>> import torch, crnn.torch
    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> count = crnn.torch.accelerate(model)
    >>> count, count.each
    (1, {'RNN': 0, 'GRU': 1, 'LSTM': 0})
    >>> type(model["rnn"])
    <class 'crnn.torch.modules.GRU'>
    """
    crnns = {TorchRNN: RNN, TorchGRU: GRU, TorchLSTM: LSTM}
    each = dict.fromkeys(("RNN", "GRU", "LSTM"), 0)
    for part in module.modules():
        if type(part) in crnns:
            part.__class__ = crnns[type(part)]
            each[type(part).__name__] += 1
    return Count(each)
