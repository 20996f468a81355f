"""The states that the recurrences begin from, and the gradients of those that are trained."""

from __future__ import annotations

from crnn._engine import kernels
from crnn._network.buffers import Buffers
from crnn._network.config import Config, Recurrence
from crnn._network.recurrences import State
from crnn.reference import Array


def start_of(
    config: Config,
    place: Recurrence,
    parameters: dict[str, Array],
    state: State | None,
    m: int,
    k: int,
    buffers: Buffers,
) -> tuple[Array, ...] | None:
    """The states (m, n_a) before the first step of recurrence k, or None for zeros.

    Those given in `state`, or else the trained ones, which are the same for all examples.
    """
    if state is not None:
        return state[k]
    own, found = place.of(parameters), []
    for name in config.trained_states:
        found.append(buffers.array(f"{name} {k}", (m, config.n_a)))
        found[-1][...] = own[name]
    return tuple(found) or None


def of_start(config: Config, m: int, buffers: Buffers) -> dict[str, Array]:
    """Arrays (m, n_a) for the gradients of a recurrence's initial states, if they are trained."""
    return {name: buffers.array(f"d{name}", (m, config.n_a)) for name in config.trained_states}


def sum_of_start(
    own: dict[str, Array], d0: dict[str, Array], continued: bool, fresh: Array | None = None
) -> None:
    """Fill the gradients of a recurrence's trained states, one for all examples, from `of_start`.

    A pass that `continued` from a given state began from the trained ones at no example, or at
    those of `fresh` (m,).
    """
    for name, d in d0.items():
        if continued:
            d = d[:0] if fresh is None else d[fresh]
        kernels.sum_rows(d, own[name])
