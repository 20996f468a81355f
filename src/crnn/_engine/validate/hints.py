"""Ends of error messages: what would make an argument fit, where that can be told from it."""

from __future__ import annotations

import numpy as np

from crnn._engine.validate.values import shown
from crnn.reference import Array


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


def axis_to_add(name: str, shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> str:
    """Where an axis of size 1 is missing from a shape, or nothing; None is any size."""
    for axis, index in ((len(shape), "..., None"), (1, ":, None")):
        fits = (*shape[:axis], 1, *shape[axis:])
        if len(fits) == len(wanted) and all(
            w in (None, n) for n, w in zip(fits, wanted, strict=True)
        ):
            return f"; {name}[{index}] has one axis more and fits"
    return ""


def not_numbers(a: Array) -> str:
    """What is not a number in an array of text or objects, such as a table has; or nothing."""
    if a.dtype.kind not in "SUO":
        return ""
    for where, value in np.ndenumerate(a.astype(object)):
        try:
            float(value)
        except (TypeError, ValueError, OverflowError):
            return f"; {shown(value)} at {where} is not a number"
    return "; each is a number: astype(float) converts them"


def to_class_numbers(name: str, a: Array, shape: tuple[int, ...]) -> str:
    """How labels of another kind or shape become class numbers of this shape, or nothing."""
    if a.dtype.kind in "SU" and a.ndim == 0:
        return "; a vocabulary of crnn.text encodes a text"
    if a.dtype.kind in "SUO":
        return "; np.unique(labels, return_inverse=True)[1] numbers labels from 0"
    if a.shape == (*shape, 1):
        return f"; {name}[..., 0] has one axis less"
    if a.shape[:-1] == shape and _one_hot(a):
        return f"; its rows are one-hot: {name}.argmax(axis=-1) gives the class numbers"
    if a.dtype.kind == "f" and np.isfinite(a).all() and (a % 1 == 0).all():
        return "; they are whole: astype(int) makes integers of them"
    return ""


def _one_hot(a: Array) -> bool:
    """Whether each row (..., n) has a single 1 and else 0."""
    return bool(((a == 0) | (a == 1)).all() and ((a == 1).sum(axis=-1) == 1).all())
