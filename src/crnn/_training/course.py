"""Where a training stands: what changes while it runs, beside model, optimizer and generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.results import Means
from crnn._training.history import History
from crnn._training.sound import check_array, check_steps
from crnn.reference import Array


@dataclass
class Sums:
    """Running sums of one epoch."""

    steps: int = 0
    rows: int = 0
    loss: float = 0.0
    metric: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0
    shown: int = 0  # what the progress bar counts: examples, or symbols

    def add(self, step: Means, norm: float, seconds: float, shown: int) -> None:
        """Count one step."""
        self.steps += 1
        self.rows += step.rows
        self.loss += step.loss * step.rows
        self.metric += step.metric * step.rows
        self.norm += norm
        self.seconds += seconds
        self.shown += shown

    def close(self, history: History, rate: float) -> None:
        """Append the epoch's means, and its learning rate."""
        history.loss.append(self.loss / self.rows)
        history.metric.append(self.metric / self.rows)
        history.gradient_norm.append(self.norm / self.steps)
        history.steps_per_second.append(self.steps / self.seconds)
        history.learning_rate.append(rate)


@dataclass
class Course:
    """Where a training stands between two steps.

    `best` and `last` are parameters (size,): those of the best epoch, and those of the last step
    once the model has the best ones again.
    """

    history: History
    best: Array
    epoch: int = 0  # epochs that are complete, with validation
    sums: Sums = field(default_factory=Sums)  # of the next epoch; its steps are batches done
    state: Any = None  # carried to the next window
    order: Any = None  # the generator's state at the beginning of the epoch
    ended: str = ""  # "patience" or "callback", if one of them ended the training early
    done: bool = False
    last: Array | None = None

    def remaining(
        self, epoch: Callable[[], Iterator[Any]], rng: np.random.Generator
    ) -> Iterator[Any]:
        """The batches of the epoch that are not done yet, of a function that begins the epoch.

        The order is drawn from the generator before the first batch. To draw it again, the
        generator goes back to where it was, and after that to where it is now.
        """
        if not self.sums.steps:
            self.order = rng.bit_generator.state
            return epoch()
        now = rng.bit_generator.state
        rng.bit_generator.state = self.order
        batches = epoch()
        for k in range(self.sums.steps):
            if next(batches, None) is None:
                raise ValueError(
                    f"x: expected the batches of the training that is resumed, of which "
                    f"{self.sums.steps} are done in this epoch, got {k}"
                )
        rng.bit_generator.state = now
        return batches

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch += 1
        self.sums, self.state, self.order = Sums(), None, None

    def entries(self, with_best: bool) -> dict[str, Any]:
        """The course as a file holds it: see `packing`."""
        history = {**asdict(self.history), "interrupted": False, "stopped_early": False}
        found = {**vars(self), "history": history, "sums": asdict(self.sums)}
        if not with_best:
            del found["best"]
        return found

    @classmethod
    def of(cls, entries: dict[str, Any], parameters: Array) -> Course:
        """The opposite of `entries`, for a network with these parameters (size,)."""
        values = {"best": parameters.copy(), **entries}
        course = cls(
            **{**values, "history": History(**values["history"]), "sums": Sums(**values["sums"])}
        )
        course._require_sound()
        for name in ("best", "last"):
            a = getattr(course, name)
            if name == "best" or a is not None:
                check_array(name, a, parameters.dtype, parameters.shape)
                if not np.isfinite(a).all():
                    raise ValueError(f"{name}: expected finite numbers")
        return course

    def _require_sound(self) -> None:
        """Raise ValueError if something is not what a training writes."""
        history, sums = vars(self.history), vars(self.sums)
        counts = {name: sums[name] for name in ("steps", "rows", "shown")} | {"epoch": self.epoch}
        for name, value in counts.items():
            check_steps(name, value)
        for name in ("loss", "metric", "norm", "seconds"):
            sums[name] = validate.number(name, sums[name], least=-np.inf)  # JSON may have integers
        some = self.sums.rows > 0 and self.sums.seconds > 0 and isinstance(self.order, dict)
        if self.sums.steps and not some:
            raise ValueError("order: expected that of an epoch of which some steps are done")
        if type(self.ended) is not str or type(self.done) is not bool:
            raise ValueError("ended, done: expected text, and True or False")
        validated = self.epoch if self.history.val_loss else 0
        for name in _EACH_EPOCH:
            length = validated if name.startswith("val_") else self.epoch
            values = history[name]
            if not isinstance(values, list) or not all(map(_is_number, values)):
                raise ValueError(f"{name}: expected a list of numbers")
            if len(values) != length:
                raise ValueError(f"{name}: expected {length} numbers, got {len(values)}")
        for name in ("rate", "reach", "saturated"):
            if not isinstance(history[name], list):
                raise ValueError(f"{name}: expected a list")
        best = self.history.best_epoch
        if not validated and best is not None:
            raise ValueError("best_epoch: expected none before the first validation")
        if validated and not (type(best) is int and 0 <= best < validated):
            raise ValueError("best_epoch: expected an epoch")


#: Lists of the History with a number for each epoch, or with none if nothing is held out.
_EACH_EPOCH = (
    "loss", "metric", "val_loss", "val_metric", "gradient_norm", "steps_per_second",
    "learning_rate",
)  # fmt: skip


def _is_number(value: object) -> bool:
    return type(value) in (int, float)
