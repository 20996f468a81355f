"""The sequence: rnn_forward beside rnn_backward.

Arguments that fit as they are go straight to the compiled call (`_engine.sequence`). Any others
are checked and converted, or refused, first (`_engine.validate`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import recurrence, sequence, validate
from crnn.reference import Array, Gradients

__all__ = ["Gradients", "rnn_backward", "rnn_forward"]


def rnn_forward(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any = None,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    activation: str = "tanh",
    out: Array | None = None,
) -> Array:
    """Hidden states of a vanilla RNN: ``a<t> = tanh(Waa a<t-1> + Wax x<t> + ba)``.

    Parameters
    ----------
    x : array (T, m, n_x), or integers (T, m)
        The inputs, time first. Integers in ``0..n_x - 1`` stand for one-hot rows; they are
        gathered, never multiplied. Past an example's length the values are ignored. With
        lengths, x may also be packed, without the padding: (rows, n_x), or integers (rows,); see
        Notes.
    Waa : array (n_a, n_a), float32 or float64
        Recurrent weights. Every other float array must have the same dtype.
    Wax : array (n_a, n_x)
        Input weights.
    ba : array (n_a,), optional
        Bias; zeros by default.
    a0 : array (m, n_a), optional
        The state before the first step; zeros by default. If Waa is not finite, it is undefined
        whether 0 times an entry of it is then 0 or NaN.
    lengths : integers (m,), optional
        The number of steps of each example, in ``1..T`` and in any order. Past an example's length
        its states are exactly 0, so its last state is ``a[lengths[i] - 1, i]``.
    reverse : bool, optional
        Read each example's valid steps from the last to the first. ``a[t]`` stays at its own
        time index: it is the state after reading steps ``lengths[i] - 1`` down to ``t``.
    activation : {"tanh", "relu"}, optional
    out : array (T, m, n_a), optional
        C-contiguous array for the result. It must not share memory with any input.

    Returns
    -------
    a : array (T, m, n_a)
        The states, in the dtype of Waa; `out` if it is given.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it, and nothing is written.

    Notes
    -----
    C-contiguous arrays of native byte order are used without a copy, also those of any library that
    shares its memory (the buffer protocol, ``__array_interface__``, DLPack). Strided, non-native
    and nested list input is copied once. Input is never written to. NaN and infinity propagate as
    in NumPy. The GIL is released during the computation.

    A packed x holds the examples' valid steps and no padding, as PyTorch's PackedSequence does:
    step 0 of every example, then step 1 of every example longer than 1, and so on. It needs
    `lengths` that never increase from one example to the next and whose sum is the number of rows;
    `a` is then (rows, n_a).

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x = np.ones((3, 1, 2))                        # T = 3, m = 1, n_x = 2
    >>> Waa, Wax = np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> crnn.rnn_forward(x, Waa, Wax)[:, 0, 0].round(4)
    array([0.4621, 0.6237, 0.6706])
    """
    a = sequence.rnn_forward(x, Waa, Wax, ba, a0, lengths, reverse, activation, out)
    if a is not None:
        return a
    inputs = validate.sequence(x, Waa, Wax, ba, a0, lengths, reverse, activation)
    if out is not None:
        out = validate.output(
            "out", out, tuple(inputs.shape.values()), inputs.Waa.dtype, _arrays(inputs)
        )
    return recurrence.forward(inputs, out)


def rnn_backward(
    da: Any,
    a: Any,
    x: Any,
    Waa: Any,
    Wax: Any,
    a0: Any = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    activation: str = "tanh",
    need_dx: bool = True,
    out: Gradients | None = None,
) -> Gradients:
    """Gradients of a loss through time, for what `rnn_forward` was called with.

    From the last step read to the first, ``dz<t> = (da<t> + Waa' dz<t+1>) (1 - a<t>^2)``; then
    ``dWaa = sum dz<t> a<t-1>'``, ``dWax = sum dz<t> x<t>'``, ``dba = sum dz<t>``,
    ``dx<t> = Wax' dz<t>`` and ``da0 = Waa' dz<1>``.

    Parameters
    ----------
    da : array (T, m, n_a)
        The loss's gradient with respect to each state from above, ``dL/da<t>``, without what
        comes back through later steps. It is not read past an example's length.
    a : array (T, m, n_a)
        What `rnn_forward` returned, including the zeros past an example's length.
    x, Waa, Wax, a0, lengths, reverse, activation
        As given to `rnn_forward`.
    need_dx : bool, optional
        Whether to compute dx. It is a quarter of the work, and not needed if x is data rather than
        the output of a layer below.
    out : Gradients, optional
        C-contiguous arrays for the results. They must not share memory with an input or with one
        another. dx and da0 may be None, and are then not computed; need_dx is ignored.

    Returns
    -------
    Gradients
        `out` if it is given, otherwise the named tuple ``(dWaa, dWax, dba, dx, da0)``, each in the
        shape of what it is the gradient of and in the dtype of Waa. ``dx`` is None if x has
        integers or dx is not wanted, and exactly 0 past an example's length. Only valid steps
        count.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    References
    ----------
    P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of
    the IEEE 78 (1990) 1550-1560.

    Examples
    --------
    >>> import numpy as np, crnn
    >>> x, Waa, Wax = np.ones((3, 1, 2)), np.full((1, 1), 0.5), np.full((1, 2), 0.25)
    >>> a = crnn.rnn_forward(x, Waa, Wax)
    >>> da = np.zeros_like(a)
    >>> da[-1] = 1                                    # the loss is the last state itself
    >>> g = crnn.rnn_backward(da, a, x, Waa, Wax)
    >>> g.dWaa.round(4), g.dba.round(4)
    (array([[0.4209]]), array([0.7845]))
    """
    g = sequence.rnn_backward(
        da, a, x, Waa, Wax, a0, lengths, reverse, activation, need_dx, out
    )  # fmt: skip
    if g is not None:
        return Gradients(*g) if out is None else out
    inputs = validate.sequence(x, Waa, Wax, None, a0, lengths, reverse, activation)
    dtype = inputs.Waa.dtype
    da = validate.array("da", da, dtype, like="Waa", **inputs.shape)
    a = validate.array("a", a, dtype, like="Waa", **inputs.shape)
    need_dx = validate.flag("need_dx", need_dx)
    if out is None:
        return recurrence.backward(inputs, da, a, need_dx)
    recurrence.backward(inputs, da, a, into=_gradients_to_write(out, inputs, da, a))
    return out


def _gradients_to_write(
    out: Any, inputs: recurrence.Inputs, da: Array, a: Array
) -> recurrence.Results:
    """The arrays of `out` as plain ndarrays, each checked against everything that is read."""
    if not isinstance(out, Gradients):
        raise TypeError(f"out: expected crnn.Gradients, got {type(out).__name__}")
    if inputs.x.dtype.kind == "i" and out.dx is not None:
        raise ValueError("out.dx: expected None for integer x")
    read = {"da": da, "a": a, **_arrays(inputs)}
    n_a, n_x = inputs.Wax.shape
    m = a.shape[1] if inputs.lengths is None else len(inputs.lengths)
    shapes = (n_a, n_a), (n_a, n_x), (n_a,), (*a.shape[:-1], n_x), (m, n_a)
    arrays: list[Any] = []
    for name, value, shape in zip(Gradients._fields, out, shapes, strict=True):
        if value is None and name in ("dx", "da0"):
            arrays.append(None)
            continue
        checked = validate.output(f"out.{name}", value, shape, inputs.Waa.dtype, read)
        arrays.append(checked.view(np.ndarray))
        read[f"out.{name}"] = checked
    dWaa, dWax, dba, dx, da0 = arrays
    return dWaa, dWax, dba, dx, da0


def _arrays(inputs: recurrence.Inputs) -> dict[str, Array | None]:
    """Everything that a call reads, by name."""
    fields = inputs._asdict().items()
    return {name: value for name, value in fields if name not in ("reverse", "activation")}
