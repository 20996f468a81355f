"""The arguments of crnn.jax's functions, checked when they are traced, with defaults filled in."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crnn._engine import validate
from crnn._network.cells import Cell


def operands(
    cell: Cell,
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any,
    a0: Any,
    lengths: Any,
    **more: tuple[Any, str],
) -> tuple[jax.Array, ...]:
    """What the handlers of all cells read, x, Waa, Wax, a0, lengths, ba, and then `more`.

    `more` has the cell's own arguments by name, each with its shape in words. The zeros of a
    default cost a thousandth of a call, because XLA creates them when it compiles.
    """
    x, Waa, Wax = _array("x", x), _array("Waa", Waa), _array("Wax", Wax)
    dtype = Waa.dtype
    if dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"Waa: expected float32 or float64, got {_described(Waa)}")
    gates = len(cell.gates)
    units = "n_a" if gates == 1 else f"{gates} n_a"
    n_a, n_x = _columns("Waa", Waa, f"({units}, n_a)"), _columns("Wax", Wax, f"({units}, n_x)")
    sizes = {"n_a": n_a, "n_x": n_x, units: gates * n_a}
    _check("Waa", Waa, dtype, f"({units}, n_a)", sizes)
    _check("Wax", Wax, dtype, f"({units}, n_x)", sizes)
    x = _inputs(x, dtype, n_x)
    sizes["T"], sizes["m"] = x.shape[:2]

    def floats(name: str, given: Any, names: str) -> jax.Array:
        shape = tuple(sizes[size] for size in _names(names))
        a = jnp.zeros(shape, dtype) if given is None else _array(name, given)
        _check(name, a, dtype, names, sizes)
        return a

    ba, a0 = floats("ba", ba, f"({units},)"), floats("a0", a0, "(m, n_a)")
    lengths = jnp.full(sizes["m"], sizes["T"], jnp.int32) if lengths is None else lengths
    lengths = _array("lengths", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths: expected integers, got {_described(lengths)}")
    _check("lengths", lengths, lengths.dtype, "(m,)", sizes)
    own = [floats(name, given, names) for name, (given, names) in more.items()]
    return x, Waa, Wax, a0, _integers(lengths), ba, *own


def _array(name: str, value: Any) -> jax.Array:
    """The value as a JAX array of the same numbers."""
    try:
        a = jnp.asarray(value)
    except OverflowError as error:  # of a list; those of an array are cut silently
        raise ValueError(f"{name}: expected integers that JAX's type holds, {error}") from None
    except Exception:  # JAX and other libraries raise many kinds of error here, without the name
        raise TypeError(f"{name}: expected an array, got {validate.shown(value)}") from None
    if jnp.issubdtype(a.dtype, jnp.integer) and not isinstance(value, jax.Array):
        _check_range(name, value, a.dtype)
    return a


def _check_range(name: str, value: Any, dtype: Any) -> None:
    """Refuse integers that JAX has cut silently to a type of fewer bits."""
    try:
        a = np.asarray(value)
    except jax.errors.TracerArrayConversionError:  # a list of traced numbers
        return
    limits = np.iinfo(dtype)
    wrong = (a < limits.min) | (a > limits.max)
    if wrong.any():
        raise ValueError(
            f"{name}: expected integers that JAX's type holds, {dtype} without jax_enable_x64, "
            f"got {a[wrong][0]}"
        )


def _columns(name: str, a: jax.Array, names: str) -> int:
    """The columns of a matrix."""
    if a.ndim != 2 or 0 in a.shape:
        raise ValueError(f"{name}: expected shape {names}, sizes >= 1, got {_described(a)}")
    columns: int = a.shape[1]
    return columns


def _inputs(x: jax.Array, dtype: Any, n_x: int) -> jax.Array:
    """The inputs (T, m, n_x), or integers (T, m)."""
    integers = jnp.issubdtype(x.dtype, jnp.integer)
    if x.ndim != (2 if integers else 3) or 0 in x.shape:
        raise ValueError(
            f"x: expected {dtype} of shape (T, m, n_x), n_x = {n_x}, "
            f"or integers of shape (T, m), T >= 1 and m >= 1, got {_described(x)}"
        )
    if integers:
        return _integers(x)
    T, m = x.shape[:2]
    _check("x", x, dtype, "(T, m, n_x)", {"T": T, "m": m, "n_x": n_x})
    return x


def _described(a: jax.Array) -> str:
    return f"{a.dtype} of shape {a.shape}"


def _names(names: str) -> list[str]:
    """The sizes that a shape in words names."""
    return [name.strip() for name in names.strip("()").split(",") if name]


def _check(name: str, a: jax.Array, dtype: Any, names: str, sizes: dict[str, int]) -> None:
    shape = tuple(sizes[size] for size in _names(names))
    if a.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, the dtype of Waa, got {_described(a)}")
    if a.shape != shape:
        raise ValueError(f"{name}: expected shape {names} = {shape}, got {_described(a)}")


def _integers(a: jax.Array) -> jax.Array:
    """Convert to a type of the handlers. A number too large for it becomes negative: an error."""
    return a.astype(jnp.int64 if a.dtype.itemsize == 8 else jnp.int32)
