"""The LSTM over a sequence: lstm_forward beside lstm_backward."""

from __future__ import annotations

from typing import Any

from crnn._engine.recurrence import CellInputs, Rule
from crnn.functional import cells
from crnn.reference import LSTMGradients, LSTMStates

__all__ = ["LSTMGradients", "LSTMStates", "lstm_backward", "lstm_forward"]


def lstm_forward(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    a0: Any = None,
    c0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    keep: bool = True,
) -> LSTMStates:
    """States of a long short-term memory: ``c = f c' + i g`` and ``a = o tanh(c)``.

    ``i, f, o = s(Wax x<t> + Waa a' + ba)`` with the logistic function s, and g likewise with tanh.
    Rows of Waa, Wax and ba are stacked by gate, in the order i, f, g, o.

    Parameters
    ----------
    x, lengths, reverse
        As for `crnn.rnn_forward`; x may also hold integers, or be packed.
    Waa : array (4 n_a, n_a), float32 or float64
        Recurrent weights. Every other float array must have the same dtype.
    Wax : array (4 n_a, n_x)
        Input weights.
    ba : array (4 n_a,), optional
        Bias; zeros by default.
    a0, c0 : array (m, n_a), optional
        The state and the cell before the first step; zeros by default.
    keep : bool, optional
        Whether to keep what `lstm_backward` needs: 5 numbers for each state. Without it, inference
        takes less memory.

    Returns
    -------
    LSTMStates
        The named tuple ``(a, c_n, kept)``: the states (T, m, n_a), 0 past an example's length; the
        cell (m, n_a) after each example's last valid step; and what backward needs, or None.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget: continual prediction with
    LSTM", Neural Computation 12 (2000) 2451-2471.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x = np.ones((3, 1, 2))                        # T = 3, m = 1, n_x = 2
    >>> s = crnn.lstm_forward(x, np.full((4, 1), 0.5), np.full((4, 2), 0.25))
    >>> s.a[:, 0, 0].round(4), s.c_n.round(4)
    (array([0.1743, 0.3091, 0.4072]), array([[0.7231]]))
    """
    given = CellInputs(x, Waa, Wax, ba, None, a0, c0, lengths, reverse, Rule("lstm"))
    states = cells.forward(given, keep)
    assert states.c_n is not None
    return LSTMStates(states.a, states.c_n, states.kept)


def lstm_backward(
    da: Any,
    s: Any,
    x: Any,
    Waa: Any,
    Wax: Any,
    a0: Any = None,
    c0: Any = None,
    *,
    dc_n: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> LSTMGradients:
    """Gradients of a loss through time, for what `lstm_forward` was called with.

    Parameters
    ----------
    da : array (T, m, n_a)
        The loss's gradient with respect to each state from above, without what comes back through
        later steps. It is not read past an example's length.
    s : LSTMStates
        What `lstm_forward` returned, with ``keep=True``.
    x, Waa, Wax, a0, c0, lengths, reverse
        As given to `lstm_forward`.
    dc_n : array (m, n_a), optional
        The loss's gradient with respect to c_n; zeros by default.
    need_dx : bool, optional
        Whether to compute dx, which is not needed if x is data.

    Returns
    -------
    LSTMGradients
        The named tuple ``(dWaa, dWax, dba, dx, da0, dc0)``, each in the shape of what it is the
        gradient of. ``dx`` is None if x has integers or dx is not wanted.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((4, 1), 0.5), np.full((4, 2), 0.25)
    >>> s = crnn.lstm_forward(x, Waa, Wax)
    >>> crnn.lstm_backward(np.ones_like(s.a), s, x, Waa, Wax).dWaa.shape
    (4, 1)
    """
    given = CellInputs(x, Waa, Wax, None, None, a0, c0, lengths, reverse, Rule("lstm"))
    g = cells.backward(da, s, LSTMStates, given, need_dx, dc_n)
    assert g.da0 is not None
    assert g.dc0 is not None
    return LSTMGradients(g.dWaa, g.dWax, g.dba, g.dx, g.da0, g.dc0)
