"""The optimizer and the schedule that the options of ``crnn train`` describe."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import crnn
from crnn._training.rule import Rule
from crnn.schedules import Cosine, Linear, OnPlateau, Schedule, Step, Warmup

#: The optimizers by their names as options, with their learning rates.
OPTIMIZERS: dict[str, tuple[Callable[..., Rule], float]] = {
    "adam": (crnn.Adam, 0.002), "adamw": (crnn.AdamW, 0.002), "rmsprop": (crnn.RMSprop, 0.001),
    "sgd": (crnn.SGD, 0.5),
}  # fmt: skip


#: The schedules by their names as options, for a rate and the steps of --step-epochs.
SCHEDULES: dict[str, Callable[[float, int], float | Schedule]] = {
    "constant": lambda lr, _: lr,
    "cosine": lambda lr, _: Cosine(lr),
    "linear": lambda lr, _: Linear(lr),
    "step": lambda lr, every: Step(lr, every, factor=0.5),
    "plateau": lambda lr, _: OnPlateau(lr, factor=0.5, patience=0),
}


def optimizer(options: argparse.Namespace, windows: int) -> Rule:
    """The optimizer that the options describe, for epochs of so many windows."""
    make = OPTIMIZERS[options.optimizer][0]
    lr = SCHEDULES[options.schedule](options.lr, windows * (options.step_epochs or 1))
    if options.warmup:
        lr = Warmup(options.warmup, lr)
    chosen = {"momentum": options.momentum, "weight_decay": options.weight_decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    return make(lr=lr, **given)
