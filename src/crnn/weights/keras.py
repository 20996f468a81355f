"""The weights of Keras' `SimpleRNN` and `Dense`: a list of arrays, each transposed."""

from __future__ import annotations

import re
from typing import Any

from crnn._engine import validate
from crnn._network.config import DIRECTIONS, Config
from crnn.reference import Array
from crnn.weights.reading import Named, check_left_out, dtype_of, matrix, read_floats

_IN_KERAS_ORDER = ("Wax", "Waa", "ba")


def from_keras(weights: Any, direction: Any, dtype: Any, **choices: Any) -> tuple[Config, Named]:
    """Configuration and parameters of `SimpleRNN` layers and a `Dense`, as `get_weights` lists."""
    validate.choice("direction", direction, DIRECTIONS)
    if not isinstance(weights, (list, tuple)):
        raise TypeError(f"weights: expected a list of arrays, got {type(weights).__name__}")
    given = [validate.plain(f"weights[{i}]", value) for i, value in enumerate(weights)]
    *cells, head = _keras_layout(given)
    directions = 2 if direction == "bidirectional" else 1
    if len(cells) % directions:
        raise ValueError(
            "weights: expected two recurrences a layer for direction 'bidirectional', "
            f"got {len(cells)} in all"
        )
    kernel, recurrent_kernel, dense = (
        matrix(f"weights[{i}]", given[i]) for i in (cells[0].start, cells[0].start + 1, head.start)
    )
    config = Config(
        kernel.shape[0], recurrent_kernel.shape[0], dense.shape[1],
        len(cells) // directions, direction, dtype=dtype_of(given, dtype), **choices,
    )  # fmt: skip
    shapes = config.shapes()
    parameters: Named = {}

    def read(place: slice, *names: str) -> None:
        places = range(place.start, place.stop)
        for i, name in zip(places, names, strict=False):  # the bias may be left out
            parameters[name] = read_floats(f"weights[{i}]", given[i], name, shapes[name][::-1]).T

    for recurrence, place in zip(config.recurrences(), cells, strict=True):
        read(place, *(name + recurrence.suffix for name in _IN_KERAS_ORDER))
    read(head, "Wya", "by")
    return config, parameters


def to_keras(config: Config, parameters: Named, ba: Any, by: Any) -> list[Array]:
    """The list that `set_weights` takes."""
    check_left_out(parameters, ba=ba, by=by)
    names = [
        name + recurrence.suffix
        for recurrence in config.recurrences()
        for name in _IN_KERAS_ORDER
        if ba or name != "ba"
    ]
    names += ("Wya", "by") if by else ("Wya",)
    return [parameters[name].T.copy() for name in names]


def _keras_layout(given: list[Array]) -> list[slice]:
    """The positions of each recurrence's arrays, and last those of the Dense layer."""
    # Matrices and biases by their number of axes: 221 a recurrence and 21 at the end, or 22 and 2.
    axes = "".join(str(a.ndim) if a.ndim in (1, 2) else "?" for a in given)
    if not re.fullmatch("(221?)+21?", axes):
        raise ValueError(
            "weights: expected kernel, recurrent_kernel and perhaps bias of each recurrence, then "
            "kernel and perhaps bias of a Dense layer, "
            f"got arrays of shapes {', '.join(str(a.shape) for a in given)}"
        )
    return [slice(*match.span()) for match in re.finditer("221?|21?", axes)]
