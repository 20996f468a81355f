from typing import Any

from numpy import dtype, ndarray

_Array = ndarray[Any, dtype[Any]]

def select(name: str | None = None) -> str: ...
def limit_threads(address: int) -> None: ...
def tanh(z: _Array) -> None: ...
def activate(relu: bool, z: _Array) -> None: ...
def activate_backward(relu: bool, a: _Array, da: _Array) -> None: ...
def output_forward(Wya: _Array, by: _Array, a: _Array, logits: _Array) -> None: ...
def output_backward(
    Wya: _Array,
    dlogits: _Array,
    a: _Array,
    dWya: _Array,
    dby: _Array,
    da: _Array | None,
) -> None: ...
def sum_rows(dy: _Array, db: _Array) -> None: ...
def softmax(logits: _Array) -> None: ...
def cross_entropy(
    logits: _Array, y: _Array, weights: _Array | None = None
) -> tuple[float, float]: ...
def clip(gradients: _Array, most: float) -> float: ...
def same_bits(a: _Array, b: _Array) -> bool: ...
def all_finite(numbers: _Array) -> bool: ...
def count_beyond(values: _Array, low: float, high: float) -> tuple[int, int]: ...
def penalise(
    rates: _Array,
    l2: float,
    l1: float,
    shares: _Array,
    drates: _Array,
    sums: _Array,
    rising: bool,
) -> None: ...
def sgd(
    parameters: _Array, gradients: _Array, velocity: _Array | None, lr: float, momentum: float
) -> None: ...
def adam(
    parameters: _Array,
    gradients: _Array,
    mean: _Array,
    square: _Array,
    beta1: float,
    beta2: float,
    rate: float,
    root: float,
    eps: float,
) -> None: ...
def rmsprop(
    parameters: _Array,
    gradients: _Array,
    square: _Array,
    velocity: _Array | None,
    lr: float,
    decay: float,
    eps: float,
    momentum: float,
) -> None: ...
