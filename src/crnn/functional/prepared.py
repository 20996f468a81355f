"""Weights prepared for many forward calls."""

from __future__ import annotations

from typing import Any

from crnn._engine import recurrence, sequence, validate
from crnn._engine.recurrence import CellInputs, Packed, Rule, States
from crnn._network.cells import CELLS
from crnn.reference import Array, GRUStates, LeakyStates, LSTMStates

__all__ = ["Prepared"]


class Prepared:
    """The weights of one recurrence, packed once for many forward calls.

    A call of `gru_forward` and its like begins by packing the weights, which for a single short
    sequence takes up to a quarter of its time. Here that is done at the first call. The weights
    are copied: later changes of the arrays have no effect.

    Parameters
    ----------
    cell : {"vanilla", "leaky", "gru", "lstm"}
    Waa, Wax, ba, baa
        As for `rnn_forward`, `leaky_forward`, `gru_forward` or `lstm_forward`.
    activation, leak, equation
        As for `leaky_forward`; activation is also the vanilla cell's.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Notes
    -----
    Several threads may call `forward` at the same time.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> Waa, Wax = np.full((4, 1), 0.5), np.full((4, 2), 0.25)
    >>> lstm = crnn.Prepared("lstm", Waa, Wax)
    >>> x = np.ones((3, 1, 2))                        # T = 3, m = 1, n_x = 2
    >>> np.array_equal(lstm.forward(x).a, crnn.lstm_forward(x, Waa, Wax).a)
    True
    """

    def __init__(
        self,
        cell: str,
        Waa: Any,
        Wax: Any,
        ba: Any = None,
        baa: Any = None,
        *,
        activation: str = "tanh",
        leak: Any = None,
        equation: str = "rate",
    ) -> None:
        kind = CELLS[validate.choice("cell", cell, tuple(CELLS))]
        options = kind.check_options({"activation": activation, "leak": leak, "equation": equation})
        if "baa" not in kind.biases and baa is not None:
            raise ValueError(
                f"baa: expected None with cell={kind.name!r}, which has no such bias, "
                f"got {validate.shown(baa)}"
            )
        self._kind = kind
        self._weights = validate.cell_weights(len(kind.gates), Waa, Wax, ba, baa, copy=True)
        dtype, n_a = self._weights[0].dtype, self._weights[0].shape[1]
        if "leak" in kind.options:
            options["leak"] = validate.leak_of_each_unit(leak, dtype, n_a)
        self._rule = Rule(kind.name, **options)
        self._packed: Packed = {}

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights fit the instruction set of this process only.
        return {**self.__dict__, "_packed": {}}

    def forward(
        self,
        x: Any,
        a0: Any = None,
        c0: Any = None,
        *,
        noise: float = 0.0,
        seed: int | None = None,
        lengths: Any = None,
        reverse: bool = False,
        out: Any = None,
    ) -> Array | LeakyStates | GRUStates | LSTMStates:
        """The states, as the function of the cell gives them with ``keep=False``.

        Parameters
        ----------
        x, a0, c0, noise, seed, lengths, reverse
            As for `lstm_forward` and `leaky_forward`.
        out : array (T, m, n_a), optional
            C-contiguous array of the weights' dtype for the states.

        Returns
        -------
        array (T, m, n_a), LeakyStates, GRUStates or LSTMStates
            What `rnn_forward`, `leaky_forward`, `gru_forward` or `lstm_forward` returns, with the
            same bits.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit; the message names it.

        Examples
        --------
        >>> import numpy as np, crnn
        >>> rnn = crnn.Prepared("vanilla", np.eye(2), np.ones((2, 1)), activation="relu")
        >>> rnn.forward(np.ones((3, 1, 1)))[:, 0, 0]
        array([1., 2., 3.])
        """
        rule = self._rule
        if seed is not None or type(noise) is not float or noise:
            rule = self._with_noise(noise, seed)
        inputs = CellInputs(x, *self._weights, a0, c0, lengths, reverse, rule)
        found = sequence.cell_forward(inputs, False, out, self._packed)
        if found is None:
            inputs = validate.cell_call(inputs)
            if out is not None:
                shape = tuple(inputs.shape.values())
                read = inputs._asdict()
                del read["reverse"], read["rule"]
                validate.output("out", out, shape, inputs.Waa.dtype, read)
            found = recurrence.cell_forward(inputs, False, out, self._packed)
        return self._named(States(*found))

    def _with_noise(self, noise: Any, seed: Any) -> Rule:
        noise = validate.number("noise", noise)
        if "noise" not in self._kind.options and (noise or seed is not None):
            raise ValueError(
                f"noise, seed: expected 0 and None with cell={self._kind.name!r}, "
                f"got {validate.shown(noise)} and {validate.shown(seed)}"
            )
        return self._rule._replace(noise=noise, seed=validate.seed_of(noise, seed))

    def _named(self, states: States) -> Array | LeakyStates | GRUStates | LSTMStates:
        if self._kind.name == "vanilla":
            return states.a
        if self._kind.name == "lstm":
            assert states.c_n is not None
            return LSTMStates(states.a, states.c_n, None)
        return (GRUStates if self._kind.name == "gru" else LeakyStates)(states.a, None)
