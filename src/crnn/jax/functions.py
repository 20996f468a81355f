"""The functions of crnn.jax: one for each cell."""

from __future__ import annotations

from typing import Any

import jax

from crnn._engine import validate
from crnn._network.cells import CELLS
from crnn.jax.operands import operands
from crnn.jax.primitive import recurrence


def rnn(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    activation: str = "tanh",
) -> jax.Array:
    """Hidden states of a vanilla RNN: ``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``.

    The same as `crnn.rnn_forward`, with `crnn.rnn_backward` as its gradient.

    Parameters
    ----------
    x : array (T, m, n_x), or integers (T, m)
        The inputs, time first. Integers in ``0..n_x - 1`` stand for one-hot rows; they are
        gathered, never multiplied. Past an example's length the values are ignored.
    Waa : array (n_a, n_a), float32 or float64
        Recurrent weights. Every other float array must have the same dtype.
        (JAX has float64 only if ``jax_enable_x64`` is set.)
    Wax : array (n_a, n_x)
        Input weights.
    ba : array (n_a,), optional
        Bias; zeros by default.
    a0 : array (m, n_a), optional
        The state before the first step; zeros by default.
    lengths : integers (m,), optional
        Steps of each example, in ``1..T`` and in any order. Past an example's length its states
        are exactly 0.
    reverse : bool, optional
        Read each example's valid steps from the last to the first. Not traced.
    activation : {"tanh", "relu"}, optional
        Not traced.

    Returns
    -------
    a : array (T, m, n_a)
        The states, in the dtype of Waa.

    Raises
    ------
    ValueError, TypeError
        If the type or shape of an argument does not fit; the message names it.
    jax.errors.JaxRuntimeError or ValueError, depending on JAX
        When the call runs, if an integer of `x` or `lengths` is out of range.

    Notes
    -----
    Only first derivatives in reverse mode are supported. For `jax.jvp` and for gradients of
    gradients use `jax.lax.scan`.

    `jax.vmap` over inputs, states or lengths with shared weights folds the mapped axis into m.
    Over weights it makes one call for each entry. So does the gradient of a mapped call, because
    each entry has its own weight gradients, which JAX adds if the weights were shared.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from crnn.jax import rnn
    >>> x = jnp.ones((3, 1, 2))                       # T = 3, m = 1, n_x = 2
    >>> Waa, Wax = jnp.full((1, 1), 0.5), jnp.full((1, 2), 0.25)
    >>> [round(float(a), 4) for a in rnn(x, Waa, Wax)[:, 0, 0]]
    [0.4621, 0.6237, 0.6706]
    >>> dWaa = jax.jit(jax.grad(lambda Waa: rnn(x, Waa, Wax)[-1].sum()))(Waa)
    >>> round(float(dWaa[0, 0]), 4)
    0.4209
    """
    activation = validate.choice("activation", activation, validate.ACTIVATIONS)
    number = validate.ACTIVATIONS.index(activation)  # they are in the order of crnn_activation
    cell = CELLS["vanilla"]
    inputs = operands(cell, x, Waa, Wax, ba, a0, lengths)
    return recurrence(cell, validate.flag("reverse", reverse), number)(*inputs)[0]


def gru(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    baa: Any = None,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> jax.Array:
    """Hidden states of a gated recurrent unit, as `crnn.gru_forward` computes them.

    ``a = (1 - z) n + z a'`` with ``n = tanh(Wax_n x<t> + ba_n + r (Waa_n a' + baa))``: the reset
    gate comes after the product, as in PyTorch and in Keras with ``reset_after=True``. The gradient
    is that of `crnn.gru_backward`.

    Parameters
    ----------
    x, a0, lengths, reverse
        As for `rnn`.
    Waa : array (3 n_a, n_a), float32 or float64
        Recurrent weights, by gate: r, z, n. Every other float array must have the same dtype.
    Wax : array (3 n_a, n_x)
        Input weights.
    ba : array (3 n_a,), optional
        Bias; zeros by default.
    baa : array (n_a,), optional
        The bias that r multiplies; zeros by default.

    Returns
    -------
    a : array (T, m, n_a)
        The states, in the dtype of Waa.

    Raises
    ------
    ValueError, TypeError, jax.errors.JaxRuntimeError
        As for `rnn`.

    Notes
    -----
    See `rnn` for derivatives and `jax.vmap`. Under `jax.grad`, a mapped call runs entry by entry
    forward, too.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from crnn.jax import gru
    >>> x = jnp.ones((3, 1, 2))                       # T = 3, m = 1, n_x = 2
    >>> Waa, Wax = jnp.full((3, 1), 0.5), jnp.full((3, 2), 0.25)
    >>> [round(float(a), 4) for a in gru(x, Waa, Wax)[:, 0, 0]]
    [0.1745, 0.2926, 0.3756]
    """
    cell = CELLS["gru"]
    inputs = operands(cell, x, Waa, Wax, ba, a0, lengths, baa=(baa, "(n_a,)"))
    return recurrence(cell, validate.flag("reverse", reverse))(*inputs)[0]


def lstm(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    a0: Any = None,
    c0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Hidden states and last cells of a long short-term memory, as `crnn.lstm_forward` has them.

    ``c = f c' + i g`` and ``a = o tanh(c)``. The gradient is that of `crnn.lstm_backward`.

    Parameters
    ----------
    x, a0, lengths, reverse
        As for `rnn`.
    Waa : array (4 n_a, n_a), float32 or float64
        Recurrent weights, by gate: i, f, g, o. Every other float array must have the same dtype.
    Wax : array (4 n_a, n_x)
        Input weights.
    ba : array (4 n_a,), optional
        Bias; zeros by default.
    c0 : array (m, n_a), optional
        The cell before the first step; zeros by default.

    Returns
    -------
    a : array (T, m, n_a)
        The states, in the dtype of Waa.
    c_n : array (m, n_a)
        The cell after the last step that each example reads.

    Raises
    ------
    ValueError, TypeError, jax.errors.JaxRuntimeError
        As for `rnn`.

    Notes
    -----
    See `rnn` for derivatives and `jax.vmap`. Under `jax.grad`, a mapped call runs entry by entry
    forward, too.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from crnn.jax import lstm
    >>> x = jnp.ones((3, 1, 2))                       # T = 3, m = 1, n_x = 2
    >>> a, c_n = lstm(x, jnp.full((4, 1), 0.5), jnp.full((4, 2), 0.25))
    >>> [round(float(a), 4) for a in a[:, 0, 0]]
    [0.1743, 0.3091, 0.4072]
    """
    cell = CELLS["lstm"]
    inputs = operands(cell, x, Waa, Wax, ba, a0, lengths, c0=(c0, "(m, n_a)"))
    a, c_n = recurrence(cell, validate.flag("reverse", reverse))(*inputs)
    return a, c_n
