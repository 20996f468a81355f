"""``crnn eval``: how well a model predicts a text."""

from __future__ import annotations

import argparse
import math

from crnn._words import counted
from crnn.cli.errors import UsageError
from crnn.cli.sample import load
from crnn.cli.texts import check_unknown, symbols_of
from crnn.cli.train import BITS


def run(options: argparse.Namespace) -> int:
    """Print bits per character, perplexity and accuracy, and return the exit code."""
    model, vocabulary = load(options.model)
    check_unknown(vocabulary, options.unknown)
    try:
        symbols, characters = symbols_of(options.text, vocabulary, options.unknown)
    except UsageError as error:
        named = f"{options.text}: "
        raise UsageError(named + str(error).removeprefix(named)) from None
    unit = vocabulary.unit
    if len(symbols) < 2:
        raise UsageError(f"{options.text}: expected at least 2 {unit}s, got {len(symbols)}")
    loss, accuracy = model.evaluate_stream(symbols, options.batch)
    rows = min(options.batch, len(symbols) - 1)
    predicted = (len(symbols) - 1) // rows * rows
    print(
        f"{counted(predicted, unit)} predicted: {loss * BITS:.3f} bits per {unit}, "
        f"perplexity {math.exp(loss):.3f}, {accuracy:.3f} of them right"
    )
    if unit != "character" and characters is not None:
        print(f"{loss * BITS * len(symbols) / characters:.3f} bits per character")
    return 0
