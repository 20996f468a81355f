from typing import Any

from numpy import dtype, ndarray

Array = ndarray[Any, dtype[Any]]

def advance(
    Waa: Array,
    keep: Array,
    gates: Array,
    read: Array | None,
    through: Array | None,
    Q: Array,
    growth: Array,
    interval: int,
) -> int: ...
