from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

KINDS: dict[str, int]
SQUARED: int
ABSOLUTE: int
HUBER: int
BINARY: int

def of_values(
    kind: int, logits: _Array, y: _Array, weights: _Array | None, delta: float = 0
) -> tuple[float, float]: ...
def pinball(
    logits: _Array, y: _Array, levels: _Array, weights: _Array | None
) -> tuple[float, float]: ...
def gaussian(logits: _Array, y: _Array, weights: _Array | None) -> tuple[float, float]: ...
def sigmoid(logits: _Array) -> None: ...
