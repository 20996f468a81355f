"""Releases PyTorch's idle threads before crnn's threads start.

After a parallel operation OpenMP's threads wait for the next one by spinning, with libgomp for some
milliseconds, and occupy cores that crnn's own threads need: on two cores a training step at
100 x 32 x 128 x 128 took 8.7 ms with two threads, and 7.9 with one. It takes 4.8 if OpenMP releases
its threads before crnn's work begins. To release them and start them again takes 18 microseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["make_way"]

#: Multiply-adds below which crnn's kernels always use one thread.
LEAST_WORK = 2e6

_SOFT = 1  # omp_pause_soft of OpenMP 5.0


def _pause_of_openmp() -> Callable[[int], int] | None:
    """omp_pause_resource_all of the OpenMP that torch is linked to, if there is one.

    The symbol is looked up through torch's own module, which reaches the libraries it depends on.
    """
    return getattr(ctypes.CDLL(torch._C.__file__), "omp_pause_resource_all", None)


_pause = _pause_of_openmp()


def _forget() -> None:
    # A forked child does not have these threads, and would wait for them forever.
    global _pause
    _pause = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def make_way(x: Tensor, Waa: Tensor) -> None:
    """Release torch's idle threads if crnn may use several threads for x (..., n_x)."""
    n_a, n_x = len(Waa), x.shape[-1]
    if x.numel() // n_x * n_a * (n_a + n_x) >= LEAST_WORK and torch.get_num_threads() > 1:
        pause = _pause
        if pause is not None:
            pause(_SOFT)
