"""Futures that are drawn from a model's answers, where these describe distributions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn.reference import Array

#: Futures whose quantiles are taken, if their number is not given.
PATHS = 1000


class Futures(NamedTuple):
    """How many futures of a history are drawn, and what is asked of them."""

    paths: int
    levels: Array | None  # (levels,): their quantiles; None for the futures themselves
    rng: np.random.Generator

    def of_one(self, answer: Array) -> Array:
        """The answer (1, n) to the history, for each future."""
        return np.repeat(answer, self.paths, axis=0)

    def state_of_one(self, state: Any) -> Any:
        """The state after the history, of arrays (1, n_a) or pairs of them, for each future."""
        if state is None:
            return None
        return [
            tuple(map(self.of_one, item)) if isinstance(item, tuple) else self.of_one(item)
            for item in state
        ]

    def asked_of(self, found: Array) -> Array:
        """What is asked of the futures (paths, H, ...)."""
        if self.levels is None:
            return found
        quantiles: Array = np.quantile(found, self.levels, axis=0)
        return quantiles


def checked_futures(config: Config, levels: Any, paths: Any, rng: Any) -> Futures | None:
    """These arguments of `RNN.forecast`; None where nothing is drawn."""
    if levels is None and paths is None:
        if rng is not None:
            raise ValueError("rng: expected None without levels or paths: nothing is drawn")
        return None
    if not config.objective.draws:
        raise ValueError(
            f"{'paths' if levels is None else 'levels'}: expected None with loss={config.loss!r}, "
            "whose answers are no distributions; crnn.data.walk_forward has intervals from past "
            "errors"
        )
    return Futures(
        validate.count("paths", PATHS if paths is None else paths),
        None if levels is None else _checked_levels(levels, *config.objective.span()),
        validate.generator(rng),
    )


def _checked_levels(levels: Any, low: float, high: float) -> Array:
    """Levels of quantiles from `low` to `high`."""
    a = validate.plain("levels", levels)
    numbers = a.ndim == 1 and a.size > 0 and a.dtype.kind in "fiu"
    if not numbers or not ((a >= low) & (a <= high)).all():
        raise ValueError(
            f"levels: expected numbers in {low:g}..{high:g}, which the model's answers describe, "
            f"got {validate.shown(levels)}"
        )
    return a
