"""What the options of ``crnn train`` are if they are not typed: those of a file, or the defaults.

A file that `crnn train` writes has the options of its training in its metadata, as they would be
typed, so that ``--resume FILE`` alone continues it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import crnn
from crnn.cli import options as of_commands
from crnn.cli.errors import UsageError
from crnn.cli.optimizer import OPTIMIZERS
from crnn.cli.training_options import OF_A_TRAINING

#: The name of the entry in a model's metadata.
ENTRY = "options"

#: Options that may change when a training goes on: the text may have moved, and what it says is
#: compared with what was trained on; the seed draws the final sample; the sums of gradients are
#: compared where they are made.
_FREE = {"text", "epochs", "seed", "shards"}


def settle(options: argparse.Namespace, metadata: Mapping[str, str] | None) -> None:
    """Set the options that were not typed; `metadata` are those of a file whose training goes on.

    Raises UsageError for one that is not that of the file's training.
    """
    own = None if metadata is None else _stored(options.resume, metadata)
    for name, default in OF_A_TRAINING.items():
        typed, value = getattr(options, name), default if own is None else getattr(own, name)
        if typed is None:
            setattr(options, name, default if value is None else value)
        elif own is not None and typed != value and name not in _FREE:
            expected = "none" if value is None else value
            raise UsageError(
                f"{spelled(name)}: expected {expected}, as in {options.resume}, got {typed}; "
                f"--start {options.resume} begins a new training with its model"
            )
    if options.lr is None:
        options.lr = OPTIMIZERS[options.optimizer][1]
    if options.weight_decay is None and options.optimizer == "adamw":
        options.weight_decay = crnn.AdamW.weight_decay
    if options.step_epochs is None and options.schedule == "step":
        options.step_epochs = 1


def to_json(options: argparse.Namespace) -> str:
    """The options of a training as a file has them."""
    values = {name: getattr(options, name) for name in OF_A_TRAINING}
    return json.dumps([f"{spelled(n)}={v}" for n, v in values.items() if v is not None])


def spelled(name: str) -> str:
    """An option as it is typed."""
    return "--" + name.replace("_", "-")


def _stored(path: str, metadata: Mapping[str, str]) -> argparse.Namespace | None:
    """The options in a file; None if something else than `crnn train` wrote it."""
    if ENTRY not in metadata:
        return None
    said = io.StringIO()
    try:
        arguments: Any = json.loads(metadata[ENTRY])
        if not isinstance(arguments, list) or not all(isinstance(a, str) for a in arguments):
            raise ValueError("expected a list of text")
        with contextlib.redirect_stderr(said):
            return of_commands.parser().parse_args(["train", *arguments])
    except (ValueError, RecursionError, SystemExit) as error:
        why = said.getvalue().strip() or error
        raise UsageError(f"{path}: its options are damaged: {why}") from None
