"""What crnn leaves to torch, and why; and what its operators refuse before they read a size."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.autograd import forward_ad

from crnn.torch.arrays import described

__all__ = ["check_input", "check_matrix", "warn_once", "why_equations", "why_torch"]

_DTYPES = (torch.float32, torch.float64)

_warned: set[str] = set()


def why_torch(tensors: list[Tensor]) -> str | None:
    """The property of the tensors that crnn does not support, or None."""
    dtypes = set()
    for tensor in tensors:
        if not _is_plain(tensor):  # first, because other questions may make such a class raise
            return f"the class {type(tensor).__name__}"
        dtype = tensor.dtype
        if dtype not in _DTYPES or not tensor.is_cpu:
            return f"{dtype} on {tensor.device.type}"
        dtypes.add(dtype)
    if len(dtypes) > 1:
        return "a mixture of dtypes"  # which torch refuses
    return "autocast" if torch.is_autocast_enabled("cpu") else None


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor does not override operations on it, as torch's ExpandedWeight does."""
    kind = type(tensor)
    return (
        kind is Tensor
        or kind is torch.nn.Parameter
        or kind.__torch_function__ is torch._C._disabled_torch_function_impl
    )


def why_equations(tensors: list[Tensor]) -> str | None:
    """The feature that needs torch's own operations, or None.

    An operator defined in Python does not support torch.func or forward-mode differentiation: it
    would give a tangent of zeros, or an error.
    """
    if torch._C._are_functorch_transforms_active():
        return "torch.func"
    dual = forward_ad._current_level >= 0
    if dual and any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        return "forward-mode differentiation"
    return None


def check_input(x: Tensor, Waa: Tensor) -> None:
    """Refuse an input without the sizes that an operator reads before crnn checks anything."""
    if x.dtype is not Waa.dtype:
        raise TypeError(f"x: expected {Waa.dtype}, the dtype of Waa, got {described(x)}")
    if x.dim() not in (2, 3) or not x.numel():
        raise ValueError(
            "x: expected shape (T, m, n_x), or packed, with lengths, (rows, n_x), sizes >= 1, "
            f"got {described(x)}"
        )


def check_matrix(name: str, W: Tensor) -> None:
    """Refuse what is not a matrix; crnn checks the rest."""
    if W.dim() != 2:
        raise ValueError(f"{name}: expected a matrix, got {described(W)}")


def warn_once(why: str) -> None:
    """Warn about each reason once."""
    if why not in _warned:
        _warned.add(why)
        warnings.warn(
            f"crnn.torch computes float32 and float64 on the CPU; {why} is left to torch",
            stacklevel=6,  # the caller of the module, past both forward and torch.nn.Module
        )
