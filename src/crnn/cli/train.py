"""``crnn train``: train a model of text."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from dataclasses import replace
from datetime import timedelta

import crnn
from crnn._training.fingerprint import OtherTraining
from crnn._training.ranks import Ranks
from crnn.cli import many, resume
from crnn.cli.errors import UsageError, check_writable
from crnn.cli.optimizer import optimizer
from crnn.cli.sample import load
from crnn.cli.texts import check_unknown, symbols_of, vocabulary_of
from crnn.reference import Array
from crnn.text.units import Units

BITS = 1 / math.log(2)  # per nat

#: How often the file is written, besides after each epoch.
EVERY = timedelta(seconds=10)

#: Options for a new model, with their defaults. A model from a file has its own values.
OF_A_NEW_MODEL = {
    "cell": "vanilla", "leak": None, "hidden": 256, "layers": 1, "dropout": 0.0,
    "activation": "tanh",
    "dtype": "float32", "units": "characters", "most": None,
}  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    ranks = many.processes()
    with many.first_alone_prints(ranks):
        with ranks.together():
            model, vocabulary, symbols = _prepared(options, ranks)
        return _train(model, vocabulary, symbols, options, ranks)


def _prepared(options: argparse.Namespace, ranks: Ranks) -> tuple[crnn.RNN, Units, Array]:
    """The model, its vocabulary and the symbols of the text, checked before the work begins."""
    _refuse_contradictions(options)
    if options.shards is not None and options.shards < ranks.size:
        raise UsageError(f"--shards: expected at least {ranks.size}, one for each process")
    parts = options.shards or ranks.size
    if options.batch < parts:
        raise UsageError(
            f"--batch: expected a row for each of {parts} processes or shards, got {options.batch}"
        )
    known = None
    if options.resume is None and options.start is None:
        known = vocabulary_of(options.text, options.units, options.most)
    if options.out is None:
        options.out = "model.safetensors"
        if options.resume is not None and resume.has_training(options.resume):
            options.out = options.resume
    if ranks.first:
        _check_out(options)
    model, vocabulary = _model_to_train(options, known)
    check_unknown(vocabulary, options.unknown)
    beside = options.out if ranks.first else None
    try:
        symbols, _ = symbols_of(options.text, vocabulary, options.unknown, beside)
    except UsageError as error:
        raise UsageError(f"--text: {error}") from None
    _learned(len(symbols), vocabulary.unit, options)
    return model, vocabulary, symbols


def _train(
    model: crnn.RNN, vocabulary: Units, symbols: Array, options: argparse.Namespace, ranks: Ranks
) -> int:
    """Train, print what came of it, and return the exit code."""
    unit = vocabulary.unit
    learned = _learned(len(symbols), unit, options)
    size = sum(p.size for p in model.parameters.values())
    print(
        f"{len(symbols)} {unit}s, {len(vocabulary)} different; {learned} to learn from, "
        f"{len(symbols) - learned} held out\n{size} parameters in {model.config.num_layers} "
        f"layer(s) of {model.config.n_a} {_named(model)} units",
        flush=True,
    )
    began = time.perf_counter()
    history = _fit(model, symbols[:learned], symbols[learned:], unit, options, began, ranks)
    if history.interrupted:
        print(
            "interrupted: the model of the last finished step is kept; "
            f"--resume {options.out} with the same options continues"
        )
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
    if options.most is not None and options.units == "bytes":
        raise UsageError("--most: expected only with --units characters or words")
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


def _check_out(options: argparse.Namespace) -> None:
    """Check before training that the model can be saved afterwards."""
    check_writable("--out", options.out)
    if options.text and os.path.exists(options.out) and os.path.samefile(options.text, options.out):
        raise UsageError("--out: expected another file than --text, which it would replace")
    resume.check_replaced(options.out, options.resume or options.start)


def _model_to_train(
    options: argparse.Namespace, vocabulary: Units | None
) -> tuple[crnn.RNN, Units]:
    """The model of a file with its vocabulary, or a new model for the one that is given."""
    if vocabulary is None:
        path = options.resume or options.start
        model, known = load(path)
        resume.check_model(options, path, model)
        resume.check_vocabulary(options, path, known)
        return model, known
    if len(vocabulary) < 2:
        raise UsageError(
            f"--text: expected at least 2 different {vocabulary.unit}s, got "
            f"{vocabulary.decode([0])!r} alone"
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
    model.metadata["vocabulary"] = vocabulary.to_json()
    return model, vocabulary


def _learned(n: int, unit: str, options: argparse.Namespace) -> int:
    """The number of symbols to train on; the rest is held out."""
    held_out: int = round(n * options.validation)
    learned = n - held_out
    if learned <= options.batch or held_out < 2:
        raise UsageError(
            f"the text of {n} {unit}s is too short for --batch {options.batch} and "
            f"--validation {options.validation:g}"
        )
    return learned


def _fit(
    model: crnn.RNN,
    learn: Array,
    held_out: Array,
    unit: str,
    options: argparse.Namespace,
    began: float,
    ranks: Ranks,
) -> crnn.History:
    """Train, with a file that has every epoch and that another call can continue from."""
    rows = (len(learn) - 1) // options.batch  # steps of each parallel row
    windows = math.ceil(rows / options.steps)
    per_step = rows * options.batch / windows  # symbols, on average
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
            _report(done, per_step, began, options, unit)
        reported = len(history.loss)

    continues = options.resume is not None and resume.has_training(options.resume)
    try:
        history = model.fit_stream(
            learn,
            validation=held_out,
            epochs=options.epochs,
            batch_size=options.batch,
            steps=options.steps,
            optimizer=optimizer(options),
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


def _report(
    history: crnn.History,
    per_step: float,
    began: float,
    options: argparse.Namespace,
    unit: str = "character",
) -> None:
    """Print one line per epoch. `per_step` is the average number of symbols in a window."""
    from tqdm import tqdm

    if len(history.val_loss) < len(history.loss):  # interrupted: nothing was validated
        return
    # tqdm.write redraws the bar below the line, which would fill a log file.
    write = tqdm.write if sys.stderr.isatty() else print
    write(
        f"epoch {len(history.loss)}/{options.epochs}  "
        f"bits per {unit} {history.loss[-1] * BITS:.3f}, "
        f"held out {history.val_loss[-1] * BITS:.3f}  "
        f"{history.steps_per_second[-1] * per_step:,.0f} {unit}s/s  "
        f"{time.perf_counter() - began:.1f} s",
        file=sys.stdout,
    )
    sys.stdout.flush()
