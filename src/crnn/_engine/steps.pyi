from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]
#: Kind, memory, the arrays `first` and `second`, and numbers: see `updates.read_rule`.
_Optimizer = tuple[str, dict[str, Any], _Array | None, _Array | None, tuple[float, ...]]

class Steps:
    def __init__(
        self,
        cells: list[Any],
        between: list[_Array],
        reads: list[Any],
        head: tuple[_Array | None, ...],
        flat: tuple[_Array, ...],
        loss: tuple[int, _Array],
        data: list[tuple[_Array, int, int, _Array, list[_Array]] | None],
        lengths: _Array | None,
        every_step: bool,
        noise: float,
        dropout: float,
        constraints: tuple[_Array, ...] | None,
    ) -> None: ...
    def run(
        self,
        optimizer: _Optimizer,
        order: _Array,
        begins: _Array,
        rates: _Array,
        seeds: _Array,
        most: float,
        limit: float,
        sums: _Array,
    ) -> tuple[int, str]: ...
