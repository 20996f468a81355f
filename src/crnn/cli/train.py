"""``crnn train``: train a character model on a text."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import crnn
from crnn._training.fingerprint import OtherTraining
from crnn._training.ranks import Ranks
from crnn._training.rule import Rule
from crnn.cli import many, resume
from crnn.cli.errors import UsageError, check_writable
from crnn.cli.sample import load
from crnn.reference import Array
from crnn.schedules import Cosine, Linear, OnPlateau, Schedule, Warmup
from crnn.text import Vocabulary, python_topics

BITS = 1 / math.log(2)  # per nat

#: How often the file is written, besides after each epoch.
EVERY = timedelta(seconds=10)

#: Options for a new model, with their defaults. A model from a file has its own values.
OF_A_NEW_MODEL = {
    "cell": "vanilla", "leak": None, "hidden": 256, "layers": 1, "dropout": 0.0,
    "activation": "tanh",
    "dtype": "float32",
}  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    ranks = many.processes()
    with many.first_alone_prints(ranks):
        with ranks.together():
            model, vocabulary, text = _prepared(options, ranks)
        return _train(model, vocabulary, text, options, ranks)


def _prepared(options: argparse.Namespace, ranks: Ranks) -> tuple[crnn.RNN, Vocabulary, str]:
    """The model, its vocabulary and the text; everything is checked before the work begins."""
    _refuse_contradictions(options)
    if options.shards is not None and options.shards < ranks.size:
        raise UsageError(f"--shards: expected at least {ranks.size}, one for each process")
    parts = options.shards or ranks.size
    if options.batch < parts:
        raise UsageError(
            f"--batch: expected a row for each of {parts} processes or shards, got {options.batch}"
        )
    text = read_text(options.text)
    if options.out is None:
        options.out = "model.safetensors"
        if options.resume is not None and resume.has_training(options.resume):
            options.out = options.resume
    if ranks.first:
        _check_out(options)
    model, vocabulary = _model_to_train(options, text)
    _learned(len(text), options)
    return model, vocabulary, text


def _train(
    model: crnn.RNN, vocabulary: Vocabulary, text: str, options: argparse.Namespace, ranks: Ranks
) -> int:
    """Train, print what came of it, and return the exit code."""
    learned = _learned(len(text), options)
    size = sum(p.size for p in model.parameters.values())
    print(
        f"{len(text)} characters, {len(vocabulary)} different; {learned} to learn from, "
        f"{len(text) - learned} held out\n{size} parameters in {model.config.num_layers} "
        f"layer(s) of {model.config.n_a} {_named(model)} units",
        flush=True,
    )
    symbols = vocabulary.encode(text)
    began = time.perf_counter()
    history = _fit(model, symbols[:learned], symbols[learned:], options, began, ranks)
    if history.interrupted:
        print("interrupted: the model of the last finished step is kept")
    print(f"wrote {options.out} after {time.perf_counter() - began:.1f} s of training\n")
    drawn = model.sample(options.length, temperature=options.temperature, rng=options.seed)
    print(vocabulary.decode(drawn))
    return 130 if history.interrupted else 0


def _named(model: crnn.RNN) -> str:
    """The kind of a model's units: "tanh", "leaky relu", "GRU"."""
    config = model.config
    if config.cell in ("gru", "lstm"):
        return config.cell.upper()
    return f"leaky {config.activation}" if config.cell == "leaky" else config.activation


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Refuse options that have no meaning together with another one."""
    if options.momentum is not None and options.optimizer in ("adam", "adamw"):
        raise UsageError("--momentum: expected only with --optimizer sgd or rmsprop")
    if options.weight_decay is not None and options.optimizer == "adam":
        raise UsageError("--weight-decay: expected only with --optimizer adamw, sgd or rmsprop")
    if options.resume is not None and options.start is not None:
        raise UsageError("--start: expected only without --resume")
    if options.resume is not None or options.start is not None:
        return
    for name, default in OF_A_NEW_MODEL.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.cell in ("gru", "lstm") and options.activation != "tanh":
        raise UsageError(f"--activation: expected tanh with --cell {options.cell}")
    if options.dropout and options.layers == 1:
        raise UsageError("--dropout: expected only with --layers 2 or more, it acts between layers")
    if (options.leak is None) == (options.cell == "leaky"):
        raise UsageError("--leak: expected with --cell leaky, and only there")


def read_text(path: str | None) -> str:
    """The text of a file, or the help topics of Python."""
    if path is None:
        try:
            return python_topics()
        except ImportError:
            raise UsageError(
                "--text: expected a file, this Python has no pydoc_data.topics"
            ) from None
    try:
        with open(path, encoding="utf-8-sig") as file:  # without a byte order mark
            text = file.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not text:
        raise UsageError(f"{path}: the file is empty")
    return text


def _check_out(options: argparse.Namespace) -> None:
    """Check before training that the model can be saved afterwards."""
    check_writable("--out", options.out)
    if options.text and os.path.exists(options.out) and os.path.samefile(options.text, options.out):
        raise UsageError("--out: expected another file than --text, which it would replace")


def _model_to_train(options: argparse.Namespace, text: str) -> tuple[crnn.RNN, Vocabulary]:
    vocabulary = Vocabulary.of(text)
    path = options.resume or options.start
    if path is not None:
        model, known = load(path)
        resume.check_model(options, path, model)
        try:
            known.encode(vocabulary.characters)
        except ValueError as error:
            raise UsageError(f"--text: {error}") from None
        return model, known
    if len(vocabulary) < 2:
        raise UsageError(
            f"--text: expected at least 2 different characters, got {text[:1]!r} alone"
        )
    try:
        model = crnn.RNN(
            len(vocabulary),
            options.hidden,
            len(vocabulary),
            num_layers=options.layers,
            dropout=options.dropout,
            activation=options.activation,
            steps="all",
            dtype=options.dtype,
            cell=options.cell,
            leak=options.leak,
            rng=options.seed,
        )
    except (MemoryError, ValueError, OverflowError):
        raise UsageError(
            f"--hidden {options.hidden}, --layers {options.layers}: too large for this machine"
        ) from None
    model.metadata["vocabulary"] = json.dumps(vocabulary.characters)
    return model, vocabulary


def _learned(characters: int, options: argparse.Namespace) -> int:
    """The number of characters to train on; the rest is held out."""
    held_out: int = round(characters * options.validation)
    learned = characters - held_out
    if learned <= options.batch or held_out < 2:
        raise UsageError(
            f"the text of {characters} characters is too short for --batch {options.batch} and "
            f"--validation {options.validation:g}"
        )
    return learned


def _fit(
    model: crnn.RNN,
    learn: Array,
    held_out: Array,
    options: argparse.Namespace,
    began: float,
    ranks: Ranks,
) -> crnn.History:
    """Train, with a file that has every epoch and that another call can continue from."""
    rows = (len(learn) - 1) // options.batch  # steps of each parallel row
    windows = math.ceil(rows / options.steps)
    characters = rows * options.batch / windows  # in a window, on average
    reported = 0

    def report(history: crnn.History) -> None:
        """Print the lines of the epochs that have none yet: also those before a resume."""
        nonlocal began, reported
        for k in range(reported, len(history.loss)):
            done = replace(
                history, loss=history.loss[: k + 1], val_loss=history.val_loss[: k + 1],
                steps_per_second=history.steps_per_second[: k + 1],
            )  # fmt: skip
            if k + 1 < len(history.loss):  # its time was that of its steps
                began -= windows / history.steps_per_second[k]
            _report(done, characters, began, options)
        reported = len(history.loss)

    continues = options.resume is not None and resume.has_training(options.resume)
    try:
        history = model.fit_stream(
            learn,
            validation=held_out,
            epochs=options.epochs,
            batch_size=options.batch,
            steps=options.steps,
            optimizer=_optimizer(options),
            clip_norm=options.clip or None,
            clip_value=options.clip_value,
            patience=options.patience,
            progress=not options.quiet,
            callback=report,
            checkpoint=options.out,
            every=EVERY,
            resume=options.resume if continues else False,
            comm=ranks.comm,
            shards=options.shards,
        )
    except OtherTraining as error:
        raise resume.named(error) from None
    except (crnn.DivergenceError, KeyboardInterrupt):
        resume.report_steps(options.out)
        raise
    if not history.interrupted:
        report(history)  # those of a training that was complete before
    return history


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


def _optimizer(options: argparse.Namespace) -> Rule:
    make, usual = OPTIMIZERS[options.optimizer]
    lr = SCHEDULES[options.schedule](usual if options.lr is None else options.lr)
    if options.warmup:
        lr = Warmup(options.warmup, lr)
    chosen = {"momentum": options.momentum, "weight_decay": options.weight_decay}
    given = {name: value for name, value in chosen.items() if value is not None}
    return make(lr=lr, **given)


def _report(
    history: crnn.History, characters: float, began: float, options: argparse.Namespace
) -> None:
    """Print one line per epoch. `characters` is the average number in a window."""
    from tqdm import tqdm

    if len(history.val_loss) < len(history.loss):  # interrupted: nothing was validated
        return
    # tqdm.write redraws the bar below the line, which would fill a log file.
    write = tqdm.write if sys.stderr.isatty() else print
    write(
        f"epoch {len(history.loss)}/{options.epochs}  "
        f"bits per character {history.loss[-1] * BITS:.3f}, "
        f"held out {history.val_loss[-1] * BITS:.3f}  "
        f"{history.steps_per_second[-1] * characters:,.0f} characters/s  "
        f"{time.perf_counter() - began:.1f} s",
        file=sys.stdout,
    )
    sys.stdout.flush()
