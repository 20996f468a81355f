"""The recurrence as a JAX primitive, with its gradient and its rule for vmap."""

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

_ACTIVATIONS = ("tanh", "relu")  # in the order of enum crnn_activation

jax.ffi.register_ffi_target("crnn_rnn_forward", xla.forward, platform="cpu")
jax.ffi.register_ffi_target("crnn_rnn_backward", xla.backward, platform="cpu")


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
    if activation not in _ACTIVATIONS:
        raise ValueError(f"activation: expected 'tanh' or 'relu', got {activation!r}")
    if not isinstance(reverse, (bool, np.bool_)):
        raise TypeError(f"reverse: expected True or False, got {reverse!r}")
    inputs = _inputs(jnp.asarray(x), jnp.asarray(Waa), jnp.asarray(Wax), ba, a0, lengths)
    return _recurrence(bool(reverse), _ACTIVATIONS.index(activation))(*inputs)


def _inputs(
    x: jax.Array, Waa: jax.Array, Wax: jax.Array, ba: Any, a0: Any, lengths: Any
) -> tuple[jax.Array, ...]:
    """The handlers' operands x, Waa, Wax, a0, lengths, ba: checked, with defaults filled in.

    The zeros of a default cost a thousandth of a call, because XLA creates them when it compiles.
    """
    dtype = Waa.dtype
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"Waa: expected float32 or float64, got {_described(Waa)}")
    n_a, n_x = (Waa.shape or (0,))[0], (Wax.shape or (0,))[-1]
    _check("Waa", Waa, dtype, "(n_a, n_a)", n_a, n_a)
    _check("Wax", Wax, dtype, "(n_a, n_x)", n_a, n_x)
    integers = jnp.issubdtype(x.dtype, jnp.integer)
    if x.ndim != (2 if integers else 3) or 0 in x.shape:
        raise ValueError(
            f"x: expected {dtype} of shape (T, m, n_x), n_x = {n_x}, "
            f"or integers of shape (T, m), T >= 1 and m >= 1, got {_described(x)}"
        )
    T, m = x.shape[:2]
    if not integers:
        _check("x", x, dtype, "(T, m, n_x)", T, m, n_x)
    ba = jnp.zeros(n_a, dtype) if ba is None else jnp.asarray(ba)
    a0 = jnp.zeros((m, n_a), dtype) if a0 is None else jnp.asarray(a0)
    lengths = jnp.full(m, T, jnp.int32) if lengths is None else jnp.asarray(lengths)
    _check("ba", ba, dtype, "(n_a,)", n_a)
    _check("a0", a0, dtype, "(m, n_a)", m, n_a)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths: expected integers, got {_described(lengths)}")
    _check("lengths", lengths, lengths.dtype, "(m,)", m)
    return _integers(x) if integers else x, Waa, Wax, a0, _integers(lengths), ba


def _described(a: jax.Array) -> str:
    return f"{a.dtype} of shape {a.shape}"


def _check(name: str, a: jax.Array, dtype: Any, names: str, *shape: int) -> None:
    if a.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, the dtype of Waa, got {_described(a)}")
    if a.shape != shape or 0 in shape:
        raise ValueError(f"{name}: expected shape {names} = {shape}, got {_described(a)}")


def _integers(a: jax.Array) -> jax.Array:
    """Convert to a type of the handlers. A number too large for it becomes negative: an error."""
    return a.astype(jnp.int64 if a.dtype.itemsize == 8 else jnp.int32)


@functools.cache
def _recurrence(reverse: bool, activation: int) -> Callable[..., jax.Array]:
    """``f(x, Waa, Wax, a0, lengths, ba) -> a``, differentiable and mappable."""
    options = {"reverse": np.int32(reverse), "activation": np.int32(activation)}
    forward = _forward(**options)
    backward = {wants_dx: _backward(wants_dx, **options) for wants_dx in (False, True)}

    def begin(*given: Any) -> tuple[jax.Array, Any]:
        inputs = custom_vjp_primal_tree_values(given)
        a = forward(*inputs)
        # Whether dx is wanted is known here and needed in `end`, and is passed on as a shape. It
        # must not change the tree of residuals: JAX may trace this function again with other
        # arguments to differentiate, but assumes that the tree is always the same.
        wants_dx = given[0].perturbed and not jnp.issubdtype(inputs[0].dtype, jnp.integer)
        return a, (*inputs[:-1], a, jnp.zeros(int(wants_dx), bool))

    def end(kept: tuple[jax.Array, ...], da: Any) -> tuple[Any, ...]:
        *inputs, wanted = kept
        x, Waa, Wax, a0 = inputs[:4]
        if isinstance(da, SymbolicZero):
            dWaa, dWax, dba, da0, *dx = map(jnp.zeros_like, (Waa, Wax, Waa[0], a0))
        else:
            dWaa, dWax, dba, da0, *dx = backward[len(wanted) == 1](*inputs, da)
        # If dx is not wanted it is zeros, not None, because this tree must always be the same, too.
        nothing = None if jnp.issubdtype(x.dtype, jnp.integer) else jnp.zeros_like(x)
        return dx[0] if dx else nothing, dWaa, dWax, da0, None, dba

    recurrence = jax.custom_vjp(forward)
    recurrence.defvjp(begin, end, symbolic_zeros=True)
    # Without jit the rules above would be traced again at each call.
    compiled: Callable[..., jax.Array] = jax.jit(recurrence)
    return compiled


def _forward(**options: Any) -> Callable[..., jax.Array]:
    """``f(x, Waa, Wax, a0, lengths, ba) -> a``, mappable."""

    def call(*inputs: jax.Array) -> Any:
        x, Waa = inputs[:2]
        a = jax.ShapeDtypeStruct((*x.shape[:2], len(Waa)), Waa.dtype)
        return jax.ffi.ffi_call("crnn_rnn_forward", a)(*inputs, **options)

    def mapped(size: int, is_mapped: Sequence[bool], *inputs: jax.Array) -> tuple[jax.Array, bool]:
        x, Waa, Wax, a0, lengths, ba = inputs
        if is_mapped[1] or is_mapped[2] or is_mapped[5]:  # weights or bias
            return _one_by_one(forward, is_mapped, inputs), True
        x, a0, lengths = (
            inputs[k] if is_mapped[k] else jnp.broadcast_to(inputs[k], (size, *inputs[k].shape))
            for k in (0, 3, 4)
        )
        x = jnp.moveaxis(x, 0, 1)  # (T, size, m, n_x) or (T, size, m)
        T, m = x.shape[0], size * x.shape[2]
        a = forward(
            x.reshape(T, m, *x.shape[3:]), Waa, Wax, a0.reshape(m, -1), lengths.reshape(m), ba
        )  # (T, size * m, n_a)
        return jnp.moveaxis(a.reshape(T, size, -1, a.shape[-1]), 1, 0), True

    forward = custom_vmap(call)
    forward.def_vmap(mapped)
    typed: Callable[..., jax.Array] = forward
    return typed


def _backward(wants_dx: bool, **options: Any) -> Callable[..., list[jax.Array]]:
    """``f(x, Waa, Wax, a0, lengths, a, da) -> [dWaa, dWax, dba, da0]``, and dx; mappable."""

    def call(*inputs: jax.Array) -> Any:
        x, Waa, Wax, a0 = inputs[:4]
        like = [Waa, Wax, Waa[0], a0, *([x] if wants_dx else [])]
        gradients = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in like]
        return jax.ffi.ffi_call("crnn_rnn_backward", gradients)(*inputs, **options)

    def mapped(size: int, is_mapped: Sequence[bool], *inputs: jax.Array) -> tuple[Any, list[bool]]:
        return _one_by_one(backward, is_mapped, inputs), [True] * (4 + wants_dx)

    backward = custom_vmap(call)
    backward.def_vmap(mapped)
    typed: Callable[..., list[jax.Array]] = backward
    return typed


def _one_by_one(
    f: Callable[..., Any], is_mapped: Sequence[bool], inputs: Sequence[jax.Array]
) -> Any:
    """Call f for each entry along the first axes of the mapped inputs."""

    def one(entries: Sequence[jax.Array]) -> Any:
        entry = iter(entries)
        return f(*(next(entry) if is_mapped[k] else value for k, value in enumerate(inputs)))

    return jax.lax.map(one, [value for k, value in enumerate(inputs) if is_mapped[k]])
