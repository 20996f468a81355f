from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

class Stepper:
    a: _Array
    def __init__(
        self, m: int, weights: list[_Array], biases: _Array, relu: bool, softmax: bool
    ) -> None: ...
    def step(self, y: _Array, x: _Array | None, symbols: _Array | None) -> None: ...
