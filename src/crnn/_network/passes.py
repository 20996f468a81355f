"""What one pass over a batch needs besides the batch's x."""

from __future__ import annotations

from dataclasses import dataclass

from crnn._engine import kernels
from crnn._engine.recurrence import CellInputs
from crnn._network.buffers import Buffers
from crnn._network.config import Config, Recurrence
from crnn._network.dropout import Dropout
from crnn._network.recurrences import State, inputs_of
from crnn.reference import Array


@dataclass(frozen=True)
class Pass:
    """One run over a batch: the network, where its examples begin and end, and what is drawn."""

    config: Config
    parameters: dict[str, Array]
    buffers: Buffers  # which the pass takes its arrays from
    lengths: Array | None = None  # (m,); None if all are T
    state: State | None = None  # before the first step; None for the network's own
    noise: int | None = None  # the seed of the cells' noise; None for none
    dropout: Dropout | None = None  # between layers

    @property
    def continued(self) -> bool:
        """Whether it begins from a given state, not from the network's own."""
        return self.state is not None

    def start(self, k: int, place: Recurrence, m: int) -> tuple[Array, ...] | None:
        """The states (m, n_a) before the first step of recurrence k, or None for zeros.

        Those given, or else the trained ones, which are the same for all examples.
        """
        if self.state is not None:
            return self.state[k]
        own, found = place.of(self.parameters), []
        for name in self.config.trained_states:
            found.append(self.buffers.array(f"{name} {k}", (m, self.config.n_a)))
            found[-1][...] = own[name]
        return tuple(found) or None

    def start_gradients(self, m: int) -> dict[str, Array]:
        """Arrays (m, n_a) for the gradients of a recurrence's initial states, if trained."""
        return {
            name: self.buffers.array(f"d{name}", (m, self.config.n_a))
            for name in self.config.trained_states
        }

    def inputs(
        self,
        k: int,
        place: Recurrence,
        x: Array,
        lengths: Array | None,
        start: tuple[Array, ...] | None,
    ) -> CellInputs:
        """The arguments of recurrence k for x (T, m, n_in), or some of its steps."""
        seed = None if self.noise is None else (self.noise + k) % 2**64
        return inputs_of(self.config, place, self.parameters, x, lengths, start, seed)


def sum_of_start(
    own: dict[str, Array], d0: dict[str, Array], continued: bool, fresh: Array | None = None
) -> None:
    """Fill the gradients of a recurrence's trained states, one for all examples, from d0.

    A pass that `continued` from a given state began from the trained ones at no example, or at
    those of `fresh` (m,).
    """
    for name, d in d0.items():
        if continued:
            d = d[:0] if fresh is None else d[fresh]
        kernels.sum_rows(d, own[name])
