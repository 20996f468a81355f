"""The GRU over a sequence: gru_forward beside gru_backward."""

from __future__ import annotations

from typing import Any

from crnn._engine.recurrence import CellInputs, Rule
from crnn.functional import cells
from crnn.reference import GRUGradients, GRUStates

__all__ = ["GRUGradients", "GRUStates", "gru_backward", "gru_forward"]


def gru_forward(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    baa: Any = None,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    keep: bool = True,
) -> GRUStates:
    """States of a gated recurrent unit: ``a = (1 - z) n + z a'``.

    ``r, z = s(Wax x<t> + Waa a' + ba)`` with the logistic function s, and
    ``n = tanh(Wax_n x<t> + ba_n + r (Waa_n a' + baa))``: the reset gate comes after the product, as
    in PyTorch, in Keras with ``reset_after=True`` and in ONNX with ``linear_before_reset=1``. Rows
    of Waa, Wax and ba are stacked by gate, in the order r, z, n.

    Parameters
    ----------
    x, lengths, reverse
        As for `crnn.rnn_forward`; x may also hold integers, or be packed.
    Waa : array (3 n_a, n_a), float32 or float64
        Recurrent weights. Every other float array must have the same dtype.
    Wax : array (3 n_a, n_x)
        Input weights.
    ba : array (3 n_a,), optional
        Bias; zeros by default.
    baa : array (n_a,), optional
        The bias that r multiplies; zeros by default.
    a0 : array (m, n_a), optional
        The state before the first step; zeros by default.
    keep : bool, optional
        Whether to keep what `gru_backward` needs: 4 numbers for each state. Without it, inference
        takes less memory.

    Returns
    -------
    GRUStates
        The named tuple ``(a, kept)``: the states (T, m, n_a), 0 past an example's length, and what
        backward needs, or None.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation", EMNLP 2014, 1724-1734.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x = np.ones((3, 1, 2))                        # T = 3, m = 1, n_x = 2
    >>> crnn.gru_forward(x, np.full((3, 1), 0.5), np.full((3, 2), 0.25)).a[:, 0, 0].round(4)
    array([0.1745, 0.2926, 0.3756])
    """
    given = CellInputs(x, Waa, Wax, ba, baa, a0, None, lengths, reverse, Rule("gru"))
    states = cells.forward(given, keep)
    return GRUStates(states.a, states.kept)


def gru_backward(
    da: Any,
    s: Any,
    x: Any,
    Waa: Any,
    Wax: Any,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> GRUGradients:
    """Gradients of a loss through time, for what `gru_forward` was called with.

    Parameters
    ----------
    da : array (T, m, n_a)
        The loss's gradient with respect to each state from above, without what comes back through
        later steps. It is not read past an example's length.
    s : GRUStates
        What `gru_forward` returned, with ``keep=True``.
    x, Waa, Wax, a0, lengths, reverse
        As given to `gru_forward`.
    need_dx : bool, optional
        Whether to compute dx, which is not needed if x is data.

    Returns
    -------
    GRUGradients
        The named tuple ``(dWaa, dWax, dba, dbaa, dx, da0)``, each in the shape of what it is the
        gradient of. ``dx`` is None if x has integers or dx is not wanted.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((3, 1), 0.5), np.full((3, 2), 0.25)
    >>> s = crnn.gru_forward(x, Waa, Wax)
    >>> crnn.gru_backward(np.ones_like(s.a), s, x, Waa, Wax).dWaa.shape
    (3, 1)
    """
    given = CellInputs(x, Waa, Wax, None, None, a0, None, lengths, reverse, Rule("gru"))
    g = cells.backward(da, s, GRUStates, given, need_dx)
    assert g.dbaa is not None
    assert g.da0 is not None
    return GRUGradients(g.dWaa, g.dWax, g.dba, g.dbaa, g.dx, g.da0)
