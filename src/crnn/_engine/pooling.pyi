from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

def pool(
    a: _Array,
    lengths: _Array | None,
    first: int,
    falling: bool,
    last_wins: bool,
    sums: _Array | None,
    largest: _Array | None,
    at: _Array | None,
) -> None: ...
def unpool(
    da: _Array,
    lengths: _Array | None,
    first: int,
    dmean: _Array | None,
    dlargest: _Array | None,
    at: _Array | None,
) -> None: ...
