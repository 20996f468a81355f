"""Float arrays: those that a cell reads, and those for results."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine.validate.foreign import described, plain
from crnn._engine.validate.values import LARGEST, shown
from crnn.reference import Array

_NATIVE = (np.dtype(np.float32), np.dtype(np.float64))


def _fits(value: Any, dtype: Any, shape: tuple[int, ...]) -> bool:
    """Whether a value needs no conversion. Checked first, as a whole call may take microseconds."""
    return (
        type(value) is np.ndarray
        and value.dtype == dtype
        and value.shape == shape
        and value.flags.c_contiguous
        and value.flags.aligned
    )


def in_order(a: Array, dtype: Any) -> Array:
    """The array, or a copy of it that is contiguous, aligned and of this dtype."""
    a = np.ascontiguousarray(a, dtype)
    return a if a.flags.aligned else a.copy()


def array(name: str, value: Any, dtype: Any, *, like: str, **sizes: int) -> Array:
    """A float array of the given sizes: array("a0", a0, dtype, like="Waa", m=2, n_a=3)."""
    shape = tuple(sizes.values())
    if _fits(value, dtype, shape):
        return value  # type: ignore[no-any-return]
    a = plain(name, value)
    if a.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"{name}: expected {dtype}, the dtype of {like}, got {described(a)}")
    if a.shape != shape:
        names = ", ".join(sizes) + ("," if len(sizes) == 1 else "")
        raise ValueError(f"{name}: expected shape ({names}) = {shape}, got {described(a)}")
    return in_order(a, dtype)


def times(n: int, size: str) -> str:
    """The name of a size in an error message: n_a, 4 n_a."""
    return size if n == 1 else f"{n} {size}"


def recurrent_weights(name: str, value: Any, gates: int = 1) -> Array:
    """A matrix (gates n_a, n_a) of float32 or float64, which is then the dtype of the call."""
    a = plain(name, value)
    n_a = len(a) // gates if a.ndim == 2 else 0
    if a.dtype in _NATIVE and a.size and _fits(a, a.dtype, (gates * n_a, n_a)):
        return a
    if a.dtype.newbyteorder("=") not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {described(a)}")
    if a.ndim != 2 or a.shape != (gates * n_a, n_a) or not 1 <= n_a <= LARGEST:
        rows = times(gates, "n_a")
        raise ValueError(f"{name}: expected shape ({rows}, n_a) with n_a >= 1, got {described(a)}")
    return in_order(a, a.dtype.newbyteorder("="))


def input_weights(name: str, value: Any, dtype: Any, n_a: int, gates: int = 1) -> Array:
    """A matrix (gates n_a, n_x) of the recurrent weights' dtype, which defines n_x."""
    a = plain(name, value)
    rows = times(gates, "n_a")
    if a.ndim != 2 or not 1 <= a.shape[1] <= LARGEST:
        raise ValueError(
            f"{name}: expected shape ({rows}, n_x) with {rows} = {gates * n_a} and n_x >= 1, "
            f"got {described(a)}"
        )
    return array(name, a, dtype, like="Waa", **{rows: gates * n_a}, n_x=a.shape[1])


def leak(value: Any, dtype: Any, n_a: int) -> Array:
    """A leak in (0, 1], one number () or one for each unit (n_a,)."""
    if value is None:
        raise TypeError("leak: expected a number or an array (n_a,), got None")
    a = plain("leak", value)
    if a.dtype.kind not in "fiu":
        raise TypeError(f"leak: expected numbers, got {described(a)}")
    if isinstance(value, (list, tuple)) and any(isinstance(v, (bool, np.bool_)) for v in value):
        raise TypeError(f"leak: expected numbers, got {shown(value)}")  # NumPy would convert them
    if a.shape not in ((), (n_a,)):
        raise ValueError(f"leak: expected a number or shape (n_a,) = ({n_a},), got {described(a)}")
    fits = (a > 0) & (a <= 1)
    leaks = np.where(fits, a, 0).astype(dtype)  # where a number too small for the dtype is 0
    if not (leaks > 0).all():
        raise ValueError(f"leak: expected numbers > 0 and <= 1, got {shown(value)}")
    return leaks


def leak_of_each_unit(value: Any, dtype: Any, n_a: int) -> Array:
    """The same as an array (n_a,), as the kernels take it."""
    return np.full(n_a, leak(value, dtype, n_a))


def output(
    name: str, value: Any, shape: tuple[int, ...], dtype: Any, inputs: dict[str, Array | None]
) -> Array:
    """An array for results: exactly as needed, sharing no memory with anything that is read."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a numpy.ndarray, got {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, got {described(value)}")
    if value.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {described(value)}")
    if not (value.flags.c_contiguous and value.flags.writeable and value.flags.aligned):
        raise ValueError(f"{name}: expected a C-contiguous, aligned and writeable array")
    for other, read in inputs.items():
        if read is not None and np.may_share_memory(value, read):
            raise ValueError(f"{name}: expected memory of its own, got memory shared with {other}")
    return value
