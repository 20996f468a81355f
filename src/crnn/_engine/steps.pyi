from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

class Rule:
    def __init__(
        self,
        kind: str,
        memory: dict[str, Any],
        first: _Array | None,
        second: _Array | None,
        numbers: tuple[float, ...],
    ) -> None: ...

class Steps:
    def __init__(
        self,
        layers: list[Any],
        head: tuple[_Array, ...],
        flat: tuple[_Array, ...],
        data: tuple[_Array, _Array, _Array | None],
        batch: tuple[_Array, _Array, _Array | None],
    ) -> None: ...
    def run(
        self, rule: Rule, order: _Array, first: int, rates: _Array, most: float, sums: _Array
    ) -> tuple[int, str]: ...
