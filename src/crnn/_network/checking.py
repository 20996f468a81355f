"""The arguments x, lengths, y and sample_weight of a call, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.losses import Wanted
from crnn.reference import Array


class Inputs:
    """x of all examples, as one array or as a list, with what is checked against it.

    Raises ValueError or TypeError for what does not fit. `of` begins the name of each argument, as
    in "validation x".
    """

    def __init__(self, config: Config, of: str, x: Any, lengths: Any) -> None:
        self.config, self.of = config, of
        self.listed = isinstance(x, (list, tuple))
        self.x: Array | list[Array]  # (T, m, n_x), (T, m), or m arrays (T_i, n_x) or (T_i,)
        self.lengths: Array | None  # (m,); None if all examples of an array have T steps
        if self.listed:
            if lengths is not None:
                raise ValueError(
                    f"{of}lengths: expected None with a list x, whose arrays have their own"
                )
            self.x = self._list_of_x(x)
            self.lengths = np.array([len(item) for item in self.x], np.intp)
            self.m = len(self.x)
        else:
            self.x, self.lengths = self._array_of_x(x, lengths)
            self.m = self.x.shape[1]

    def targets(self, y: Any) -> Array | list[Array]:
        """y of all examples; a list if x is one and there are targets at each step."""
        if self.listed and self.config.every_step:
            return self._list_of_y(y)
        return self._array_of_y(y)

    def weights(self, value: Any) -> Array | list[Array]:
        """Weights in the shape of class numbers; a weight per example is repeated for its steps."""
        name, m, lengths = self.of + "sample_weight", self.m, self.lengths
        if not self.config.every_step:
            return validate.weights(name, value, None, m)
        if self.listed:
            if isinstance(value, (list, tuple)) and any(np.ndim(item) for item in value):
                if len(value) != m:
                    raise ValueError(f"{name}: expected {m} arrays, as x has, got {len(value)}")
                return [
                    validate.weights(f"{name}[{i}]", item, None, len(x))
                    for i, (item, x) in enumerate(zip(value, self.x, strict=True))
                ]
            w = validate.weights(name, value, None, m)
            return [np.full(len(x), w_i) for w_i, x in zip(w, self.x, strict=True)]
        a, T = validate.plain(name, value), len(self.x)
        if a.ndim == 1:
            a = np.broadcast_to(validate.weights(name, a, None, m), (T, m))
        return validate.weights(name, a, lengths, T, m)

    def _array_of_x(self, x: Any, lengths: Any) -> tuple[Array, Array | None]:
        a = validate.plain(self.of + "x", x)
        n_x = self.config.n_x
        if a.ndim == 2 and a.dtype.kind in "iu":
            T, m = validate.time_and_examples(self.of + "x", a, "shape (T, m)")
            lengths = self._own_lengths(lengths, T, m)
            return validate.class_numbers(self.of + "x", a, n_x, lengths, T, m), lengths
        if a.ndim != 3 or a.dtype.kind not in "fiub" or a.shape[2] != n_x:
            raise ValueError(
                f"{self.of}x: expected numbers of shape (T, m, n_x) with n_x = {n_x}, integers "
                f"of shape (T, m), or a list of sequences, got {validate.described(a)}"
                + (
                    validate.other_order("x", a.shape, n_x)
                    or validate.axis_to_add("x", a.shape, (None, None, n_x))
                )
                + (
                    "; list(x) is a list of sequences"
                    if a.dtype == object and a.ndim == 1
                    else validate.not_numbers(a)
                )
            )
        T, m = validate.time_and_examples(self.of + "x", a, "shape (T, m, n_x)")
        return self._floats(a), self._own_lengths(lengths, T, m)

    def _own_lengths(self, lengths: Any, T: int, m: int) -> Array | None:
        """The lengths as a copy: the caller may change theirs while training reads them."""
        checked = validate.lengths_of(lengths, T, m, self.of + "lengths")
        return None if checked is None else checked.copy()

    def _list_of_x(self, x: Any) -> list[Array]:
        if not x:
            raise ValueError(f"{self.of}x: expected at least one sequence, got an empty list")
        n_x = self.config.n_x
        items = [validate.plain(f"{self.of}x[{i}]", item) for i, item in enumerate(x)]
        integers = items[0].dtype.kind in "iu" and items[0].ndim == 1
        for i, a in enumerate(items):
            if integers:
                items[i] = validate.class_numbers(f"{self.of}x[{i}]", a, n_x, None, a.size)
            elif a.ndim != 2 or a.dtype.kind not in "fiub" or a.shape[1] != n_x:
                raise ValueError(
                    f"{self.of}x[{i}]: expected numbers of shape (T_i, n_x) with n_x = {n_x}, or "
                    f"integers of shape (T_i,) in every sequence, got {validate.described(a)}"
                    + (
                        validate.other_order(f"x[{i}]", a.shape, n_x)
                        or validate.axis_to_add(f"x[{i}]", a.shape, (None, n_x))
                    )
                    + validate.not_numbers(a)
                )
            else:
                items[i] = self._floats(a)
            if len(a) == 0:
                raise ValueError(
                    f"{self.of}x[{i}]: expected at least one step, got {validate.described(a)}"
                )
        return items

    def _array_of_y(self, y: Any) -> Array:
        shape: tuple[int, ...] = (self.m,)
        if self.config.every_step:
            shape = (len(self.x), self.m)
        lengths = self.lengths if self.config.every_step else None
        try:
            return self._target(self.of + "y", y, lengths, shape)
        except ValueError as error:
            raise ValueError(f"{error}{self._if_examples_first(y)}") from None

    def _if_examples_first(self, y: Any) -> str:
        """The end of an error message of y if its shape suggests that x has its examples first."""
        try:
            shape = np.shape(y)
        except ValueError:  # a ragged list
            return ""
        T, m = len(self.x), self.m
        every_step = self.config.every_step
        if m == T or shape[: 1 + every_step] != ((m, T) if every_step else (T,)):
            return ""
        both = "x.swapaxes(0, 1) and y.swapaxes(0, 1) are" if every_step else "x.swapaxes(0, 1) is"
        return f"; if x is (m, T, n_x), examples first, {both} time first, as expected"

    def _list_of_y(self, y: Any) -> list[Array]:
        if not isinstance(y, (list, tuple)) or len(y) != self.m:
            raise ValueError(
                f"{self.of}y: expected a list of {self.m} arrays, as x is, got {type(y).__name__}"
            )
        return [
            self._target(f"{self.of}y[{i}]", item, None, (len(x),))
            for i, (item, x) in enumerate(zip(y, self.x, strict=True))
        ]

    def _target(self, name: str, y: Any, lengths: Array | None, shape: tuple[int, ...]) -> Array:
        config = self.config
        wanted = Wanted(name, config.n_y, config.np_dtype, shape, lengths)
        return config.objective.checked(y, wanted)

    def _floats(self, a: Array) -> Array:
        return validate.in_order(a, self.config.np_dtype)
