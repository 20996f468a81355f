"""Writes the file that a training can be resumed from, when it is due."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crnn import files
from crnn._training.checkpoint import Checkpoint
from crnn._training.course import Course
from crnn._training.interrupt import Interrupt
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
        request = self._request
        if (
            request.source is None
            or not os.path.exists(request.path)
            or not os.path.samefile(request.source, request.path)
        ):
            self.write()
        else:
            self._at = self._now()

    def after_step(self, carry: bool, interrupt: Interrupt) -> None:
        """Write the file after a step, if it is due or a signal waits for it."""
        every = self._request.every
        if isinstance(every, timedelta):
            due = time.monotonic() - self._written >= every.total_seconds()
        else:
            due = not isinstance(every, str) and self._trainer.steps % every == 0
        if due or interrupt.held is not None:
            self._trainer.confirm_last(carry)
            self.write()
            interrupt.deliver()

    def after_epoch(self, carry: bool, validated: bool, interrupt: Interrupt) -> None:
        """Write the file after an epoch that is not the last one, unless steps are counted."""
        counted = isinstance(self._request.every, int)
        if not counted or interrupt.requested or interrupt.held is not None:
            if not validated:
                self._trainer.confirm_last(carry)
            self.write()
            interrupt.deliver()

    def write(self) -> None:
        """Write model and training, unless the file has this state already.

        The last step is known to be good. So these parameters are also what a later divergence
        goes back to, in this run as in one that continues from the file.
        """
        if self._at == self._now():
            return
        trainer = self._trainer
        trainer.last_good[...] = trainer.parameters
        state = {
            "course": self._course.entries(trainer.plan.patience is not None),
            "memory": trainer.memory,
            "steps": trainer.steps,
            "rng": trainer.plan.rng.bit_generator.state,
        }
        tensors: dict[str, Array] = {}
        entry = {
            "version": VERSION,
            "arguments": self._arguments,
            "state": pack(state, "", tensors),
        }
        network = trainer.network
        files.save(
            self._request.path, network.config, network.parameters, self._metadata,
            files.Training(entry, tensors),
        )  # fmt: skip
        self._at, self._written = self._now(), time.monotonic()

    def _now(self) -> tuple[int, ...]:
        """What tells one state of the training from another."""
        return self._trainer.steps, self._course.epoch, self._course.done
