"""The options of ``crnn train``.

One that is not typed is None until `crnn.cli.settings` has set it.
"""

from __future__ import annotations

import argparse
from typing import Any

from crnn._network.cells import CELLS
from crnn.cli.optimizer import OPTIMIZERS, SCHEDULES
from crnn.cli.values import (
    ABOVE_0,
    COUNT,
    COUNT_OR_0,
    DECAY,
    LEAK,
    NOT_BELOW_0,
    SEED,
    SHARE,
    named,
)

#: The help on what to do with text that a model has no symbol for.
UNKNOWN = "what to do with unknown text (default: replace it if the model can, else error)"

#: Options of a new model, with their defaults. A model from a file has its own values.
OF_A_NEW_MODEL: dict[str, Any] = {
    "cell": "vanilla", "leak": None, "hidden": 256, "layers": 1, "dropout": 0.0,
    "activation": "tanh", "dtype": "float32", "units": "characters", "most": None,
}  # fmt: skip
#: Options of a training, with their defaults. A training that goes on has those of its file.
OF_A_TRAINING: dict[str, Any] = {
    "text": None, "unknown": None, "epochs": 7, "batch": 32, "steps": 64, "optimizer": "adam",
    "lr": None, "schedule": "constant", "step_epochs": None, "warmup": 0, "momentum": None,
    "weight_decay": None, "clip": 1.0, "clip_value": None, "patience": None, "validation": 0.1,
    "shards": None, "seed": 0,
}  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``crnn train``."""

    def add(name: str, *, help: str, **settings: Any) -> None:
        default = {**OF_A_NEW_MODEL, **OF_A_TRAINING}.get(name[2:].replace("-", "_"))
        if default is not None:
            help += f" (default: {default})"
        parser.add_argument(name, help=help, **settings)

    add("--text", type=named, metavar="FILE",
        help="UTF-8 text, or any file with --units bytes (default: the help topics of "
             "Python)")  # fmt: skip
    add("--units", choices=["characters", "words", "bytes"], help="what one step reads")
    add("--most", type=COUNT, metavar="N",
        help="know the N most frequent characters or words only (default: all)")  # fmt: skip
    add("--unknown", choices=["error", "skip", "replace"], help=UNKNOWN)
    add("--out", type=named, metavar="FILE",
        help="the model, and the state of its training (default: that of --resume, or "
        "model.safetensors)")  # fmt: skip
    add("--resume", type=named, metavar="FILE",
        help="continue the training in this file, with its options and perhaps more "
             "--epochs")  # fmt: skip
    add("--start", type=named, metavar="FILE",
        help="begin a new training with the model of this file")  # fmt: skip
    add("--cell", choices=[*CELLS], help="of the hidden units")
    add("--leak", type=LEAK, metavar="SHARE", help="of --cell leaky, in (0, 1]")
    add("--hidden", type=COUNT, metavar="N", help="hidden units")
    add("--layers", type=COUNT, metavar="N", help="recurrent layers")
    add("--dropout", type=DECAY, metavar="P",
        help="share of units dropped between layers in training")  # fmt: skip
    add("--activation", choices=["tanh", "relu"], help="of the hidden units")
    add("--dtype", choices=["float32", "float64"], help="of the parameters")
    add("--epochs", type=COUNT, metavar="N", help="passes over the text")
    add("--batch", type=COUNT, metavar="N", help="parallel rows of text")
    add("--steps", type=COUNT, metavar="N", help="steps of backpropagation through time")
    add("--optimizer", choices=[*OPTIMIZERS], help="the rule of a step")
    add("--lr", type=ABOVE_0, metavar="RATE",
        help="learning rate (default: 0.002; sgd 0.5; rmsprop 0.001)")  # fmt: skip
    add("--schedule", choices=[*SCHEDULES],
        help="how the learning rate falls: cosine and linear to 0 over the whole training, step to "
             "a half after every --step-epochs, plateau to a half after each epoch without "
             "improvement")  # fmt: skip
    add("--step-epochs", type=COUNT, metavar="N", help="of --schedule step (default: 1)")
    add("--warmup", type=COUNT_OR_0, metavar="N",
        help="steps in which the learning rate rises to its full size")  # fmt: skip
    add("--momentum", type=DECAY, metavar="M", help="of sgd and rmsprop (default: 0)")
    add("--weight-decay", type=NOT_BELOW_0, metavar="D",
        help="of adamw, sgd and rmsprop (default: adamw 0.01, else 0)")  # fmt: skip
    add("--clip", type=NOT_BELOW_0, metavar="NORM",
        help="largest norm of a gradient; 0: no clipping")  # fmt: skip
    add("--clip-value", type=ABOVE_0, metavar="VALUE",
        help="largest size of each number of a gradient (default: no limit)")  # fmt: skip
    add("--patience", type=COUNT, metavar="N", help="stop after N epochs without improvement")
    add("--validation", type=SHARE, metavar="SHARE",
        help="the share of the text that is held out, from its end")  # fmt: skip
    add("--shards", type=COUNT, metavar="N",
        help="parts of a sum of gradients: the same bits for up to N processes")  # fmt: skip
    add("--seed", type=SEED, metavar="N", help="for parameters and sample")
    add("--length", type=COUNT_OR_0, default=300, metavar="N",
        help="characters, words or bytes of the final sample (default: 300)")  # fmt: skip
    add("--temperature", type=NOT_BELOW_0, default=0.7, metavar="T",
        help="of the final sample (default: 0.7)")  # fmt: skip
    add("--quiet", action="store_true", help="no progress bar")
