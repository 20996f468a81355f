"""One flat buffer for many named arrays, so that an update or a norm is one pass over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from crnn._engine import validate
from crnn._engine.workspace import ALIGNMENT, aligned
from crnn.reference import Array


class Views(dict[str, Array]):
    """The named views of an arena. Assigning to a name copies the values into its view."""

    def __setitem__(self, name: str, value: Any) -> None:
        if name not in self:
            raise KeyError(f"expected one of {', '.join(self)}, got {name!r}")
        view = self[name]
        value = validate.plain(name, value)
        if value.dtype.kind not in "fiu" or value.shape not in ((), view.shape):
            raise ValueError(
                f"{name}: expected numbers of shape {view.shape}, "
                f"got {value.dtype} of shape {value.shape}"
            )
        view[...] = value

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is a plain dict of copied arrays.
        return dict, ({name: view.copy() for name, view in self.items()},)

    def _fixed(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("parameters: the names are fixed; assign to one to set its values")

    __delitem__ = clear = pop = popitem = setdefault = update = _fixed
    __ior__ = _fixed


class Layout:
    """The place of each named array in an arena. It is the same for every arena of a model."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.places: list[tuple[str, slice, tuple[int, ...]]] = []
        step = ALIGNMENT // dtype.itemsize
        self.size = 0
        for name, shape in shapes.items():
            n = math.prod(shape)
            self.places.append((name, slice(self.size, self.size + n), shape))
            self.size += -(-n // step) * step

    def weights(self) -> Array:
        """Where the matrices are, (k, 2): first and end of each stretch without vectors.

        The vectors are biases and trained initial states.
        """
        spans: list[list[int]] = []
        follows = False
        for _, place, shape in self.places:
            if len(shape) < 2:
                follows = False
            elif follows:
                spans[-1][1] = place.stop
            else:
                spans.append([place.start, place.stop])
                follows = True
        return np.array(spans, np.intp).reshape(-1, 2)


class Arena:
    """Named arrays that are views into one flat, aligned buffer. The gaps between them are 0."""

    def __init__(self, layout: Layout) -> None:
        self.flat = aligned(layout.size, layout.dtype)  # (size,)
        self.flat[...] = 0
        self.views = Views(
            (name, self.flat[place].reshape(shape)) for name, place, shape in layout.places
        )
