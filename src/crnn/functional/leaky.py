"""The leaky cell over a sequence: leaky_forward beside leaky_backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._engine.recurrence import CellInputs, Rule
from crnn._network.cells import CELLS
from crnn.functional import cells
from crnn.reference import Gradients, LeakyStates

__all__ = ["Gradients", "LeakyStates", "leaky_backward", "leaky_forward"]


def leaky_forward(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    a0: Any = None,
    *,
    leak: Any,
    noise: float = 0.0,
    seed: int | None = None,
    equation: str = "rate",
    activation: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
    keep: bool = True,
) -> LeakyStates:
    """States of a leaky cell, which moves a part of the way to its new value at each step.

    With the equation "rate", ``a<t> = (1 - leak) a<t-1> + leak f(z)`` with
    ``z = Waa a<t-1> + Wax x<t> + ba + noise xi``. With "current", the state is before the
    activation: ``v<t> = (1 - leak) v<t-1> + leak (Waa f(v<t-1>) + Wax x<t> + ba + noise xi)``, and
    the rate is f(v). A leak of 1 with "rate" gives the vanilla cell.

    Parameters
    ----------
    x, Waa, Wax, ba, a0, activation, lengths, reverse
        As for `crnn.rnn_forward`. With "current", a0 is v<0>.
    leak : float, or array (n_a,)
        In (0, 1]: ``dt / tau``, the time step in units of the time constant, for all units or one
        for each. It comes from Euler's rule for ``tau da/dt = -a + f(z)``.
    noise : float, optional
        The standard deviation of what is added to z, at least 0.
    seed : int, optional
        Of the noise, below 2^64; fresh noise by default. The number xi depends on the seed, t, the
        example and the unit only, so it is the same at any number of threads.
    equation : {"rate", "current"}, optional
    keep : bool, optional
        Whether to keep what `leaky_backward` needs, one number for each state.

    Returns
    -------
    LeakyStates
        The named tuple ``(a, kept)``: the states (T, m, n_a), a or v, 0 past an example's length;
        and what backward needs, or None.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x = np.ones((3, 1, 2))                        # T = 3, m = 1, n_x = 2
    >>> s = crnn.leaky_forward(x, np.full((1, 1), 0.5), np.full((1, 2), 0.25), leak=0.5)
    >>> s.a[:, 0, 0].round(4)
    array([0.2311, 0.3895, 0.4953])
    """
    noise = validate.number("noise", noise)
    seed = validate.seed_of(noise, seed)
    rule = _rule(Waa, leak, equation, activation)._replace(noise=noise, seed=seed)
    given = CellInputs(x, Waa, Wax, ba, None, a0, None, lengths, reverse, rule)
    states = cells.forward(given, keep)
    return LeakyStates(states.a, states.kept)


def leaky_backward(
    da: Any,
    s: Any,
    x: Any,
    Waa: Any,
    Wax: Any,
    a0: Any = None,
    *,
    leak: Any,
    equation: str = "rate",
    activation: str = "tanh",
    lengths: Any = None,
    reverse: bool = False,
    need_dx: bool = True,
) -> Gradients:
    """Gradients of a loss through time, for what `leaky_forward` was called with.

    Parameters
    ----------
    da : array (T, m, n_a)
        The loss's gradient with respect to each state (a or v) from above, without what comes back
        through later steps. It is not read past an example's length.
    s : LeakyStates
        What `leaky_forward` returned, with ``keep=True``.
    x, Waa, Wax, a0, leak, equation, activation, lengths, reverse
        As given to `leaky_forward`.
    need_dx : bool, optional
        Whether to compute dx, which is not needed if x is data.

    Returns
    -------
    Gradients
        As of `crnn.rnn_backward`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Notes
    -----
    With "current" and tanh, as with "rate", a NaN in an example's last state makes all gradients of
    that example NaN; `crnn.reference.leaky_backward` does not read the slope at that state.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> s = crnn.leaky_forward(x, Waa, Wax, leak=0.5)
    >>> crnn.leaky_backward(np.ones_like(s.a), s, x, Waa, Wax, leak=0.5).dWaa.shape
    (1, 1)
    """
    rule = _rule(Waa, leak, equation, activation)
    given = CellInputs(x, Waa, Wax, None, None, a0, None, lengths, reverse, rule)
    g = cells.backward(da, s, LeakyStates, given, need_dx)
    assert g.da0 is not None
    return Gradients(g.dWaa, g.dWax, g.dba, g.dx, g.da0)


def _rule(Waa: Any, leak: Any, equation: Any, activation: Any) -> Rule:
    """The checked rule; the leak is checked together with Waa if Waa does not fit as it is."""
    given = {"activation": activation, "leak": leak, "equation": equation}
    options = CELLS["leaky"].check_options(given)
    if type(Waa) is np.ndarray and Waa.ndim == 2 and Waa.dtype.char in "fd":
        options["leak"] = validate.leak_of_each_unit(leak, Waa.dtype, Waa.shape[1])
    return Rule("leaky", **options)
