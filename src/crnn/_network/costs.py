"""The bytes of a pass that recomputes states: what a plan of `memory` is made of."""

from __future__ import annotations

from crnn._engine.sequence import segment_sizes
from crnn._network import layers
from crnn._network.config import Config
from crnn._network.segments import STRETCH, chunk_begins
from crnn.reference import Array


def streams(config: Config) -> bool:
    """Whether the output layer at every step reads a segment at a time (`StreamedHead`)."""
    return config.every_step and config.direction == "forward"


class Costs:
    """The bytes of a batch's arrays, in numbers that do not depend on a plan."""

    def __init__(
        self, config: Config, T: int, m: int, lengths: Array | None, symbols: bool
    ) -> None:
        self._config, self.T, self.m = config, T, m
        self._symbols, self._unequal = symbols, lengths is not None
        self._size = config.np_dtype.itemsize
        self.begins = chunk_begins(T, m, lengths, self._kernels(1, config.n_x)[0])
        rows = T * m
        self.without = rows * layers.bytes_per_step(config, True) + self.workspace(T)

    def _kernels(self, T: int, n_in: int) -> tuple[int, int, int, int]:
        config = self._config
        return segment_sizes(
            config.cell,
            config.equation,
            (T, self.m, n_in, config.n_a),
            self._symbols and n_in == config.n_x,
            self._unequal,
            config.dtype == "float64",
        )

    def workspace(self, T: int) -> int:
        """Bytes of the kernels' scratch memory, and of the sums and weights that calls share."""
        sizes = [self._kernels(T, place.n_in) for place in self._config.recurrences()]
        return self._size * (max(size[1] for size in sizes) + sum(sum(size[2:]) for size in sizes))

    def state(self) -> int:
        """Bytes of the states of all recurrences at one step."""
        config = self._config
        numbers = len(config.recurrences()) * len(config.kind.states) * config.n_a
        return self._size * self.m * numbers

    def per_step(self) -> int:
        """Bytes of a segment's arrays for each step of each example."""
        config = self._config
        together = config.num_layers if config.num_directions == 1 else 1
        above = config.num_layers - 1 if config.num_directions == 1 else 0
        numbers = together * config.n_a * (1 + config.kind.kept + (config.equation == "current"))
        # dx of the layers above the lowest, and what dropout leaves of their inputs
        numbers += above * config.n_a * (1 + (config.dropout > 0))
        stacked = config.num_directions > 1 and config.num_layers > 1
        if config.every_step or config.pools or stacked:
            numbers += config.n_a  # da of the top
        if self._unequal and streams(config):
            numbers += 2 * config.n_a  # features and their gradient, of valid rows
        widest = max(config.n_x, config.width if stacked else 0)
        if stacked:
            numbers += config.width  # dx
        if self._unequal and config.direction != "forward":
            return (numbers + widest) * self._size + 48  # x in the order of reading, and places
        return numbers * self._size

    def whole_per_step(self) -> int:
        """Bytes of what is kept of every step of each example."""
        config = self._config
        width = config.width * self._size
        found = 0
        if config.num_directions > 1 and config.num_layers > 1:
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
