from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]
#: Kind, memory, the arrays `first` and `second`, and numbers: see `updates.read_rule`.
_Optimizer = tuple[str, dict[str, Any], _Array | None, _Array | None, tuple[float, ...]]
#: Of x, y and weights: addresses, bytes of a row and of a step, a batch, and what is held.
_Data = list[tuple[_Array, int, int, _Array, list[_Array]] | None]

class Steps:
    def __init__(
        self,
        cells: list[Any],
        starts: list[Any],
        between: list[_Array],
        reads: list[Any],
        head: tuple[_Array | None, ...],
        flat: tuple[_Array, ...],
        loss: tuple[int, _Array],
        data: _Data,
        lengths: _Array | None,
        every_step: bool,
        noise: float,
        dropout: float,
        constraints: tuple[_Array, ...] | None,
        total: _Array | None,
    ) -> None: ...
    def set_data(self, data: _Data) -> None: ...
    def run(
        self,
        optimizer: _Optimizer,
        order: _Array,
        batches: _Array,
        groups: _Array,
        rates: _Array,
        seeds: _Array,
        origin: str,
        carry: bool,
        most: float,
        limit: float,
        sums: _Array,
    ) -> tuple[int, str]: ...
