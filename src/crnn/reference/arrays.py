"""What every cell reads: inputs as rows of numbers, and which steps count."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def one_hot(index: Array, n_x: int, dtype: Any = float) -> Array:
    """The rows that integers stand for.

    Parameters
    ----------
    index : integers (...)
    n_x : int
    dtype : dtype, optional

    Returns
    -------
    rows : array (..., n_x)

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    rows: Array = (index[..., None] == np.arange(n_x)).astype(dtype)
    return rows


def valid_steps(T: int, m: int, lengths: Array | None) -> Array:
    """True where step t of an example is counted: (T, m, 1)."""
    if lengths is None:
        return np.ones((T, m, 1), dtype=bool)
    return (np.arange(T)[:, None] < lengths)[..., None]


def input_rows(x: Array, valid: Array, Wax: Array) -> Array:
    """The input as rows of numbers, zero where no step is counted, whatever stood there."""
    rows = one_hot(x, Wax.shape[1], Wax.dtype) if x.ndim == 2 else x
    return np.where(valid, rows, 0)
