"""Plans of backward passes in little memory: which states are kept, and what is recomputed.

With a plan, a pass keeps the states at the beginnings of its segments and the arrays of one segment
(Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). With several levels, segments
form groups, and groups form larger ones: the states inside a group are computed when backward
reaches it (a simple case of what Gruslys et al. 2016, "Memory-Efficient Backpropagation Through
Time", find the optimum of).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._network.costs import Costs
from crnn._network.penalties import Penalty, checked
from crnn._network.segments import grouped
from crnn.reference import Array

if TYPE_CHECKING:
    from crnn._network.model import Model

#: The argument `memory`: None keeps everything, a number is one of bytes.
MemoryLimit = int | Literal["sqrt"] | None

#: More levels save little: at 8, a sequence of 10^6 segments has 48 of their states.
MOST_LEVELS = 8

#: Lengths of segments that are tried: a factor of 2^(1/4) apart.
_FACTOR = 2**0.25


def checked_memory(memory: Any) -> MemoryLimit:
    """The argument `memory`: None, "sqrt" or a number of bytes."""
    if memory is None:
        return None
    if isinstance(memory, str) and memory == "sqrt":
        return "sqrt"
    expected = f"memory: expected None, 'sqrt' or a number of bytes, got {validate.shown(memory)}"
    if isinstance(memory, (bool, np.bool_)) or not isinstance(memory, (int, np.integer)):
        raise (ValueError if isinstance(memory, str) else TypeError)(expected)
    if memory < 1:
        raise ValueError(expected)
    return int(memory)


@dataclass(frozen=True)
class MemoryPlan:
    """How a backward pass over T steps of m examples fits in memory.

    The bytes are those of arrays beyond x, y, the parameters and their gradients. Printing a plan
    shows them.

    Attributes
    ----------
    T, m : int
        Steps and examples.
    begins : tuple of int
        The steps at which segments begin, in the order in which steps are read.
    levels : int
        How often a state is recomputed at most, but for those of the last segment.
    states : int
        Bytes of the states that are kept at one time, at the beginnings of segments.
    segment : int
        Bytes of the arrays of the longest segment.
    whole : int
        Bytes of what is kept of every step: with steps="all" the features and logits, and of
        bidirectional models the outputs of all layers but the last, with their gradients.
    workspace : int
        Bytes of the kernels' scratch memory, of the sums that backward carries and, with one answer
        for each example, of the output layer's arrays.
    peak : int
        The sum of these.
    without : int
        The bytes of a pass that keeps everything.

    Examples
    --------
    >>> import crnn
    >>> plan = crnn.plan_memory(crnn.RNN(8, 64, 2, rng=0), T=100_000, m=1, memory=4_000_000)
    >>> plan.begins[0], plan.levels, plan.peak <= 4_000_000
    (0, 1, True)
    """

    T: int
    m: int
    begins: tuple[int, ...]
    levels: int
    states: int
    segment: int
    whole: int
    workspace: int
    without: int

    @property
    def peak(self) -> int:
        """The most bytes at one time."""
        return self.states + self.segment + self.whole + self.workspace

    @property
    def steps(self) -> int:
        """The steps of the longest segment."""
        return int(np.diff([*self.begins, self.T]).max())

    def __str__(self) -> str:
        *others, last = np.diff([*self.begins, self.T])
        shape = f"T = {self.T}, m = {self.m}: "
        if not others:
            shape += "one segment, nothing is recomputed"
        else:
            times = "once" if self.levels == 1 else f"{self.levels} times"
            shape += f"{len(others)} segments of at most {max(others)} steps, recomputed {times}, "
            shape += f"and a last one of {last}"
        parts = [
            ("states at the beginnings of segments", self.states),
            ("one segment", self.segment),
            ("what is kept of every step", self.whole),
            ("workspace and sums", self.workspace),
            ("peak beyond x, y and parameters", self.peak),
            ("without `memory`", self.without),
        ]
        lines = [f"  {name:<37} {size / 2**20:10.2f} MiB" for name, size in parts]
        return "\n".join([shape, *lines])


def plan(
    config: Config,
    T: int,
    m: int,
    memory: int | Literal["sqrt"],
    lengths: Array | None = None,
    symbols: bool = False,
    penalty: Penalty | None = None,
) -> MemoryPlan:
    """The plan for a batch: with "sqrt" that of the lowest peak at one level, else the fastest one.

    Raises ValueError if the bytes do not suffice for any.
    """
    if lengths is None:
        return _plan_of_equal(config, T, m, memory, symbols, penalty)
    return _plan(Costs(config, T, m, lengths, symbols, penalty), memory)


@functools.lru_cache(maxsize=32)
def _plan_of_equal(
    config: Config,
    T: int,
    m: int,
    memory: int | Literal["sqrt"],
    symbols: bool,
    penalty: Penalty | None,
) -> MemoryPlan:
    return _plan(Costs(config, T, m, None, symbols, penalty), memory)


def _plan(costs: Costs, memory: int | Literal["sqrt"]) -> MemoryPlan:
    T, m = costs.T, costs.m
    steps = [*range(T, 0, -1)] if T <= 64 else _falling(T)
    if memory == "sqrt":
        return min((_planned(costs, k, 1) for k in steps), key=lambda found: found.peak)
    least = costs.without
    for levels in range(1, MOST_LEVELS + 1):
        for most in steps:  # long segments first: the last one is not recomputed
            found = _planned(costs, most, levels)
            if found.peak <= memory:
                return found
            least = min(least, found.peak)
    raise ValueError(
        f"memory: expected at least {least} bytes for T = {T}, m = {m}, got {memory}; "
        "'sqrt' takes what it needs"
    )


def plan_memory(
    model: Model,
    T: int,
    m: int = 1,
    *,
    memory: Any = "sqrt",
    lengths: Any = None,
    symbols: bool = False,
    penalty: Penalty | None = None,
) -> MemoryPlan:
    """What `gradients` and `fit` do with the argument `memory`, before they do it.

    Parameters
    ----------
    model : RNN
    T, m : int
        Steps and examples of a batch.
    memory : int or "sqrt", optional
        As for `RNN.gradients`.
    lengths : integers (m,), optional
        The number of steps of each example.
    symbols : bool, optional
        Whether x has integers for one-hot rows.
    penalty : Penalty, optional
        As for `RNN.gradients`.

    Returns
    -------
    MemoryPlan
        Printing it shows the segments and the peak.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or `memory` does not suffice for any plan.

    Examples
    --------
    >>> import crnn
    >>> plan = crnn.plan_memory(crnn.RNN(8, 128, 2, rng=0), T=10000, m=32)
    >>> plan.peak < plan.without / 10
    True
    >>> print(str(plan).splitlines()[0])
    T = 10000, m = 32: 104 segments of at most 96 steps, recomputed once, and a last one of 96
    """
    T, m = validate.count("T", T), validate.count("m", m)
    limit = checked_memory(memory)
    if limit is None:
        raise ValueError("memory: expected 'sqrt' or a number of bytes, got None")
    own = validate.lengths_of(lengths, T, m, "lengths")
    validate.flag("symbols", symbols)
    if own is not None:
        T = int(own.max())
        own = None if (own == T).all() else own
    return plan(model.config, T, m, limit, own, symbols, checked(penalty))


def _falling(T: int) -> list[int]:
    """T and smaller lengths, down to 1."""
    lengths, length = [T], float(T)
    while length > 1:
        length /= _FACTOR
        if int(length) < lengths[-1]:
            lengths.append(max(int(length), 1))
    return lengths


def _planned(costs: Costs, most: int, levels: int) -> MemoryPlan:
    """The plan of so many levels with segments of at most `most` steps."""
    T, m = costs.T, costs.m
    begins = grouped(costs.begins, T, most)
    n = len(begins)
    steps = np.diff([*begins, T])
    longest = int(steps.max()) + (n > 1)  # with the step before
    shortest = max(int(steps.min()) - 1, 1)  # of forward calls
    states = 2  # the one before a segment, and that after it
    if n > 1:
        states += levels * (pieces(n, levels) - 1)
    return MemoryPlan(
        T,
        m,
        tuple(begins),
        levels,
        states * costs.state() + costs.start(),
        longest * m * costs.per_step(),
        T * m * costs.whole_per_step() + costs.head(),
        costs.workspace(shortest, longest) + costs.answers(),
        costs.without,
    )


def pieces(segments: int, levels: int) -> int:
    """Into how many groups a level divides segments that have so many levels left."""
    if levels <= 1:
        return segments
    found = 1
    while found**levels < segments:
        found += 1
    return found
