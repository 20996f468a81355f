"""What ``crnn train`` needs, checked before the work begins: options, model, vocabulary, text."""

from __future__ import annotations

import argparse
import os

import crnn
from crnn._training.ranks import Ranks
from crnn.cli import resume, settings
from crnn.cli.errors import UsageError, check_writable, one_line
from crnn.cli.sample import load
from crnn.cli.texts import check_unknown, symbols_of, vocabulary_of
from crnn.cli.training_options import OF_A_NEW_MODEL
from crnn.reference import Array
from crnn.text.units import Units


def prepared(options: argparse.Namespace, ranks: Ranks) -> tuple[crnn.RNN, Units, Array]:
    """The model, its vocabulary and the symbols of the text, checked before the work begins."""
    if options.resume is not None and options.start is not None:
        raise UsageError("--start: expected only without --resume")
    trained = None if options.resume is None else resume.metadata_of_training(options.resume)
    settings.settle(options, trained)
    if trained is None and options.resume is not None:  # a model alone, with which one begins
        options.start, options.resume = options.resume, None
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
        options.out = "model.safetensors" if trained is None else options.resume
    if ranks.first:
        _check_out(options)
    model, vocabulary = _model_to_train(options, known)
    check_unknown(vocabulary, options.unknown)
    symbols = _symbols(options, vocabulary, options.out if ranks.first else None)
    learned_part(len(symbols), vocabulary.unit, options)
    model.metadata[settings.ENTRY] = settings.to_json(options)
    return model, vocabulary, symbols


def _symbols(options: argparse.Namespace, vocabulary: Units, beside: str | None) -> Array:
    """The symbols of the text."""
    try:
        return symbols_of(options.text, vocabulary, options.unknown, beside)[0]
    except UsageError as error:
        raise UsageError(f"--text: {error}") from None
    except FileNotFoundError as error:
        if options.resume is None:
            raise
        raise UsageError(f"--text: {one_line(error)}; --text says where it is now") from None


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Refuse options that have no meaning together with another one."""
    if options.momentum is not None and options.optimizer in ("adam", "adamw"):
        raise UsageError("--momentum: expected only with --optimizer sgd or rmsprop")
    if options.weight_decay is not None and options.optimizer == "adam":
        raise UsageError("--weight-decay: expected only with --optimizer adamw, sgd or rmsprop")
    if options.step_epochs is not None and options.schedule != "step":
        raise UsageError("--step-epochs: expected only with --schedule step")
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
    text, out = options.text, options.out
    if text and os.path.exists(text) and os.path.exists(out) and os.path.samefile(text, out):
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


def learned_part(n: int, unit: str, options: argparse.Namespace) -> int:
    """The number of symbols to train on; the rest is held out."""
    held_out: int = round(n * options.validation)
    learned = n - held_out
    if learned <= options.batch or held_out < 2:
        raise UsageError(
            f"the text of {n} {unit}s is too short for --batch {options.batch} and "
            f"--validation {options.validation:g}"
        )
    return learned
