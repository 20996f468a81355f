"""The optimizer and the schedule that the options of ``crnn train`` describe."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import crnn
from crnn._training.rule import Rule
from crnn.schedules import Cosine, Linear, OnPlateau, Schedule, Warmup

#: The optimizers by their names as options, with their learning rates.
OPTIMIZERS: dict[str, tuple[Callable[..., Rule], float]] = {
    "adam": (crnn.Adam, 0.002), "adamw": (crnn.AdamW, 0.002), "rmsprop": (crnn.RMSprop, 0.001),
    "sgd": (crnn.SGD, 0.5),
}  # fmt: skip


#: The schedules by their names as options, for a rate.
SCHEDULES: dict[str, Callable[[float], float | Schedule]] = {
    "constant": float,
    "cosine": Cosine,
    "linear": Linear,
    "plateau": partial(OnPlateau, factor=0.5, patience=0),
}


def optimizer(options: argparse.Namespace) -> Rule:
    """The optimizer that the options describe."""
    make, usual = OPTIMIZERS[options.optimizer]
    lr = SCHEDULES[options.schedule](usual if options.lr is None else options.lr)
    if options.warmup:
        lr = Warmup(options.warmup, lr)
    chosen = {"momentum": options.momentum, "weight_decay": options.weight_decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    return make(lr=lr, **given)
