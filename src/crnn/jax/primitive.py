"""The recurrence of any cell as a JAX primitive, with its gradient and its rule for vmap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero, custom_vjp_primal_tree_values

from crnn._engine import xla
from crnn._network.cells import Cell

for name, handler in xla.TARGETS.items():
    jax.ffi.register_ffi_target(name, handler, platform="cpu")


# The handlers of all cells read x, Waa, Wax, a0, lengths and ba, and give the states a. A GRU's
# also read baa. An LSTM's read c0 and give c_n. csrc/xla/handler.h has the order of everything.
#: Of the operands: where a0, lengths and a cell's own operand are.
A0, LENGTHS, OWN = 3, 4, 6


def _handler(cell: Cell, direction: str) -> str:
    return f"crnn_{'rnn' if cell.name == 'vanilla' else cell.name}_{direction}"


def _has_baa(cell: Cell) -> bool:
    return "baa" in cell.biases


def _has_c(cell: Cell) -> bool:
    return "c" in cell.states


@functools.cache
def recurrence(
    cell: Cell, reverse: bool, activation: int = 0
) -> Callable[..., tuple[jax.Array, ...]]:
    """``f(x, Waa, Wax, a0, lengths, ba, ...) -> (a, ...)``, differentiable and mappable."""
    options = {"reverse": np.int32(reverse), "activation": np.int32(activation)}
    forward = _forward(cell, False, **options)
    forward_kept = _forward(cell, True, **options) if cell.kept else forward
    backward = {wants_dx: _backward(cell, wants_dx, **options) for wants_dx in (False, True)}

    def states(*operands: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(forward(*operands))

    def begin(*given: Any) -> tuple[tuple[jax.Array, ...], Any]:
        operands = custom_vjp_primal_tree_values(given)
        results = forward_kept(*operands)
        a, kept = results[0], results[1 + _has_c(cell) :]
        # Whether dx is wanted is known here and needed in `end`, and is passed on as a shape. It
        # must not change the tree of residuals: JAX may trace this function again with other
        # arguments to differentiate, but assumes that the tree is always the same.
        wants_dx = given[0].perturbed and not jnp.issubdtype(operands[0].dtype, jnp.integer)
        inputs = [*operands[: LENGTHS + 1], *(operands[OWN:] if _has_c(cell) else [])]
        residuals = (*inputs, a, *kept, jnp.zeros(int(wants_dx), bool))
        return tuple(results[: 1 + _has_c(cell)]), residuals

    def end(residuals: tuple[jax.Array, ...], from_above: Any) -> tuple[Any, ...]:
        *inputs, wanted = residuals
        x, Waa, Wax, a0 = inputs[:4]
        if all(isinstance(d, SymbolicZero) for d in from_above):
            dWaa, dWax, dba, da0, *rest = map(jnp.zeros_like, _differentiated(cell, Waa, Wax, a0))
        else:
            dWaa, dWax, dba, da0, *rest = backward[len(wanted) == 1](
                *inputs, *map(_materialized, from_above)
            )
        own, dx = rest[: _has_baa(cell) + _has_c(cell)], rest[_has_baa(cell) + _has_c(cell) :]
        # If dx is not wanted it is zeros, not None, because this tree must always be the same, too.
        nothing = None if jnp.issubdtype(x.dtype, jnp.integer) else jnp.zeros_like(x)
        return (dx[0] if dx else nothing, dWaa, dWax, da0, None, dba, *own)

    differentiable = jax.custom_vjp(states)
    differentiable.defvjp(begin, end, symbolic_zeros=True)
    # Without jit the rules above would be traced again at each call.
    compiled: Callable[..., tuple[jax.Array, ...]] = jax.jit(differentiable)
    return compiled


def _differentiated(
    cell: Cell, Waa: jax.Array, Wax: jax.Array, a0: jax.Array
) -> tuple[jax.Array, ...]:
    """Arrays of the shapes of Waa, Wax, ba, a0 and the cell's own operand, baa or c0."""
    own = (a0,) if _has_c(cell) else (a0[0],) if _has_baa(cell) else ()
    return Waa, Wax, Waa[:, 0], a0, *own


def _materialized(d: Any) -> jax.Array:
    return jnp.zeros(d.shape, d.dtype) if isinstance(d, SymbolicZero) else d


def _forward(cell: Cell, keep: bool, **options: Any) -> Callable[..., list[jax.Array]]:
    """``f(x, Waa, Wax, a0, lengths, ba, ...) -> [a, ...]``, and what is kept; mappable."""
    count = 1 + _has_c(cell) + keep

    def call(*operands: jax.Array) -> Any:
        x, Waa = operands[:2]
        (T, m), n_a = x.shape[:2], Waa.shape[1]
        shapes = [(T, m, n_a), *[(m, n_a)] * _has_c(cell), *[(T, m, cell.kept * n_a)] * keep]
        results = [jax.ShapeDtypeStruct(shape, Waa.dtype) for shape in shapes]
        return jax.ffi.ffi_call(_handler(cell, "forward"), results)(*operands, **options)

    def mapped(size: int, is_mapped: Sequence[bool], *operands: Any) -> tuple[Any, list[bool]]:
        of_examples = {
            0: 1,
            A0: 0,
            LENGTHS: 0,
            **({OWN: 0} if _has_c(cell) else {}),
        }  # the axes of m
        weights = [k for k in range(len(operands)) if k not in of_examples]
        # What is kept cannot be divided among the entries, and backward needs it for each of them.
        if keep or any(is_mapped[k] for k in weights):
            return _one_by_one(forward, is_mapped, operands), [True] * count
        folded = list(operands)
        for k, axis in of_examples.items():
            folded[k] = _fold(size, is_mapped[k], axis, operands[k])
        a, *c_n = forward(*folded)  # (T, size * m, n_a) and (size * m, n_a)
        unfolded = [c.reshape(size, -1, c.shape[-1]) for c in c_n]
        a = jnp.moveaxis(a.reshape(len(a), size, -1, a.shape[-1]), 1, 0)
        return [a, *unfolded], [True] * count

    forward = custom_vmap(call)
    forward.def_vmap(mapped)
    typed: Callable[..., list[jax.Array]] = forward
    return typed


def _fold(size: int, is_mapped: bool, axis: int, a: jax.Array) -> jax.Array:
    """Join the mapped axis, the first, with the axis of m: `axis`, counted without the first."""
    if not is_mapped:
        a = jnp.broadcast_to(a, (size, *a.shape))
    a = jnp.moveaxis(a, 0, axis)
    return a.reshape(*a.shape[:axis], size * a.shape[axis + 1], *a.shape[axis + 2 :])


def _backward(cell: Cell, wants_dx: bool, **options: Any) -> Callable[..., list[jax.Array]]:
    """``f(x, Waa, Wax, a0, lengths, ..., a, ..., da, ...) -> [dWaa, dWax, dba, da0, ...]``.

    It gives dx too if that is wanted, and is mappable.
    """
    count = 4 + _has_baa(cell) + _has_c(cell) + wants_dx

    def call(*operands: jax.Array) -> Any:
        x, Waa, Wax, a0 = operands[:4]
        like = [*_differentiated(cell, Waa, Wax, a0), *([x] if wants_dx else [])]
        gradients = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in like]
        return jax.ffi.ffi_call(_handler(cell, "backward"), gradients)(*operands, **options)

    def mapped(size: int, is_mapped: Sequence[bool], *operands: Any) -> tuple[Any, list[bool]]:
        return _one_by_one(backward, is_mapped, operands), [True] * count

    backward = custom_vmap(call)
    backward.def_vmap(mapped)
    typed: Callable[..., list[jax.Array]] = backward
    return typed


def _one_by_one(
    f: Callable[..., Any], is_mapped: Sequence[bool], operands: Sequence[jax.Array]
) -> Any:
    """Call f for each entry along the first axes of the mapped operands."""

    def one(entries: Sequence[jax.Array]) -> Any:
        entry = iter(entries)
        return f(*(next(entry) if is_mapped[k] else value for k, value in enumerate(operands)))

    return jax.lax.map(one, [value for k, value in enumerate(operands) if is_mapped[k]])
