"""One flat buffer for many named arrays: a step of an optimizer, a norm, a file are one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from crnn._engine import validate
from crnn._engine.workspace import ALIGNMENT, aligned
from crnn.reference import Array


class Views(dict[str, Array]):
    """The named views of an arena. Assigning to a name copies the numbers into its view."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self:
            raise KeyError(f"{name!r} is none of {', '.join(self)}")
        view = self[name]
        value = validate.plain(name, value)
        if value.dtype.kind not in "fiu" or value.shape not in ((), view.shape):
            raise ValueError(
                f"{name}: expected numbers of shape {view.shape}, "
                f"got {value.dtype} of shape {value.shape}"
            )
        view[...] = value

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is a snapshot: a plain dict of arrays of their own.
        return dict, ({name: view.copy() for name, view in self.items()},)

    def _fixed(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("parameters: the names are fixed; assign to one to set its numbers")

    __delitem__ = clear = pop = popitem = setdefault = update = _fixed
    __ior__ = _fixed


class Arena:
    """Named arrays that are views into one flat, aligned buffer; what lies between them is 0."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> None:
        align = ALIGNMENT // dtype.itemsize
        starts, size = [], 0
        for shape in shapes.values():
            starts.append(size)
            size += -(-int(np.prod(shape, dtype=object)) // align) * align
        self.flat = aligned(size, dtype)  # (size,)
        self.flat[...] = 0
        self.views = Views(
            (name, self.flat[start : start + int(np.prod(shape))].reshape(shape))
            for (name, shape), start in zip(shapes.items(), starts, strict=True)
        )
