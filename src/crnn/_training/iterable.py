"""Training data that are an iterable of batches, so that they need not fit in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any, ClassVar

import numpy as np

from crnn._engine import validate
from crnn._network.batch import Batch
from crnn._network.class_weight import ClassWeight
from crnn._network.config import Config
from crnn._network.data import Sequences
from crnn._training.batches import Parts, Shards, held_out_shards, parts_of
from crnn._training.ranks import ALONE, Ranks

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
        ranks: Ranks = ALONE,
    ) -> None:
        self.held_out, self.class_weight, self._ranks = held_out, class_weight, ranks
        self._config, self.iterable = config, _checked(x, epochs)
        self._last: Sequences | None = None

    def require_restart(self) -> None:
        """Raise ValueError if the batches cannot be read again, as a resumed training does."""
        if isinstance(self.iterable, Iterator):
            raise ValueError(
                "x: expected an iterable that gives its batches again when training resumes, such "
                "as a list or an object whose __iter__ is a generator, got a "
                f"{type(self.iterable).__name__} with checkpoint"
            )

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch, if the iterable knows it."""
        return len(self.iterable) if isinstance(self.iterable, Sized) else None

    def batches(self) -> Iterator[Batch] | Iterator[Shards]:
        """The batches of one epoch, or this rank's shards of those of all ranks.

        Raises ValueError, TypeError for one that does not fit.
        """
        if self._ranks.alone:
            return (sequences.batch() for sequences in self._checked())
        return self._shards()

    def _checked(self) -> Iterator[Sequences]:
        """The batches of this rank."""
        self._last = None
        for k, parts in enumerate(self.iterable):
            if not isinstance(parts, (tuple, list)) or not 2 <= len(parts) <= 5:
                raise TypeError(f"batch {k}: expected {_PARTS}, got {validate.shown(parts)}")
            x, y, *options = parts
            validate.given(f"batch {k} y", y)
            self._last = Sequences(
                self._config, x, y, *options, of=f"batch {k} ", class_weight=self.class_weight
            )
            yield self._last
        if self._last is None:
            raise ValueError("x: expected batches in each epoch, got none")

    def _shards(self) -> Iterator[Shards]:
        """What all ranks have at a step, until none of them has more."""
        own = self._checked()
        while True:
            batch = error = None
            try:
                batch = next(own, None)
            except BaseException as caught:
                error = caught
            m = sum(self._ranks.agree(error, 0 if batch is None else batch.m))
            if m == 0:
                return
            if batch is None:
                yield Shards([None] * len(self._ranks.own), m)
            else:
                yield Shards(parts_of(batch, None, self._ranks.cut_own(batch.m)), m)

    def validation(self) -> Iterator[Batch] | Parts | None:
        """The held-out examples, or this rank's shards of them, or None."""
        return held_out_shards(self.held_out, self._ranks)

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
