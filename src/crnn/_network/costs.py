"""The bytes of a pass, also of one that recomputes states: what a plan of `memory` is made of."""

from __future__ import annotations

import numpy as np

from crnn._engine import workspace
from crnn._engine.sequence import segment_sizes
from crnn._network.config import Config
from crnn._network.penalties import Penalty
from crnn._network.segments import STRETCH, chunk_begins
from crnn.reference import Array


def streams(config: Config) -> bool:
    """Whether the output layer at every step reads a segment at a time (`StreamedHead`)."""
    return config.every_step and config.direction == "forward"


def bytes_per_step(config: Config, backward: bool, penalty: Penalty | None = None) -> int:
    """The most bytes that a pass allocates for each step of each example, not counting x.

    Index arrays and temporaries of the loss are included. The C workspace is not, because its size
    does not grow with the number of steps.
    """
    size, width = config.np_dtype.itemsize, config.width
    states = config.num_layers * width  # the a of every recurrence
    if config.equation == "current":
        states *= 2  # and its rates
    above, both = config.num_layers - 1, config.num_directions > 1
    if both:
        states += above * width  # both directions side by side, as input
    if backward:
        states += config.num_layers * width * config.kind.kept
        if penalty is not None and penalty.of_rates and not (config.every_step or config.pools):
            states += config.n_a  # the gradient of the rates
        states += above * width * (config.dropout > 0)  # what is left of a layer's outputs
        # dx of each recurrence above the lowest layer, and its directions in arrays of their own
        states += above * config.num_directions * width + (width if both and above else 0)
    if config.pools and backward:
        states += config.width  # the gradient of the top's outputs
    if not config.every_step:
        return states * size
    # features of the valid rows; their gradient, and its directions in arrays of their own
    rows = width * (4 if backward else 2)
    # logits, y and weights, in float64 for the squared error; numbers and masks of rows
    return (states + rows) * size + config.n_y * (3 * size + 8) + 48


class Costs:
    """The bytes of a batch's arrays, in numbers that do not depend on a plan."""

    def __init__(
        self,
        config: Config,
        T: int,
        m: int,
        lengths: Array | None,
        symbols: bool,
        penalty: Penalty | None = None,
    ) -> None:
        self._config, self.T, self.m = config, T, m
        self._symbols, self._unequal = symbols, lengths is not None
        self._of_rates = penalty is not None and penalty.of_rates
        self._size = config.np_dtype.itemsize
        self.begins = chunk_begins(T, m, lengths, self._kernels(1, config.n_x)[0])
        of_steps = T * m * bytes_per_step(config, True, penalty)
        self.without = of_steps + self.workspace(T, T) + self.answers()

    @property
    def _stacked(self) -> bool:
        """Whether layers run one after the other, each on the outputs of the whole layer below."""
        return self._config.num_directions > 1 and self._config.num_layers > 1

    def _kernels(self, T: int, n_in: int) -> tuple[int, int, int, int, int]:
        config = self._config
        return segment_sizes(
            config.cell,
            config.equation,
            (T, self.m, n_in, config.n_a),
            self._symbols and n_in == config.n_x,
            self._unequal,
            config.dtype == "float64",
        )

    def workspace(self, shortest: int, longest: int) -> int:
        """Bytes of the kernels' scratch memory, and of the sums and weights that calls share.

        The calls have between `shortest` and `longest` steps.
        """
        least, most = (
            [self._kernels(T, place.n_in) for place in self._config.recurrences()]
            for T in (shortest, longest)
        )
        scratch = workspace.most_held(
            [
                (self._size * few[k], self._size * many[k])
                for few, many in zip(least, most, strict=True)
                for k in (1, 2)  # forward, backward
            ]
        )
        if self._unequal and self._stacked:  # NumPy's buffers for sums of rows in opposite order
            scratch += 3 * np.getbufsize() * self._size
        return scratch + self._size * sum(sum(size[3:]) for size in most)

    def state(self) -> int:
        """Bytes of the states of all recurrences at one step."""
        config = self._config
        numbers = len(config.recurrences()) * len(config.kind.states) * config.n_a
        return self._size * self.m * numbers

    def start(self) -> int:
        """Bytes of the trained initial states of all examples, and of a recurrence's gradients."""
        config = self._config
        numbers = (len(config.recurrences()) + 1) * len(config.trained_states) * config.n_a
        return self._size * self.m * numbers

    def per_step(self) -> int:
        """Bytes of a segment's arrays for each step of each example."""
        config = self._config
        together = config.num_layers if config.num_directions == 1 else 1
        above = config.num_layers - 1 if config.num_directions == 1 else 0
        numbers = together * config.n_a * (1 + config.kind.kept + (config.equation == "current"))
        # dx of the layers above the lowest, and what dropout leaves of their inputs
        numbers += above * config.n_a * (1 + (config.dropout > 0))
        stacked = self._stacked
        if config.every_step or stacked:
            numbers += config.n_a  # da of the top, or of a layer below it
        if config.pools or (not config.every_step and self._of_rates):
            numbers += config.n_a  # the gradient of the top's outputs
        if self._unequal and streams(config):
            numbers += 2 * config.n_a  # features and their gradient, of valid rows
        widest = max(config.n_x, config.width if stacked else 0)
        if stacked:
            numbers += config.width  # dx
        if self._unequal and config.direction != "forward":
            numbers += widest  # x in the order of reading
        return numbers * self._size

    def whole_per_step(self) -> int:
        """Bytes of what is kept of every step of each example."""
        config = self._config
        width = config.width * self._size
        found = 0
        if self._stacked:
            found += (config.num_layers - 1 + min(config.num_layers - 1, 2)) * width
        if config.every_step:
            answers = config.n_y * self._size
            found += answers
            found += config.objective.scratch(config.n_y)
            if self._unequal:
                found += answers + 32  # y, weights and places of valid rows
            if not streams(config):
                found += (4 if self._unequal else 2) * width
        return found

    def answers(self) -> int:
        """Bytes of the output layer's arrays if there is one answer for each example.

        Final states, features and their parts, and the gradients of these; logits, y and weights.
        """
        config = self._config
        if config.every_step:
            return 0
        numbers = config.width + 4 * config.features + 3 * config.n_y
        return self._size * self.m * numbers

    def head(self) -> int:
        """Bytes of a streamed output layer: features of a stretch, and the sums of all.

        Or those of pooled answers: sums in float64, maxima and their places.
        """
        if not streams(self._config):
            config = self._config
            numbers = 8 * ("mean" in config.parts) + (4 + self._size) * ("max" in config.parts)
            return numbers * self.m * config.width
        rows = self.T * self.m
        sums = -(-rows // STRETCH) * self._config.n_y
        return (min(rows, STRETCH) + sums) * self._config.n_a * self._size
