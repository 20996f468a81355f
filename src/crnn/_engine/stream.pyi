from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

LINKS: dict[str, int]

class Stepper:
    def __init__(
        self,
        m: int,
        arrays: dict[str, list[_Array]],
        Wya: _Array,
        by: _Array,
        rule: Any,
        link: int,
    ) -> None: ...
    def step(self, x_t: _Array, out: _Array | None) -> _Array | None: ...
    def read_states(self) -> _Array: ...
    def write_states(self, a: _Array) -> None: ...
    def reset(self, rows: list[int]) -> None: ...
    def sample(
        self, logits: _Array, symbols: _Array, uniforms: _Array, temperature: float
    ) -> int: ...
