"""The states that a pass begins from and ends with, as callers give and get them.

Inside, a state is a list of tuples of arrays (m, n_a), one tuple for each layer and direction:
`recurrences.State`. Outside, the items are arrays, or pairs (a, c) of an LSTM, as `Stream.state`
has them, so that the state a call returns is what the next call begins from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.layers import Trace
from crnn._network.recurrences import State
from crnn.reference import Array


def checked_state(config: Config, name: str, value: Any, m: int) -> State:
    """The caller's state of m examples, as copies.

    A model of one layer and direction whose state is one array also takes that array itself.
    Raises ValueError or TypeError if it does not fit.
    """
    names, n = config.kind.states, len(config.recurrences())
    if len(names) == n == 1 and len(getattr(value, "shape", ())) == 2:
        return [(_array(config, name, value, m),)]
    what = "arrays" if len(names) == 1 else f"pairs ({', '.join(names)})"
    of = "one per layer" + (" and direction" if config.num_directions > 1 else "")
    found: State = []
    for i, item in enumerate(_items(name, value, n, f"{n} {what}, {of}")):
        if len(names) == 1:
            found.append((_array(config, f"{name}[{i}]", item, m),))
            continue
        pair = _items(f"{name}[{i}]", item, len(names), f"a pair ({', '.join(names)})")
        found.append(
            tuple(_array(config, f"{name}[{i}][{k}]", part, m) for k, part in enumerate(pair))
        )
    return found


def shown_state(state: State) -> list[Any]:
    """The state as callers get it."""
    return [item[0] if len(item) == 1 else item for item in state]


def _items(name: str, value: Any, n: int, expected: str) -> list[Any]:
    try:
        items = list(value)
    except TypeError:
        raise TypeError(f"{name}: expected {expected}, got {type(value).__name__}") from None
    if len(items) != n:
        raise ValueError(f"{name}: expected {expected}, got {len(items)}")
    return items


def _array(config: Config, name: str, value: Any, m: int) -> Array:
    array = validate.array(name, value, config.np_dtype, like="the model", m=m, n_a=config.n_a)
    return array.copy()


class FinalStates:
    """The states after the last step of all examples, which passes over some of them fill in."""

    def __init__(self, config: Config, m: int) -> None:
        shape = (m, config.n_a)
        self._state: State = [
            tuple(np.zeros(shape, config.np_dtype) for _ in config.kind.states)
            for _ in config.recurrences()
        ]

    def add(self, trace: Trace, examples: Array | None) -> None:
        """Copy the states of a pass over these examples, all by default."""
        at = slice(None) if examples is None else examples
        for into, final in zip(self._state, trace.final_states(), strict=True):
            for array, values in zip(into, final, strict=True):
                array[at] = values

    def shown(self) -> list[Any]:
        """The state as callers get it."""
        return shown_state(self._state)
