"""Recurrences over a sequence in segments: few states are kept, the others are computed again.

The bits are those of one call over all steps. Forward, a state does not depend on where a call
begins. Backward, segments begin where the kernels' chunks do, and a `Segment` carries the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from crnn._engine import recurrence
from crnn._engine.recurrence import CellInputs, Packed, States
from crnn._engine.sequence import Segment
from crnn._network import recurrences
from crnn._network.config import Recurrence
from crnn._network.memory import MemoryPlan, pieces
from crnn._network.passes import Pass, sum_of_start
from crnn._network.penalties import RateCosts
from crnn._network.segments import Window
from crnn.reference import Array

#: Takes the outputs (steps, m, n_a) of a window, or the gradients of its inputs.
Sink = Callable[[Window, Array], None]

#: Gives dL/da (steps, m, n_a) of a window's outputs, which are its second argument.
Above = Callable[[Window, Array], Array]


class Kept(NamedTuple):
    """A segment's arrays, one of each per recurrence, valid until the next segment runs."""

    inputs: list[CellInputs]
    states: list[States]
    outputs: list[Array]  # (steps, m, n_a)


class Entry(NamedTuple):
    """A kept state: of which segment it is the start, and the levels left for what follows."""

    segment: int
    levels: int
    state: list[tuple[Array, ...] | None]  # of each recurrence; None for zeros


class Stack:
    """Recurrences in one direction, each reading the states of the one below.

    Segment j has the steps from begins[j] on. A call begins one step earlier, at `_starts[j]`,
    because backward reads the states of the step before: see `crnn_segment` in the kernels' header.
    """

    def __init__(self, run: Pass, places: dict[int, Recurrence], plan: MemoryPlan) -> None:
        self._run, self._config, self._buffers = run, run.config, run.buffers
        self._places, self._plan = places, plan
        self._begins = [*plan.begins, plan.T]
        self._starts = [0, *(begin - 1 for begin in plan.begins[1:]), plan.T]
        self._longest = plan.steps + (len(plan.begins) > 1)  # with the step before
        first = [run.start(k, place, plan.m) for k, place in places.items()]
        self._entries = [Entry(0, plan.levels, first)]
        self._kept: Kept | None = None
        self._packed: list[Packed] = [{} for _ in places]
        self._segments = [Segment() for _ in places]
        self._reverse = next(iter(places.values())).reverse

    def forward(self, x: Array, sink: Sink | None = None) -> Array:
        """Run over all of x (T, m, n), and return each example's last output (m, n_a).

        `sink` gets the outputs of all steps, a window at a time.
        """
        final = np.zeros((self._plan.m, self._config.n_a), self._config.np_dtype)

        def collect(window: Window, a: Array) -> None:
            self._last_states(window, a, final)
            if sink is not None:
                sink(window, a)

        self._sweep(x, len(self._plan.begins), collect)
        return final

    def forget(self) -> None:
        """The arrays of the last segment are no longer valid: another stack has used them."""
        self._kept = None

    def backward(
        self,
        x: Array,
        da: Above | None,
        da_n: Array | None,
        gradients: dict[str, Array],
        sink: Sink | None = None,
        costs: RateCosts | None = None,
    ) -> None:
        """Fill `gradients`. `sink` gets dx, a window at a time, and `costs` the rates.

        da gives dL/da of the top's outputs in a window; da_n (m, n_a) is that of the last outputs.
        """
        end = len(self._plan.begins)
        while end > 0:
            if self._kept is None:
                self._sweep(x, end, None)
            self._backward_segment(end - 1, da, da_n, gradients, sink, costs)
            self._kept = None
            end -= 1
            while self._entries and self._entries[-1].segment == end:
                self._entries.pop()

    def _sweep(self, x: Array, end: int, collect: Sink | None) -> None:
        """Run from the last kept state to segment `end`; the last segment is kept for backward."""
        first, levels, state = self._entries[-1]
        marks = _marks(first, end, levels)
        for j in range(first, end):
            if j in marks:
                self._entries.append(Entry(j, marks[j], state))
            last = j == end - 1
            window = self._window(self._starts[j], (self._begins if last else self._starts)[j + 1])
            kept = self._run_window(x, window, state, last)
            if collect is not None:
                collect(window, kept.outputs[-1])
            if last:
                self._kept = kept
            else:
                state = [self._state_after(window, states) for states in kept.states]
            del kept  # before the next one, because two would raise the peak

    def _window(self, begin: int, end: int) -> Window:
        return Window(self._plan.T, self._reverse, self._run.lengths, begin, end)

    def _array(self, name: str, steps: int, n: int) -> Array:
        """An array (steps, m, n), of memory that suffices for the longest segment."""
        return self._buffers.array(name, (self._longest, self._plan.m, n))[:steps]

    def _run_window(
        self, x: Array, window: Window, state: list[tuple[Array, ...] | None], keep: bool
    ) -> Kept:
        """Every recurrence over the steps of a window, from the states before it."""
        config, found = self._config, Kept([], [], [])
        below, lengths = window.of(x), window.own_lengths
        for i, (k, place) in enumerate(self._places.items()):
            if i > 0 and self._run.dropout is not None:
                read = self._array(f"dropped {i}", window.steps, config.n_a)
                ends = self._ends(window)
                below = self._run.dropout.apply(place.layer, below, read, window.t0, ends)
            inputs = self._run.inputs(k, place, below, lengths, state[i])
            a = self._array(f"a {i}", window.steps, config.n_a)
            kept: bool | Array = False
            if keep and config.kind.kept:
                rows = window.steps * self._plan.m if lengths is None else _rows(window, lengths)
                n = config.kind.kept * config.n_a
                kept = self._array(f"kept {i}", window.steps, n).reshape(-1)[: rows * n]
            segment = None  # for a call of one step, which has products of its own in the kernels
            if self._plan.T > 1:
                segment = self._segments[i].place(window.t0, False, False)
            states = recurrence.cell_forward(inputs, kept, a, self._packed[i], segment)
            if config.equation == "current":
                self._array(f"rate {i}", window.steps, config.n_a)  # as large as it will be
            below = recurrences.rate(config, a, f"rate {i}", self._buffers)
            found.inputs.append(inputs)
            found.states.append(states)
            found.outputs.append(below)
        return found

    def _state_after(self, window: Window, states: States) -> tuple[Array, ...]:
        """A copy of the states after the last step of a window, where examples still run."""
        a = states.a[0 if self._reverse and self._run.lengths is None else -1].copy()
        return (a,) if states.c_n is None else (a, states.c_n)

    def _ends(self, window: Window) -> Array | None:
        """The lengths counted from the window's begin, where its steps are in reading order."""
        return window.own_lengths if self._reverse else None

    def _last_states(self, window: Window, a: Array, final: Array) -> None:
        """Copy the outputs of the examples that end within a window."""
        lengths = window.own_lengths
        if lengths is None:
            final[...] = a[0 if self._reverse else -1]
        else:
            ends = np.flatnonzero((lengths > 0) & (lengths <= window.steps))
            final[ends] = a[lengths[ends] - 1, ends]

    def _backward_segment(
        self,
        j: int,
        da: Above | None,
        da_n: Array | None,
        gradients: dict[str, Array],
        sink: Sink | None,
        costs: RateCosts | None,
    ) -> None:
        assert self._kept is not None
        config, first, last = self._config, j == 0, j == len(self._plan.begins) - 1
        window = self._window(self._starts[j], self._begins[j + 1])
        own = self._window(self._begins[j], self._begins[j + 1])  # without the step before
        steps = slice(window.steps - own.steps, None)
        falling = self._reverse and self._run.lengths is None  # t, while steps are read
        if falling:
            steps = slice(own.steps)
        above = None if da is None else da(window, self._kept.outputs[-1])  # (steps, m, n_a)
        items = [*enumerate(self._places.items())]
        for i, (k, place) in reversed(items):
            inputs, states = self._kept.inputs[i], self._kept.states[i]
            rates = self._kept.outputs[i]
            dx = None
            if i > 0 or sink is not None:
                dx = self._array(f"dx {i}", window.steps, place.n_in)
            of, d0 = place.of(gradients), {}
            if first:
                d0 = self._run.start_gradients(self._plan.m)
            into = recurrences.gradients_of(of, dx, d0)
            if costs is not None:
                if above is None:
                    above = self._array("drate", window.steps, config.n_a)
                    above.fill(0)
                costs.add(k, rates[steps], above[steps], rising=falling)
            above = recurrences.rate_backward(config, rates, above)
            segment = self._segments[i].place(window.t0, first, last)
            recurrence.cell_backward(inputs, states, above, into=into, da_n=da_n, segment=segment)
            sum_of_start(of, d0, self._run.continued)
            if i > 0 and dx is not None and self._run.dropout is not None:
                self._run.dropout.apply(place.layer, dx, dx, window.t0, self._ends(window))
            above, da_n = dx, None
        if sink is not None:
            assert above is not None
            sink(own, above[steps])


def _marks(first: int, end: int, levels: int) -> dict[int, int]:
    """The segments after `first` whose start is kept on the way to `end`, and the levels left."""
    n = end - first
    if n <= 1 or levels == 0:
        return {}
    groups = pieces(n, levels)
    begins = [first + n * i // groups for i in range(1, groups)]
    return dict.fromkeys(begins, levels - 1) | _marks(begins[-1], end, levels - 1)


def _rows(window: Window, lengths: Array) -> int:
    """The valid steps of all examples in a window."""
    return int(lengths.clip(0, window.steps).sum())
