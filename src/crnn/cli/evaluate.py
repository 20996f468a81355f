"""``crnn eval``: how well a model predicts a text."""

from __future__ import annotations

import argparse
import math

from crnn.cli.errors import UsageError
from crnn.cli.sample import load
from crnn.cli.train import BITS, read_text


def run(options: argparse.Namespace) -> int:
    """Print bits per character, perplexity and accuracy, and return the exit code."""
    model, vocabulary = load(options.model)
    text = read_text(options.text)
    try:
        symbols = vocabulary.encode(text)
    except ValueError as error:
        raise UsageError(f"{options.text}: {error}") from None
    if len(symbols) < 2:
        raise UsageError(f"{options.text}: expected at least 2 characters, got {len(symbols)}")
    loss, accuracy = model.evaluate_stream(symbols, options.batch)
    rows = min(options.batch, len(symbols) - 1)
    predicted = (len(symbols) - 1) // rows * rows
    print(
        f"{predicted} characters predicted: {loss * BITS:.3f} bits per character, "
        f"perplexity {math.exp(loss):.3f}, {accuracy:.3f} of them right"
    )
    return 0
