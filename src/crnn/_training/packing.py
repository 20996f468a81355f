"""Nested values as JSON and a flat dict of arrays, and back: a training's state in a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn.reference import Array

#: The keys of a JSON object that stands for an array, or for a number with NumPy's type.
ARRAY, SCALAR = "array", "scalar"
_MARKS = {ARRAY, SCALAR}


def pack(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    """What JSON can hold of a value; arrays go into `tensors` under names that begin with `name`.

    Lists and tuples become lists. Raises TypeError, with the value's name, for other types than
    None, bool, int, float, str, list, tuple, dict by str, and arrays of numbers.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (list, tuple)):
        return [pack(item, _inside(name, i), tensors) for i, item in enumerate(value)]
    names = isinstance(value, dict) and all(type(key) is str for key in value)
    if names and not _MARKS & value.keys():
        return {key: pack(item, _inside(name, key), tensors) for key, item in value.items()}
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        a = np.asarray(value, value.dtype.newbyteorder("="), order="C")
        if a.dtype.itemsize <= 8:
            tensors[name] = a
            return {SCALAR if isinstance(value, np.generic) else ARRAY: name}
    raise TypeError(
        f"{name}: expected None, a bool, int, float, str, list, dict or array, so that it can be "
        f"saved, got {type(value).__name__}"
    )


def _inside(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)


def unpack(packed: Any, tensors: dict[str, Array]) -> Any:
    """The opposite of `pack`. Raises KeyError if a tensor is missing."""
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    if packed.keys() <= _MARKS and len(packed) == 1:
        ((mark, name),) = packed.items()
        return tensors[name][()] if mark == SCALAR else tensors[name].copy()
    return {key: unpack(item, tensors) for key, item in packed.items()}
