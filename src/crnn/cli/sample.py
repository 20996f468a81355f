"""``crnn sample``: write text with a trained model."""

from __future__ import annotations

import argparse

import crnn
from crnn._vocabulary import vocabulary_of
from crnn.cli.errors import UsageError, of_unknown
from crnn.cli.texts import check_unknown
from crnn.text.units import Units


def run(options: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    model, vocabulary = load(options.model)
    check_unknown(vocabulary, options.unknown)
    try:
        prime = vocabulary.encode(options.prime, options.unknown)
    except ValueError as error:
        raise UsageError(f"--prime: {of_unknown(error)}") from None
    drawn = model.sample(options.length, prime, options.temperature, options.seed)
    print(options.prime + vocabulary.decode(drawn))
    return 0


def load(path: str) -> tuple[crnn.RNN, Units]:
    """Load a model that predicts the next symbol, and its vocabulary."""
    model = crnn.load(path)
    vocabulary = vocabulary_of(model.metadata)
    if vocabulary is None:
        raise UsageError(f"{path}: the model has no vocabulary, so it is not a model of text")
    config = model.config
    if not len(vocabulary) == config.n_x == config.n_y:
        raise UsageError(f"{path}: its vocabulary does not fit its inputs and outputs")
    if config.steps != "all" or not config.classifies or config.direction != "forward":
        raise UsageError(f"{path}: not a model that predicts the next character")
    return model, vocabulary
