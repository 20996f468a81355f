"""Drop-ins for torch.nn.RNN, GRU and LSTM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crnn.torch.equations import equations, gated_equations
from crnn.torch.gradients import gated_layer, rnn_layer
from crnn.torch.recurrent import SHORTEST, Recurrent

__all__ = ["GRU", "LSTM", "RNN", "SHORTEST"]

_MODES = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}

#: torch's own classes, even if a program replaces those of torch.nn by the classes below.
TorchRNN, TorchGRU, TorchLSTM = torch.nn.RNN, torch.nn.GRU, torch.nn.LSTM


def _refuse_projections(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(Recurrent):
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
    Positional arguments, parameters, initial values, `state_dict`, call forms and results are those
    of torch.nn.RNN, and so are the numbers that dropout draws. crnn computes float32 and float64 on
    the CPU. Everything else (other devices, half, complex, autocast, torch.func, forward-mode
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
    _compute, _by_equations = staticmethod(rnn_layer), staticmethod(equations)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projections(kwargs)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = [mode for name, mode in _MODES.items() if nonlinearity == name]
        if not modes:
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(modes[0], *args, **kwargs)
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


class _Gated(Recurrent):
    """What GRU and LSTM share."""

    _compute, _by_equations = staticmethod(gated_layer), staticmethod(gated_equations)

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projections(kwargs)
        super().__init__("GRU", *args, **kwargs)

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
    _count = 2

    # torch.nn.RNNBase checks one state, and torch.nn.LSTM two.
    get_expected_cell_size = TorchLSTM.get_expected_cell_size
    check_forward_args = TorchLSTM.check_forward_args
    permute_hidden = TorchLSTM.permute_hidden

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

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

    def _states_of(self, hx: Any) -> tuple[Any, ...] | None:
        return tuple(hx) if isinstance(hx, (tuple, list)) and len(hx) == 2 else None

    def _as_hx(self, states: tuple[Tensor, ...]) -> Any:
        return states
