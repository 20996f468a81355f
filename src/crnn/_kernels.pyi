from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

def select(name: str | None = None) -> str: ...
def rnn_forward(
    Waa: _Array,
    Wax: _Array,
    ba: _Array,
    x: _Array | None,
    symbols: _Array | None,
    table: _Array | None,
    a0: _Array | None,
    lengths: _Array | None,
    reverse: bool,
    relu: bool,
    a: _Array,
) -> None: ...
def rnn_backward(
    Waa: _Array,
    Wax: _Array,
    da: _Array,
    a: _Array,
    x: _Array | None,
    symbols: _Array | None,
    a0: _Array | None,
    lengths: _Array | None,
    reverse: bool,
    relu: bool,
    dz: _Array,
    first: _Array,
    dWaa: _Array,
    dWax: _Array,
    dtable: _Array | None,
    dba: _Array,
    dx: _Array | None,
    da0: _Array | None,
) -> None: ...
def output_forward(Wya: _Array, by: _Array, a: _Array, logits: _Array) -> None: ...
def output_backward(
    Wya: _Array,
    dlogits: _Array,
    a: _Array,
    dWya: _Array,
    dby: _Array,
    da: _Array,
) -> None: ...
