"""A network's answers to many sequences: computed in groups, returned in the caller's order."""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._network.layers import Trace
from crnn._network.losses import UNDECIDED
from crnn._network.memory import MemoryLimit
from crnn._network.network import Network
from crnn._network.noise import seed_for_noise
from crnn._network.state import FinalStates
from crnn.reference import Array


def answers(
    network: Network,
    sequences: Sequences,
    decide: bool = False,
    noise: np.random.Generator | None = None,
    finals: FinalStates | None = None,
) -> Array | list[Array]:
    """y_hat, or with `decide` the classes or values of `predict`, in the shape of targets.

    `noise` draws a seed for the noise of each pass; without it there is none. `finals` is filled
    with the final states.

    Answers past an example's length are 0. Raises ValueError if a class cannot be decided because
    the answer is NaN.
    """
    places = _Places(sequences, network.config.every_step)
    result: Array | None = None  # (rows, n_y), or (rows,) of classes
    buffers = network.new_buffers()
    for chosen in sequences.groups():
        seed = seed_for_noise(noise)
        trace = network.forward(sequences.batch(chosen), None, buffers, noise=seed)
        if finals is not None:
            finals.add(trace, chosen)
        found = network.loss.y_hat(trace.logits)
        if decide:
            found = network.loss.decide(found)
        if chosen is None and len(found) == places.rows and not sequences.listed:
            result = found  # all of them in order: no copy is needed
            break
        if result is None:
            result = np.zeros((places.rows, *found.shape[1:]), found.dtype)
        result[places.of(trace, chosen)] = found
    assert result is not None
    if decide and network.loss.decides:
        places.require_classes(result)
    return places.shaped(result)


def finals_of(
    config: Config, sequences: Sequences, return_state: Any, memory: MemoryLimit = None
) -> FinalStates | None:
    """What collects the final states, if `return_state` asks for them."""
    asked = check_finals(sequences, return_state, memory)
    return FinalStates(config, sequences.m) if asked else None


def check_finals(sequences: Sequences, return_state: Any, memory: MemoryLimit) -> bool:
    """Whether `return_state` asks for final states. Raises ValueError if a call has none."""
    if not validate.flag("return_state", return_state):
        return False
    if sequences.leaves_out:
        raise ValueError(
            "return_state: expected False with a sample_weight that is 0 for an example, which is "
            "then not run"
        )
    if memory is not None:
        raise ValueError("return_state: expected False with memory, which keeps no states")
    return True


class _Places:
    """Which row of the result each answer belongs to.

    The rows are examples, or steps and examples (T, m) in one axis, or, for a list of sequences,
    the steps of its first example, then those of its second, and so on.
    """

    def __init__(self, sequences: Sequences, every_step: bool) -> None:
        self._m, self._every_step = sequences.m, every_step
        self._ends: Array | None = None  # the row after each example of a list
        if not every_step:
            self.rows = self._m
        elif sequences.listed:
            assert sequences.lengths is not None
            self._ends = np.cumsum(sequences.lengths)
            self._starts = self._ends - sequences.lengths
            self.rows = int(self._ends[-1])
        else:
            self._T = len(sequences.x)
            self.rows = self._T * self._m

    def of(self, trace: Trace, chosen: Array | None) -> Array:
        """The rows of the result for the rows of a pass over the chosen examples."""
        if chosen is None:
            chosen = np.arange(self._m)
        if not self._every_step:
            return chosen
        rows = np.arange(trace.steps * len(chosen)) if trace.counted is None else trace.counted
        t, i = np.divmod(rows, len(chosen))
        places: Array = t + self._starts[chosen[i]] if self._ends is not None else t * self._m
        if self._ends is None:
            places += chosen[i]
        return places

    def shaped(self, result: Array) -> Array | list[Array]:
        """The result in the shape of targets."""
        if not self._every_step:
            return result
        if self._ends is not None:
            return np.split(result, self._ends[:-1])
        return result.reshape(self._T, self._m, *result.shape[1:])

    def require_classes(self, classes: Array) -> None:
        """Raise ValueError if a class could not be decided."""
        undecided = (classes == UNDECIDED).reshape(len(classes), -1).any(axis=1)
        if not undecided.any():
            return
        row = int(undecided.argmax())
        if not self._every_step:
            place = f"example {row}"
        elif self._ends is not None:
            i = int(np.searchsorted(self._ends, row, side="right"))
            place = f"step {row - self._starts[i]} of x[{i}]"
        else:
            place = f"step {row // self._m} of example {row % self._m}"
        raise ValueError(f"predict: the model's answer to {place} is NaN, which is no class")
