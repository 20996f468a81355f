"""Where the batches of compiled steps begin and end: see `crnn._engine.steps`."""

from __future__ import annotations

from typing import Any

from crnn._network.recurrences import State
from crnn._training.compiled_arrays import examples_of
from crnn._training.compiled_batches import ExampleBatches, WindowBatches
from crnn._training.trainer import Trainer
from crnn.reference import Array


class BatchStates:
    """The states before the first and after the last step of a batch, in the compiled arrays.

    `cells` are those of `arrays_of`, and `starts` is what `steps.Steps` takes.
    """

    def __init__(
        self, trainer: Trainer, batches: ExampleBatches | WindowBatches, cells: list[Any]
    ) -> None:
        self._given, self._carry = batches.start is not None, batches.carry
        self.starts = _starts_of(trainer, batches.m, batches.start, batches.carry)
        self._ends = [(cell[1], cell[3]) for cell in cells]  # a (T, m, n_a) and c_n

    def begin(self, state: State | None) -> str:
        """Where the first batch of a call begins, as `Steps.run` takes it; a state is set there."""
        if self._given:
            return "given"
        if state is None:
            return "own"
        arrays = (array for item in state for array in item)
        for (_, _, value, *_), array in zip(self.starts, arrays, strict=True):
            value[...] = array
        return "set"

    def of_last(self, state: State | None, places: Array) -> tuple[State | None, State | None]:
        """The states before and after the last batch of a call, if they are carried.

        The call began from `state`, and had batches in these places.
        """
        if not self._carry:
            return None, None
        last = int(places[-1, 3]) - 1
        after: State = [
            (a[last].copy(),) if c_n is None else (a[last].copy(), c_n.copy())
            for a, c_n in self._ends
        ]
        if state is None and len(places) == 1:
            return None, after
        found: list[list[Array]] = [[] for _ in after]
        for k, _, value, *_ in self.starts:
            found[k].append(value.copy())
        return [tuple(arrays) for arrays in found], after


def _starts_of(trainer: Trainer, m: int, given: State | None, carry: bool) -> list[Any]:
    """Where the m examples of a batch may begin, as `steps.Steps` takes it.

    `given` are the states of all examples, and `carry` says whether those of a batch may be set.
    """
    network, gradients, buffers = trainer.network, trainer.gradients.views, trainer.buffers
    config, starts = network.config, []
    for k, place in enumerate(config.recurrences()):
        own, own_gradients = place.of(network.parameters), place.of(gradients)
        for i, state in enumerate(config.kind.states):
            name = f"{state}0"
            trained, dtrained = own.get(name), own_gradients.get(name)
            if trained is None and given is None and not carry:
                continue
            shape, examples = (m, config.n_a), None
            if given is None:
                value = buffers.array(f"{name} {k}", shape)
            else:
                examples = examples_of(given[k][i], len(given[k][i]), None, m)
                value = examples[3]
            dvalue = None if trained is None else buffers.array(f"d{name} {k}", shape)
            starts.append((k, state == "c", value, trained, dvalue, dtrained, examples))
    return starts
