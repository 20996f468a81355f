"""What a pass does with each recurrence: its arguments and outputs, and directions side by side."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from crnn._engine import kernels
from crnn._engine.recurrence import CellGradients, CellInputs
from crnn._network.buffers import Buffers
from crnn._network.config import Config, Recurrence
from crnn.reference import Array

_NONE: Mapping[str, Array] = MappingProxyType({})
#: The arrays (m, n_a) that each recurrence carries from step to step, named in the table of cells.
State = list[tuple[Array, ...]]


def final_state(a: Array, of: CellInputs) -> Array:
    """The state (m, n_a) after the last step read, which is step 0 if read from right to left.

    It is a view of `a` if all examples end at the same step.
    """
    t = 0 if of.reverse else -1
    state: Array = a[t]
    if of.lengths is not None and not of.reverse:
        state = a[of.lengths - 1, np.arange(a.shape[1])]
    return state


def inputs_of(
    config: Config,
    place: Recurrence,
    parameters: dict[str, Array],
    x: Array,
    lengths: Array | None,
    start: tuple[Array, ...] | None,
    seed: int | None,
) -> CellInputs:
    own, (a0, c0) = place.of(parameters), (*(start or ()), None, None)[:2]
    rule = config.rule if seed is None else config.rule._replace(noise=config.noise, seed=seed)
    return CellInputs(
        x, own["Waa"], own["Wax"], own["ba"], own.get("baa"), a0, c0, lengths, place.reverse, rule
    )


def zeros(name: str, shape: tuple[int, ...], buffers: Buffers) -> Array:
    """An array of zeros."""
    found = buffers.array(name, shape)
    found.fill(0)
    return found


def gradients_of(
    own: dict[str, Array], dx: Array | None, d0: Mapping[str, Array] = _NONE
) -> CellGradients:
    """The arrays that a backward call fills; d0 are those of trained initial states."""
    return CellGradients(
        own["Waa"], own["Wax"], own["ba"], own.get("baa"), dx, d0.get("a0"), d0.get("c0")
    )


def rate(config: Config, a: Array, name: str, buffers: Buffers) -> Array:
    """What a recurrence gives to the layer above: its states, or with "current" f of them."""
    if config.equation != "current":
        return a
    rates = buffers.array(name, a.shape)  # (T, m, n_a)
    rates[...] = a
    kernels.activate(config.relu, rates.reshape(-1))
    return rates


def rate_backward(config: Config, rates: Array, drates: Array | None) -> Array | None:
    """The gradient of the states from that of their `rate`, computed in place."""
    if config.equation == "current" and drates is not None:
        kernels.activate_backward(config.relu, rates.reshape(-1), drates.reshape(-1))
    return drates


def side_by_side(parts: list[Array], name: str, buffers: Buffers) -> Array:
    """The arrays of both directions in one array. With one direction it is that array itself."""
    if len(parts) == 1:
        return parts[0]
    *leading, n_a = parts[0].shape
    both = buffers.array(name, (*leading, len(parts) * n_a))
    return np.concatenate(parts, axis=-1, out=both)


def apart(both: Array, n: int, buffers: Buffers) -> list[Array]:
    """The opposite of `side_by_side`: the gradient of each direction, from (..., n n_a)."""
    if n == 1:
        return [both]
    *leading, width = both.shape
    parts = np.split(both, n, axis=-1)
    apart = [buffers.array(f"da {i}", (*leading, width // n)) for i in range(n)]
    for part, own in zip(parts, apart, strict=True):
        own[...] = part
    return apart
