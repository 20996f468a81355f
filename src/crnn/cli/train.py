"""``crnn train``: train a model of text."""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import replace
from datetime import timedelta

import crnn
from crnn._training.fingerprint import OtherTraining
from crnn._training.ranks import Ranks
from crnn.cli import many, resume, settings
from crnn.cli.optimizer import optimizer
from crnn.cli.preparing import learned_part, prepared
from crnn.reference import Array
from crnn.text.units import Units

BITS = 1 / math.log(2)  # per nat

#: How often the file is written, besides after each epoch.
EVERY = timedelta(seconds=10)


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    ranks = many.processes()
    with many.first_alone_prints(ranks):
        with ranks.together():
            model, vocabulary, symbols = prepared(options, ranks)
        return _train(model, vocabulary, symbols, options, ranks)


def _train(
    model: crnn.RNN, vocabulary: Units, symbols: Array, options: argparse.Namespace, ranks: Ranks
) -> int:
    """Train, print what came of it, and return the exit code."""
    unit = vocabulary.unit
    learned = learned_part(len(symbols), unit, options)
    size = sum(p.size for p in model.parameters.values())
    print(
        f"{len(symbols)} {unit}s, {len(vocabulary)} different; {learned} to learn from, "
        f"{len(symbols) - learned} held out\n{size} parameters in {model.config.num_layers} "
        f"layer(s) of {model.config.n_a} {_named(model)} units",
        flush=True,
    )
    if options.start is not None:
        print(f"a new training begins with the model of {options.start}", flush=True)
    began = time.perf_counter()
    history = _fit(model, symbols[:learned], symbols[learned:], unit, options, began, ranks)
    if history.interrupted:
        print(
            "interrupted: the model of the last finished step is kept; "
            f"--resume {options.out} continues"
        )
    print(f"wrote {options.out} after {time.perf_counter() - began:.1f} s of training")
    _warn_of_guessing(history, len(vocabulary), unit)
    print()
    drawn = model.sample(options.length, temperature=options.temperature, rng=options.seed)
    print(vocabulary.decode(drawn))
    return 130 if history.interrupted else 0


def _warn_of_guessing(history: crnn.History, n: int, unit: str) -> None:
    """Say so if the model in the file is worse than one that holds all symbols equally probable."""
    losses = history.val_loss
    if losses and losses[-1 if history.best_epoch is None else history.best_epoch] > math.log(n):
        print(
            f"the model predicts worse than guessing would, {math.log2(n):.3f} bits for {n} "
            f"different {unit}s; more --epochs or a smaller --lr may help"
        )


def _named(model: crnn.RNN) -> str:
    """The kind of a model's units: "tanh", "leaky relu", "GRU"."""
    config = model.config
    if config.cell in ("gru", "lstm"):
        return config.cell.upper()
    return f"leaky {config.activation}" if config.cell == "leaky" else config.activation


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

    trained = None if options.resume is None else resume.metadata_of_training(options.resume)
    try:
        history = model.fit_stream(
            learn,
            validation=held_out,
            epochs=options.epochs,
            batch_size=options.batch,
            steps=options.steps,
            optimizer=optimizer(options, windows),
            clip_norm=options.clip or None,
            clip_value=options.clip_value,
            patience=options.patience,
            progress=not options.quiet,
            callback=report,
            checkpoint=options.out,
            every=EVERY,
            resume=False if trained is None else options.resume,
            comm=ranks.comm,
            shards=options.shards,
        )
    except OtherTraining as error:
        raise resume.named(error, settings.ENTRY in (trained or {})) from None
    except (crnn.DivergenceError, KeyboardInterrupt) as error:
        resume.report_steps(options.out)
        if isinstance(error, crnn.DivergenceError):
            error.advice = (
                f"A smaller --lr or --clip helps; with --start {options.out} from the model there."
            )
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
