"""Training data that are an iterable of batches, so that they need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any, ClassVar

import numpy as np

from crnn._engine import validate
from crnn._network.class_weight import ClassWeight
from crnn._network.config import Config
from crnn._network.data import Batch, Sequences

_PARTS = "(x, y[, lengths[, sample_weight[, a0]]])"


class Batches:
    """The batches of an iterable, in its order. Each is checked when its turn comes."""

    carry: ClassVar[bool] = False
    unit: ClassVar[str] = "example"
    size: ClassVar[None] = None  # the number of examples is not known before

    def __init__(
        self,
        config: Config,
        x: Any,
        epochs: int,
        held_out: Sequences | None,
        class_weight: ClassWeight = None,
    ) -> None:
        self.held_out, self._class_weight = held_out, class_weight
        self._config, self._iterable = config, _checked(x, epochs)
        self._last: Sequences | None = None

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch, if the iterable knows it."""
        return len(self._iterable) if isinstance(self._iterable, Sized) else None

    def batches(self) -> Iterator[Batch]:
        """The batches of one epoch. Raises ValueError, TypeError for one that does not fit."""
        self._last = None
        for k, parts in enumerate(self._iterable):
            if not isinstance(parts, (tuple, list)) or not 2 <= len(parts) <= 5:
                raise TypeError(f"batch {k}: expected {_PARTS}, got {validate.shown(parts)}")
            x, y, *options = parts
            validate.given(f"batch {k} y", y)
            self._last = Sequences(
                self._config, x, y, *options, of=f"batch {k} ", class_weight=self._class_weight
            )
            yield self._last.batch()
        if self._last is None:
            raise ValueError("x: expected batches in each epoch, got none")

    def validation(self) -> Iterator[Batch] | None:
        """The held-out examples, or None."""
        return None if self.held_out is None else self.held_out.batches()

    def fault(self, of_validation: bool) -> str | None:
        """The place in the last batch that explains a loss that is not finite, or None."""
        sequences = self.held_out if of_validation else self._last
        return None if sequences is None else sequences.fault()


def is_array(x: Any) -> bool:
    """Whether x is an array of any library, whose targets have been forgotten if there are none."""
    return isinstance(x, np.ndarray) or hasattr(x, "shape") or hasattr(x, "__array__")


def _checked(x: Any, epochs: int) -> Iterable[Any]:
    """An iterable that can be read once for each epoch."""
    if not isinstance(x, Iterable) or isinstance(x, (str, bytes, dict)):
        raise TypeError(
            f"x: expected an iterable of batches {_PARTS} where y is None, got {validate.shown(x)}"
        )
    if isinstance(x, Iterator) and epochs > 1:
        raise ValueError(
            f"x: expected an iterable that gives its batches in each of {epochs} epochs, such as a "
            f"list or an object whose __iter__ is a generator, got a {type(x).__name__}, which "
            "gives them once; with epochs=1 it will do"
        )
    return x
