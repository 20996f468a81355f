"""PyTorch's threads out of the way of crnn's.

After a parallel operation the threads of OpenMP wait for the next one by spinning, for some
milliseconds with libgomp, and take a processor from crnn's own: on two cores a training step at
100 x 32 x 128 x 128 took 8.7 ms with two threads, and 7.9 with one. Sent away before crnn's work
begins, 4.8. To send them away and have them back takes 18 microseconds.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["make_way"]

#: Multiply-adds below which crnn's kernels use one thread, whether they share rows or columns.
LEAST_WORK = 2e6

_SOFT = 1  # omp_pause_soft of OpenMP 5.0


def _pause_of_openmp() -> Callable[[int], int] | None:
    """omp_pause_resource_all of the OpenMP that torch is linked to, if there is one.

    A symbol is looked up in the module's own handle, which reaches the libraries it depends on.
    """
    return getattr(ctypes.CDLL(torch._C.__file__), "omp_pause_resource_all", None)


_pause = _pause_of_openmp()


def _forget() -> None:
    # The child of a fork has none of the threads, and would wait for them forever.
    global _pause
    _pause = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def make_way(x: Tensor, Waa: Tensor) -> None:
    """Send torch's idle threads away, where crnn's work on x (T, m, n_x) may take more than one."""
    T, m, n_x = x.shape
    n_a = len(Waa)
    if T * m * n_a * (n_a + n_x) >= LEAST_WORK and torch.get_num_threads() > 1:
        pause = _pause
        if pause is not None:
            pause(_SOFT)
