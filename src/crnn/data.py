"""Series made ready for a network, and forecasts of them compared with what came."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._forecasting.backtest import Backtest
from crnn._forecasting.examples import sliding_windows
from crnn._forecasting.scaling import Scaling
from crnn._forecasting.walking import walk_forward

# Names of crnn 0.1.0, which this module had.
from crnn._network.batch import Batch as Batch
from crnn._network.data import Sequences as Sequences
from crnn._training.batches import windows as windows
from crnn.reference import Array

__all__ = ["Backtest", "Scaling", "frames", "sliding_windows", "walk_forward"]


def frames(x: Any, k: int, lengths: Any = None, *, remainder: str = "repeat") -> Any:
    """Sequences with k samples in each step, which are k times as short.

    A network that reads a long series one sample at a time has to remember over hundreds of steps;
    with frames of k samples it has fewer steps to cross, and sees the shape of each at once.

    Parameters
    ----------
    x : array (T, m, n_x), or a list of (T_i, n_x) or (T_i,)
        Numbers, time first. A list or a tuple is m sequences, each with its own length.
    k : int
        Samples of a frame.
    lengths : integers (m,), optional
        The number of samples of each example, if x is an array.
    remainder : {"repeat", "drop"}, optional
        What becomes of a sequence whose length is no multiple of k. "repeat": its last frame is
        filled with its last sample. "drop": its first ``T_i % k`` samples are left out, so that
        every frame is full and the latest samples are kept; then it needs at least k.

    Returns
    -------
    x : array (ceil(T / k), m, k n_x), or a list of (ceil(T_i / k), k n_x)
        In each step the samples are in the order of time, each with its n_x numbers. With "drop"
        the numbers of steps are rounded down. Past an example's length x is 0.
    lengths : integers (m,)
        The number of frames of each example, if `lengths` is given.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from crnn.data import frames
    >>> frames([np.arange(5)], 2)[0].tolist()
    [[0, 1], [2, 3], [4, 4]]
    >>> frames([np.arange(5)], 2, remainder="drop")[0].tolist()
    [[1, 2], [3, 4]]
    >>> x, lengths = frames(np.zeros((5, 3, 4)), 2, lengths=[5, 1, 4])
    >>> x.shape, lengths.tolist()
    ((3, 3, 8), [3, 1, 2])
    """
    k = validate.count("k", k)
    drop = validate.choice("remainder", remainder, ("repeat", "drop")) == "drop"
    if isinstance(x, (list, tuple)):
        if lengths is not None:
            raise ValueError("lengths: expected None with a list x, whose arrays have their own")
        if not x:
            raise ValueError("x: expected at least one sequence, got an empty list")
        return [_of_one(f"x[{i}]", item, k, drop) for i, item in enumerate(x)]
    a = validate.plain("x", x)
    if a.ndim != 3 or a.dtype.kind not in "fiub":
        raise ValueError(
            "x: expected numbers of shape (T, m, n_x), or a list of sequences, got "
            f"{validate.described(a)}"
        )
    T, m = validate.time_and_examples("x", a, "shape (T, m, n_x)")
    own = validate.lengths_of(lengths, T, m, "lengths")
    counts = np.full(m, T) if own is None else own
    _require_enough("lengths" if own is not None else "x", counts, k, drop)
    framed = _framed(a, counts, k, drop)
    return framed if own is None else (framed, _number_of_frames(own, k, drop))


def _of_one(name: str, item: Any, k: int, drop: bool) -> Array:
    a = validate.plain(name, item)
    if a.ndim not in (1, 2) or a.dtype.kind not in "fiub" or a.size == 0:
        raise ValueError(
            f"{name}: expected numbers of shape (T_i, n_x) or (T_i,), of at least one step, got "
            f"{validate.described(a)}"
        )
    counts = np.array([len(a)])
    _require_enough(name, counts, k, drop)
    found: Array = _framed(a.reshape(len(a), 1, -1), counts, k, drop)[:, 0]
    return found


def _require_enough(name: str, counts: Array, k: int, drop: bool) -> None:
    if drop and counts.min() < k:
        raise ValueError(
            f"{name}: expected at least k = {k} samples with remainder='drop', got {counts.min()}"
        )


def _number_of_frames(counts: Array, k: int, drop: bool) -> Array:
    return counts // k if drop else -(-counts // k)


def _framed(x: Array, counts: Array, k: int, drop: bool) -> Array:
    """The frames (F, m, k n_x) of x (T, m, n_x), of which counts (m,) samples are valid."""
    m, n_x = x.shape[1:]
    number = _number_of_frames(counts, k, drop)  # (m,)
    F = int(number.max())
    first = counts % k if drop else np.zeros(m, np.intp)
    t = np.minimum(np.arange(F * k)[:, None] + first, counts - 1)  # (F k, m)
    found: Array = x[t, np.arange(m)].reshape(F, k, m, n_x).swapaxes(1, 2).reshape(F, m, k * n_x)
    found[np.arange(F)[:, None] >= number] = 0
    return found
