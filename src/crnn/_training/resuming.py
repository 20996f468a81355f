"""Training that goes on where a file stands: everything is checked before anything is changed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crnn import files
from crnn._engine import kernels
from crnn._network.config import Config
from crnn._network.losses.own import Own
from crnn._network.network import Network
from crnn._training.accumulating import Grouped
from crnn._training.batches import LongSequence
from crnn._training.course import Course
from crnn._training.fingerprint import OtherTraining, require_same, require_same_model
from crnn._training.keeper import VERSION
from crnn._training.packing import unpack
from crnn._training.plan import Plan
from crnn._training.rule import Memory, start
from crnn._training.series import LongSeries
from crnn._training.sound import check_carried, check_memory, check_steps
from crnn._training.train import TrainingData
from crnn._words import one_line
from crnn.reference import Array


class Saved(NamedTuple):
    """What a file has of a training."""

    config: Config
    parameters: dict[str, Array]
    metadata: dict[str, str]
    fingerprint: dict[str, Any]
    state: dict[str, Any]  # "course", "memory", "steps" and "rng"


def _read(path: str, loss: Any) -> Saved:
    """The training in a file, which has only the name of a loss of the user's.

    Raises ValueError if it is not a file of crnn's or has only a model, and OSError.
    """
    config, parameters, metadata, training = files.load_training(path, loss)
    if training is None:
        raise ValueError(
            f"{path}: expected a file with the state of a training, and it has a model alone; "
            "resume=False replaces it"
        )
    entry = training.entry
    try:
        if entry["version"] != VERSION:
            raise ValueError(f"its training has version {entry['version']}: it needs a newer crnn")
        state = unpack(entry["state"], training.tensors)
        return Saved(config, parameters, metadata, entry["arguments"], state)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: str, error: BaseException) -> ValueError:
    """The error for a file whose training cannot be read."""
    return ValueError(f"{path}: the training in this file is damaged: {one_line(error)}")


def _check_numbers(config: Config, saved: Saved, course: Course, data: TrainingData) -> None:
    """Raise ValueError if parameters or the state of a stream are none that a training writes."""
    for name, a in saved.parameters.items():
        if not kernels.all_finite(a.reshape(-1)):
            raise ValueError(f"{name}: expected finite numbers")
    if not (data.carry and course.sums.steps):
        if course.state is not None:
            raise ValueError("state: expected none at the beginning of an epoch")
        return
    stream, windows = data, course.sums.steps
    if isinstance(data, Grouped):
        stream, windows = data.data, data.batches_of(windows)
    assert isinstance(stream, (LongSequence, LongSeries))
    state = [course.state] if stream.ranks.alone else course.state
    check_carried(config, state, stream.carried_rows(windows))


def _check_generator(path: str, rng: np.random.Generator, state: Any) -> None:
    """Raise ValueError if this is not the state of a generator of the same kind."""
    kind = type(rng.bit_generator)
    if state["bit_generator"] != kind.__name__:
        raise OtherTraining(path, "rng", state["bit_generator"], kind.__name__)
    kind().state = state


class Resumed(NamedTuple):
    """A training from a file, checked, that is still to be given to a model."""

    saved: Saved
    course: Course
    memory: Memory
    steps: int

    def restore(self, network: Network, rng: np.random.Generator, metadata: dict[str, str]) -> None:
        """Give a model the parameters of the file, and the generator its state.

        If the training had ended and now goes on, the parameters are those of its last step. With
        patience, the file's own are those of its best epoch.
        """
        for name, value in self.saved.parameters.items():
            network.parameters[name] = value
        if self.course.last is not None and not self.course.done:
            network.arena.flat[...] = self.course.last
            self.course.last = None
        rng.bit_generator.state = self.saved.state["rng"]
        for key, text in self.saved.metadata.items():
            metadata.setdefault(key, text)


def resumed(
    network: Network, data: TrainingData, batches: int | None, plan: Plan, arguments: dict[str, Any]
) -> Resumed:
    """The training in the file that the plan names, of data with so many batches in an epoch.

    Raises ValueError if it is not the training that was asked for, or damaged, and OSError.
    """
    assert plan.checkpoint is not None
    assert plan.checkpoint.source is not None
    path = plan.checkpoint.source
    own = network.config.loss if isinstance(network.loss, Own) else None
    saved = _read(path, own)
    require_same_model(path, saved.config, network.config)
    require_same(path, saved.fingerprint, arguments)
    parameters: Array = network.arena.flat
    try:
        course = Course.of(saved.state["course"], parameters)
        fresh = start(plan.optimizer, parameters, network.layout)
        check_memory(plan.optimizer, saved.state["memory"], fresh)
        check_steps("steps", saved.state["steps"], least=course.sums.steps)
        _check_numbers(network.config, saved, course, data)
        _check_generator(path, plan.rng, saved.state["rng"])
        if course.order is not None:
            _check_generator(path, plan.rng, course.order)
    except OtherTraining:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, error) from None
    done = course.sums.steps
    if batches is not None and done > batches:
        name = "symbols" if data.carry else "x"
        raise OtherTraining(path, name, f"at least {done} batches in an epoch", batches)
    least = course.epoch + (done > 0)
    if plan.epochs < least:
        raise OtherTraining(path, "epochs", f"at least {least}", plan.epochs)
    if course.done and course.epoch < plan.epochs and not _stays_ended(course, plan):
        course.done, course.ended = False, ""
    course.history.stopped_early = course.done and bool(course.ended)
    return Resumed(saved, course, saved.state["memory"], saved.state["steps"])


def _stays_ended(course: Course, plan: Plan) -> bool:
    """Whether a training that ended early is not to go on."""
    if course.ended == "callback":
        return plan.enough(course.history)
    return bool(course.ended)
