from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]
_Gradients = tuple[_Array, _Array, _Array, _Array | None, _Array | None]

class Segment:
    def place(self, t0: int, first: bool, last: bool) -> Segment: ...

def rnn_forward(
    x: Any,
    Waa: Any,
    Wax: Any,
    ba: Any,
    a0: Any,
    lengths: Any,
    reverse: Any,
    activation: Any,
    out: Any,
) -> _Array | None: ...
def rnn_backward(
    da: Any,
    a: Any,
    x: Any,
    Waa: Any,
    Wax: Any,
    a0: Any,
    lengths: Any,
    reverse: Any,
    activation: Any,
    need_dx: Any,
    into: _Gradients | None,
    da_n: Any = None,
    norms: _Array | None = None,
) -> Any: ...
def lengths_of(batch_sizes: _Array) -> tuple[_Array, _Array]: ...
def cell_forward(
    inputs: Any,
    keep: bool | _Array,
    out: _Array | None,
    packed: dict[tuple[int, int], _Array] | None,
    segment: Segment | None = None,
) -> Any: ...
def units_of_a_block(inputs: Any) -> int: ...
def cell_backward(
    inputs: Any,
    states: Any,
    da: _Array | None,
    need_dx: bool,
    into: Any,
    da_n: _Array | None,
    dc_n: _Array | None,
    norms: _Array | None = None,
    segment: Segment | None = None,
) -> Any: ...
def segment_sizes(
    cell: str,
    equation: str,
    shape: tuple[int, int, int, int],
    symbols: bool,
    lengths: bool,
    double_precision: bool,
) -> tuple[int, int, int, int, int]: ...
