"""Validation: every argument is converted or refused here, before anything is written.

Each function takes an argument's name and value and returns the value in the one form that the
code below understands: C-contiguous arrays of native byte order and of one dtype. An array that
has this form is returned without a copy, whichever library made it; strided, non-native and list
input is copied once. Errors name the argument, what was expected and what was given.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from crnn._engine.recurrence import CellInputs, Inputs, Rule
from crnn.reference import Array

ACTIVATIONS = ("tanh", "relu")
_NATIVE = (np.dtype(np.float32), np.dtype(np.float64))
LARGEST = 2**31 - 1  # of m and of each n: BLAS uses 32-bit integers

# Numbers of DLPack: devices whose memory the CPU reads, and names of some that it does not.
_CPU, _CUDA_HOST, _ROCM_HOST, _CUDA_MANAGED = 1, 3, 11, 13
_OTHER_DEVICES = {2: "cuda", 8: "metal", 10: "rocm", 14: "oneapi"}


def plain(name: str, value: Any) -> Array:
    """The value as an ndarray over the same memory, refusing what NumPy would quietly change.

    NumPy knows the buffer protocol, `__array_interface__` and `__array__`; DLPack is for what has
    none of them. (Not before them: torch's DLPack forgets that a tensor is lazily negated.)
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected a plain array, got a masked array (its mask would be lost)"
        )
    _on_the_cpu(name, value)
    try:
        known = hasattr(value, "__array__") or hasattr(value, "__array_interface__")
        read = np.asarray if known or not hasattr(value, "__dlpack__") else np.from_dlpack
        a: Array = read(value)
    except MemoryError:
        raise
    except Exception as error:  # libraries raise many kinds of error here
        raise _no_array(name, value, error) from None
    if a.ndim == 0 and a.dtype == object:  # NumPy wraps anything that is not an array
        raise TypeError(f"{name}: expected an array, got {_foreign(value)}")
    return a


def _on_the_cpu(name: str, value: Any) -> None:
    """Refuse arrays of other devices, which some libraries would copy silently."""
    try:
        device = getattr(value, "__dlpack_device__", None)
        if device is None:
            return
        kind, number = device()
    except Exception:  # no DLPack, or several devices: NumPy may still accept it
        return
    if kind not in (_CPU, _CUDA_HOST, _ROCM_HOST, _CUDA_MANAGED):
        where = _OTHER_DEVICES.get(kind, f"device type {int(kind)}")
        raise TypeError(
            f"{name}: expected an array on the CPU, got {type(value).__name__} on {where}:{number}"
        )


def _no_array(name: str, value: Any, error: Exception) -> Exception:
    """The error for a value that gives no array."""
    if getattr(value, "requires_grad", False):
        return TypeError(
            f"{name}: expected a tensor that requires no grad, got one that does: "
            "pass its .detach()"
        )
    kind = ValueError if isinstance(error, ValueError) else TypeError  # ragged nested lists
    return kind(f"{name}: expected an array, got {_foreign(value)}: {error}")


def _foreign(value: Any) -> str:
    """A value's type, with dtype and device if it is an array of another library."""
    has = {key: getattr(value, key, None) for key in ("dtype", "device")}
    details = ", ".join(f"{key} {told}" for key, told in has.items() if told is not None)
    return type(value).__name__ + (f" ({details})" if details else "")


def described(a: Array) -> str:
    return f"{a.dtype} of shape {a.shape}"


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


def lengths_of(value: Any, T: int, m: int, name: str = "lengths") -> Array | None:
    """Integers (m,), each in 1..T, or None if every example has all T steps."""
    if value is None:
        return None
    a = plain(name, value)
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {described(a)}")
    if a.shape != (m,):
        raise ValueError(f"{name}: expected shape (m,) = ({m},), got {described(a)}")
    wrong = (a < 1) | (a > T)
    if wrong.any():
        i = int(wrong.argmax())
        raise ValueError(f"{name}: expected integers in 1..T = 1..{T}, got {a[i]} at {i}")
    return None if (a == T).all() else in_order(a, np.intp)


def packed_lengths(value: Any, rows: int) -> Array:
    """Integers (m,) >= 1 that never increase and whose sum is the number of packed rows."""
    a = plain("lengths", value)
    if a.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected integers, got {described(a)}")
    fits = a.ndim == 1 and a.size > 0 and a[0] <= rows  # no sum below overflows
    if not fits or (a < 1).any() or (a[1:] > a[:-1]).any() or a.sum() != rows:
        raise ValueError(
            "lengths: expected integers (m,) of at least 1 that never increase, and whose sum is "
            f"the {rows} rows of a packed x, got {shown(a)}"
        )
    return in_order(a, np.intp)


def class_numbers(name: str, value: Any, n: int, lengths: Array | None, *shape: int) -> Array:
    """Integers in 0..n-1 of the given shape; values past an example's length are ignored."""
    return in_order(class_range(name, value, n, lengths, *shape), np.intp)


def class_range(name: str, value: Any, n: int, lengths: Array | None, *shape: int) -> Array:
    """As `class_numbers`, but with their own integer dtype and strides."""
    a = plain(name, value)
    if a.dtype.kind not in "iub":  # False and True are classes 0 and 1
        raise TypeError(f"{name}: expected integers (class numbers), got {described(a)}")
    if a.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {described(a)}")
    wrong = (a < 0) | (a >= n)
    if lengths is not None:
        wrong &= steps_counted(shape[0], lengths)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: expected integers in 0..{n - 1}, got {a[where]} at {where}")
    return a


def other_order(name: str, shape: tuple[int, ...], n_x: int) -> str:
    """The end of an error message: how x of the wrong shape would fit, or nothing."""
    before = shape[:-1]
    if n_x not in before or shape[-1] == n_x:
        return ""
    axes = {
        (3, 0): ("(n_x, T, m)", "transpose(1, 2, 0)"),
        (3, 1): ("(m, n_x, T), the order of aeon and sktime", "transpose(2, 0, 1)"),
        (2, 0): ("(n_x, T)", "T"),
    }
    # An axis 1 of size n_x comes first: aeon's order is the most common of these.
    known = axes.get((len(shape), 1 if before[1:] == (n_x,) else 0))
    return "" if known is None else f"; if its axes are {known[0]}, {name}.{known[1]} fits"


def weights(name: str, value: Any, lengths: Array | None, *shape: int) -> Array:
    """Numbers of at least 0, float64, of the given shape; 0 past an example's length."""
    a = plain(name, value)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {described(a)}")
    if a.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {described(a)}")
    a = np.array(a, np.float64, order="C")  # a copy, contiguous even where `a` is broadcast
    if lengths is not None:
        a[~steps_counted(shape[0], lengths)] = 0
    wrong = ~((a >= 0) & (a < np.inf))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: expected finite numbers >= 0, got {a[where]:g} at {where}")
    return a


def steps_counted(T: int, lengths: Array) -> Array:
    """True where step t of an example is within its length: (T, m)."""
    return np.arange(T)[:, None] < lengths


def time_and_examples(name: str, a: Array, what: str) -> tuple[int, int]:
    """The first two sizes T and m of an array, both at least 1."""
    T, m = a.shape[:2]
    if T < 1 or not 1 <= m <= LARGEST:
        raise ValueError(f"{name}: expected {what} with T >= 1 and m >= 1, got {described(a)}")
    return T, m


def shown(value: Any) -> str:
    """A value as an error shows it: at most a line, even if it has no repr."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as an integer of 5000 digits
        return f"{type(value).__name__} that cannot be shown"
    return text if len(text) <= 80 else text[:77] + "..."


def given(name: str, value: Any) -> Any:
    """Targets, which must not be None."""
    if value is None:
        raise TypeError(f"{name}: expected targets, got None")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False; numbers are refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of the given strings, as a plain str: the kernels take no subclass, such as np.str_."""
    if not isinstance(value, str) or value not in choices:
        words = ", ".join(map(repr, choices))
        raise ValueError(f"{name}: expected one of {words}, got {shown(value)}")
    return str(value)


def count(name: str, value: Any, least: int = 1, most: int = LARGEST) -> int:
    """A whole number from `least` to `most`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        n = operator.index(value)
    except (TypeError, OverflowError):
        raise TypeError(f"{name}: expected a whole number, got {shown(value)}") from None
    if n < least:
        raise ValueError(f"{name}: expected a whole number >= {least}, got {shown(n)}")
    if n > most:
        raise ValueError(f"{name}: expected a whole number <= {most}, got {shown(n)}")
    return n


def number(
    name: str, value: Any, *, least: float = 0.0, above: bool = False, below: float = np.inf
) -> float:
    """A finite real number, at least `least` (or above it) and below `below`."""
    x = _real(value)
    if x is None:
        raise TypeError(f"{name}: expected a number, got {shown(value)}")
    if not (-np.inf < x < below and (x > least if above else x >= least)):
        limits = f" {'>' if above else '>='} {least:g}" if least > -np.inf else ""
        if below < np.inf:
            limits += f" and < {below:g}"
        raise ValueError(f"{name}: expected a finite number{limits}, got {shown(value)}")
    return x


def _real(value: Any) -> float | None:
    """A real number as a float; None for a bool, a complex number, a string or an array."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        real = not isinstance(value, (bool, str, bytes, bytearray))
    else:  # a scalar or an array () of NumPy or another library, whose own float() may accept more
        kind = str(getattr(dtype, "name", dtype)).removeprefix("torch.")
        real = kind.startswith(("float", "bfloat", "int", "uint")) and value.ndim == 0
    try:
        return float(value) if real else None
    except OverflowError:  # an integer beyond the largest double
        return np.inf
    except (TypeError, ValueError, RuntimeError):
        return None


def finite_as(name: str, x: float, dtype: Any) -> float:
    """The number, if it is finite in this dtype too."""
    if abs(x) > float(np.finfo(dtype).max):
        raise ValueError(f"{name}: expected a number that is finite in {dtype}, got {x:g}")
    return x


def float_name(name: str, value: Any) -> str:
    """The name "float32" or "float64", from anything that NumPy accepts for one of them."""
    try:
        dtype = np.dtype(value)
    except Exception:  # NumPy parses strings, and its parser raises many kinds of error
        dtype = None
    if value is None or dtype not in (np.float32, np.float64):
        raise ValueError(f"{name}: expected float32 or float64, got {shown(value)}")
    return str(dtype.name)


def generator(rng: Any) -> np.random.Generator:
    """A Generator from a seed, a Generator (used, not copied) or None (fresh entropy).

    The one rule for randomness, as in Scientific Python's SPEC 7.
    """
    try:
        if isinstance(rng, (list, tuple)) and any(isinstance(item, (list, tuple)) for item in rng):
            raise TypeError  # NumPy recurses into seeds: a list that contains itself would crash
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng: expected None, a seed or a numpy.random.Generator, got {shown(rng)}"
        ) from None


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


def leak(value: Any, dtype: Any, n_a: int) -> Array:
    """A leak in (0, 1], one number () or one for each unit (n_a,)."""
    if value is None:
        raise TypeError("leak: expected a number or an array (n_a,), got None")
    a = plain("leak", value)
    if a.dtype.kind not in "fiu":
        raise TypeError(f"leak: expected numbers, got {described(a)}")
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


def seed_of(noise: float, seed: Any) -> int:
    """The 64 bits that noise is drawn from: a whole number, or fresh ones for None."""
    if seed is None:
        return int(np.random.default_rng().integers(1 << 63)) if noise else 0
    return count("seed", seed, least=0, most=(1 << 64) - 1)


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
