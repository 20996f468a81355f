"""The arguments of training, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crnn._engine import validate
from crnn._network.memory import MemoryLimit
from crnn._network.penalties import Penalty
from crnn._training.checkpoint import Checkpoint
from crnn._training.history import History
from crnn._training.optim import Optimizer
from crnn._training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Plan:
    """The arguments that `crnn.RNN.fit` and `fit_stream` share, checked."""

    epochs: int
    optimizer: Optimizer
    clip_norm: float | None
    clip_value: float | None
    patience: int | None
    progress: bool
    callback: Callable[[History], object] | None
    rng: np.random.Generator
    memory: MemoryLimit = None
    penalty: Penalty | None = None
    inspect: bool = False
    accumulate: int = 1
    ranks: Ranks = ALONE
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        validate.count("epochs", self.epochs)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                try:
                    most = validate.number(name, getattr(self, name), above=True)
                except ValueError as error:
                    raise ValueError(f"{error}; None means no clipping") from None
                object.__setattr__(self, name, most)
        if self.patience is not None:
            validate.count("patience", self.patience)
        validate.flag("progress", self.progress)
        validate.flag("inspect", self.inspect)
        validate.count("accumulate", self.accumulate)
        if self.inspect and self.accumulate > 1:
            raise ValueError(f"inspect: expected False with accumulate={self.accumulate}, got True")
        if self.inspect and self.memory is not None:
            raise ValueError("inspect: expected False with memory, which keeps no states, got True")
        if self.inspect and not self.ranks.alone:
            raise ValueError("inspect: expected False with comm or shards, got True")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback: expected a callable, got {self.callback!r}")

    def enough(self, history: History) -> bool:
        """Whether the callback returned True itself or NumPy's, which ends training."""
        answer = None if self.callback is None else self.callback(history)
        return isinstance(answer, (bool, np.bool_)) and bool(answer)

    def same(self) -> dict[str, object]:
        """What must be the same on all ranks."""
        names = (
            "epochs", "optimizer", "clip_norm", "clip_value", "patience", "memory", "penalty",
            "accumulate",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}
