"""Arrays of any library, over the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.reference import Array

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
