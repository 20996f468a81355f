"""Writes the file that a training can be resumed from, when it is due."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crnn import files
from crnn._training.checkpoint import Checkpoint
from crnn._training.course import Course
from crnn._training.packing import pack
from crnn._training.trainer import Trainer
from crnn.reference import Array

#: Of the state of a training in a file.
VERSION = 1


class Keeper:
    """Writes the file of a training when it is due."""

    def __init__(
        self,
        request: Checkpoint,
        trainer: Trainer,
        course: Course,
        arguments: dict[str, Any],
        metadata: Mapping[str, str],
    ) -> None:
        self._request, self._trainer, self._course = request, trainer, course
        self._arguments, self._metadata = arguments, metadata
        self._written = time.monotonic()  # when the file was last written
        self._at: tuple[int, ...] | None = None  # the state in the file, if it is of this run

    def begin(self) -> None:
        """Write the file before the first step, unless the training continues from it."""
        if self._request.in_place:
            self._at = self._stand()
        else:
            self.write()

    def after_step(self, carry: bool) -> None:
        """Write the file after a step, if it is due or a signal waits for it."""
        every, ranks = self._request.every, self._trainer.plan.ranks
        if isinstance(every, timedelta):
            due = time.monotonic() - self._written >= every.total_seconds()
            due = due if ranks.size == 1 else ranks.from_first(lambda: due)
        else:
            due = not isinstance(every, str) and self._trainer.steps % every == 0
        if due or self._trainer.held:
            self.now(carry)

    def most_steps(self, count: int) -> int:
        """How many of `count` steps may be taken before `after_step` is called again."""
        every = self._request.every
        return min(count, every - self._trainer.steps % every) if isinstance(every, int) else count

    def after_epoch(self, carry: bool, validated: bool) -> None:
        """Write the file after an epoch that is not the last one, unless steps are counted."""
        interrupt, ranks = self._trainer.interrupt, self._trainer.plan.ranks
        counted, waits = isinstance(self._request.every, int), ranks.any(interrupt.held is not None)
        if not counted or waits or self._course.history.interrupted:
            self.now(carry, confirmed=validated)

    def now(self, carry: bool, confirmed: bool = False) -> None:
        """Write the file between two steps, and deliver the signal that waits for it.

        The last step is checked, unless it has been, so that a file never has bad parameters.
        """
        if not confirmed:
            self._trainer.confirm_last(carry)
        self.write()
        with self._trainer.plan.ranks.together():
            self._trainer.interrupt.deliver()

    def write(self) -> None:
        """Write model and training, unless the file has this state already.

        The last step is known to be good. So these parameters are also what a later divergence
        goes back to, in this run as in one that continues from the file.
        """
        if self._at == self._stand():
            return
        trainer = self._trainer
        trainer.last_good[...] = trainer.parameters
        course = self._course.entries(trainer.plan.patience is not None)
        course["state"] = trainer.of_all_ranks(course["state"])
        state = {
            "course": course,
            "memory": trainer.memory,
            "steps": trainer.steps,
            "rng": trainer.plan.rng.bit_generator.state,
        }
        with trainer.plan.ranks.together():
            if trainer.plan.ranks.first:
                self._save(state)
        self._at, self._written = self._stand(), time.monotonic()

    def _save(self, state: dict[str, Any]) -> None:
        tensors: dict[str, Array] = {}
        packed = pack(state, "", tensors)
        entry = {"version": VERSION, "arguments": self._arguments, "state": packed}
        network = self._trainer.network
        files.save(
            self._request.path, network.config, network.parameters, self._metadata,
            files.Training(entry, tensors),
        )  # fmt: skip

    def _stand(self) -> tuple[int, ...]:
        """What tells one state of the training from another."""
        return self._trainer.steps, self._course.epoch, self._course.done
