"""All arguments of one call of a recurrence."""

from __future__ import annotations

from typing import Any

from crnn._engine.recurrence import CellInputs, Inputs, Rule
from crnn._engine.validate.arrays import (
    array,
    input_weights,
    leak_of_each_unit,
    recurrent_weights,
    times,
)
from crnn._engine.validate.examples import (
    class_numbers,
    lengths_of,
    packed_lengths,
    time_and_examples,
)
from crnn._engine.validate.foreign import described, plain
from crnn._engine.validate.hints import other_order
from crnn._engine.validate.values import choice, finite_as, flag, shown
from crnn.reference import Array

ACTIVATIONS = ("tanh", "relu")


def sequence(
    x: Any, Waa: Any, Wax: Any, ba: Any, a0: Any, lengths: Any, reverse: Any, activation: Any
) -> Inputs:
    """The arguments that rnn_forward and rnn_backward share; ba is None for the latter."""
    Waa = recurrent_weights("Waa", Waa)
    dtype, n_a = Waa.dtype, len(Waa)
    Wax = input_weights("Wax", Wax, dtype, n_a)
    x, lengths, m = _inputs(x, lengths, dtype, Wax.shape[1])
    if a0 is not None:
        a0 = array("a0", a0, dtype, like="Waa", m=m, n_a=n_a)
    reverse = flag("reverse", reverse)
    activation = choice("activation", activation, ACTIVATIONS)
    if ba is not None:
        ba = array("ba", ba, dtype, like="Waa", n_a=n_a)
    return Inputs(x, Waa, Wax, ba, a0, lengths, reverse, activation)


def cell(
    gates: int, x: Any, Waa: Any, Wax: Any, ba: Any, baa: Any, a0: Any, c0: Any, lengths: Any,
    reverse: Any, rule: dict[str, Any],
) -> CellInputs:  # fmt: skip
    """The arguments of a cell other than the vanilla cell; `rule` has the fields of a Rule."""
    weights = cell_weights(gates, Waa, Wax, ba, baa)
    if rule["cell"] == "leaky":
        dtype, n_a = weights[0].dtype, weights[0].shape[1]
        rule = {**rule, "leak": leak_of_each_unit(rule["leak"], dtype, n_a)}
    given = CellInputs(x, *weights, a0, c0, lengths, reverse, Rule(**rule))
    return cell_call(given)


def cell_weights(
    gates: int, Waa: Any, Wax: Any, ba: Any, baa: Any, copy: bool = False
) -> tuple[Array, Array, Array | None, Array | None]:
    """The weights and biases of a cell, of which the caller keeps no view with `copy`."""
    Waa = recurrent_weights("Waa", Waa, gates)
    dtype, n_a = Waa.dtype, Waa.shape[1]
    Wax = input_weights("Wax", Wax, dtype, n_a, gates)
    if ba is not None:
        ba = array("ba", ba, dtype, like="Waa", **{times(gates, "n_a"): gates * n_a})
    if baa is not None:
        baa = array("baa", baa, dtype, like="Waa", n_a=n_a)
    Waa, Wax, ba, baa = (a.copy() if copy and a is not None else a for a in (Waa, Wax, ba, baa))
    return Waa, Wax, ba, baa


def cell_call(given: CellInputs) -> CellInputs:
    """The same inputs, with everything but the weights and the rule checked and converted."""
    Waa, Wax = given.Waa, given.Wax
    dtype, n_a = Waa.dtype, Waa.shape[1]
    x, lengths, m = _inputs(given.x, given.lengths, dtype, Wax.shape[1])
    a0, c0 = given.a0, given.c0
    if a0 is not None:
        a0 = array("a0", a0, dtype, like="Waa", m=m, n_a=n_a)
    if c0 is not None and given.rule.cell != "lstm":
        raise ValueError(f"c0: expected None with cell={given.rule.cell!r}, got {shown(c0)}")
    if c0 is not None:
        c0 = array("c0", c0, dtype, like="Waa", m=m, n_a=n_a)
    reverse = flag("reverse", given.reverse)
    finite_as("noise", given.rule.noise, dtype)
    return given._replace(x=x, a0=a0, c0=c0, lengths=lengths, reverse=reverse)


def _inputs(x: Any, lengths: Any, dtype: Any, n_x: int) -> tuple[Array, Array | None, int]:
    """x, padded or packed, with its lengths and the number of examples."""
    x = plain("x", x)
    axes = x.ndim + (x.dtype.kind in "iu")  # symbols have no axis for n_x
    if axes == 2 and lengths is not None:
        x, lengths = _packed(x, lengths, dtype, n_x)
        return x, lengths, len(lengths)
    if axes != 3:
        raise ValueError(
            f"x: expected {dtype} of shape (T, m, n_x), n_x = {n_x}, or integers of shape (T, m); "
            f"or packed, with lengths, (rows, n_x) or (rows,); got {described(x)}"
        )
    x, lengths = _padded(x, lengths, dtype, n_x)
    return x, lengths, x.shape[1]


def _padded(x: Array, lengths: Any, dtype: Any, n_x: int) -> tuple[Array, Array | None]:
    """x (T, m, n_x) or symbols (T, m), and lengths."""
    T, m = time_and_examples("x", x, "shape (T, m, n_x) or (T, m)")
    lengths = lengths_of(lengths, T, m)
    if x.ndim == 2:
        return class_numbers("x", x, n_x, lengths, T, m), lengths
    if x.shape[2] != n_x:
        raise ValueError(
            f"x: expected shape (T, m, n_x) = {(T, m, n_x)}, got {described(x)}"
            + other_order("x", x.shape, n_x)
        )
    return array("x", x, dtype, like="Waa", T=T, m=m, n_x=n_x), lengths


def _packed(x: Array, lengths: Any, dtype: Any, n_x: int) -> tuple[Array, Array]:
    """x (rows, n_x) or symbols (rows,), and lengths."""
    lengths = packed_lengths(lengths, len(x))
    if x.ndim == 1:
        return class_numbers("x", x, n_x, None, len(x)), lengths
    return array("x", x, dtype, like="Waa", rows=len(x), n_x=n_x), lengths
