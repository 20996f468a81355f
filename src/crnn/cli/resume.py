"""What ``crnn train`` does with a file that has a model, or a training that was stopped."""

from __future__ import annotations

import argparse
import contextlib
import os
from typing import Any

import crnn
from crnn import files
from crnn._training.fingerprint import OtherTraining
from crnn.cli.errors import UsageError
from crnn.text.units import Units

#: The options that set an argument of `fit_stream`.
_OPTIONS = {
    "batch_size": "--batch", "steps": "--steps", "clip_norm": "--clip", "patience": "--patience",
    "clip_value": "--clip-value", "epochs": "--epochs",
    "optimizer": "--optimizer, --lr, --schedule, --warmup, --momentum, --weight-decay",
}  # fmt: skip
#: The field of a configuration that an option of a new model sets.
_FIELDS = {
    "cell": "cell", "leak": "leak", "hidden": "n_a", "layers": "num_layers",
    "activation": "activation", "dtype": "dtype", "dropout": "dropout",
}  # fmt: skip


def metadata_of_training(path: str) -> dict[str, str] | None:
    """The metadata of a file with the state of a training; None if it has a model alone."""
    _, _, metadata, training = files.load_training(path)
    return None if training is None else metadata


def check_replaced(out: str, source: str | None) -> None:
    """Refuse an output file whose work would be lost: a training that was stopped, or no model.

    The file that the training begins from is meant to be replaced.
    """
    if not os.path.isfile(out) or os.path.getsize(out) == 0:
        return
    if source is not None and os.path.exists(source) and os.path.samefile(source, out):
        return
    try:
        training = files.load_training(out)[3]
        state = None if training is None else training.entry["state"]
        steps = 0 if state is None or state["course"]["done"] else state["steps"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--out: {error}; it is not replaced") from None
    if steps:
        raise UsageError(
            f"--out: {out} has a training that was stopped after {steps} steps. "
            f"--resume {out} continues it; to begin a new one, delete the file or name another"
        )


def report_steps(path: str) -> None:
    """Print how far the training in a file is, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        training = files.load_training(path)[3]
        if training is not None:
            print(f"{path} has the training up to step {training.entry['state']['steps']}")


def check_model(options: argparse.Namespace, path: str, model: crnn.RNN) -> None:
    """Refuse options of a new model that a model from a file does not have."""
    for name, field in _FIELDS.items():
        asked, own = getattr(options, name), getattr(model.config, field)
        if asked is not None and asked != own:
            expected = f"no --{name}" if own is None else own
            raise UsageError(f"--{name}: expected {expected}, as {path} has, got {asked}")


def check_vocabulary(options: argparse.Namespace, path: str, vocabulary: Units) -> None:
    """Refuse options of a new vocabulary that the one of a file does not have."""
    own = f"{vocabulary.unit}s"
    if options.units not in (None, own):
        raise UsageError(f"--units: expected {own}, as {path} has, got {options.units}")
    known = len(vocabulary) - (vocabulary.unknown is not None)
    if options.most is not None and options.most < known:
        raise UsageError(f"--most: expected at least {known}, as {path} has, got {options.most}")


def named(error: OtherTraining, only_text: bool) -> UsageError:
    """The error of a training with other options, with the option's name.

    With `only_text`, the other options that change the symbols are known to be the same.
    """
    path, argument = error.path, error.argument
    hint = f"; --start {path} begins a new training with its model"
    if argument in ("symbols", "validation"):
        names, those = "--text, --validation", "those"
        if only_text:
            names, those = "--text", "the text"
        return UsageError(f"{names}: expected {those} that {path} was trained with{hint}")
    if argument == "shards":
        return UsageError(f"--shards: {_of_shards(error)}{hint}")
    name = _OPTIONS.get(argument, argument)
    expected, got = (_spelled(argument, value) for value in (error.expected, error.got))
    return UsageError(f"{name}: expected {expected}, as in {path}, got {got}{hint}")


def _of_shards(error: OtherTraining) -> str:
    """Why a training cannot go on in this number of processes, or with these shards."""
    path, own = error.path, error.expected
    if own == "None":
        return f"{path} has the training of one process without shards, which goes on in one alone"
    return f"{path} has a training with sums of {own} parts, which --shards {own} continues"


def _spelled(argument: str, value: Any) -> Any:
    """A value as the option has it."""
    if value == "None":
        return 0 if argument == "clip_norm" else "none"
    return value
