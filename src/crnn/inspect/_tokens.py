"""The characters that a model's symbols stand for, as its metadata have them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from crnn._network.config import Config
from crnn.reference import Array
from crnn.text import Vocabulary


def vocabulary_of(metadata: Mapping[str, str]) -> Vocabulary:
    """The vocabulary that `crnn train` saves with a model."""
    try:
        return Vocabulary(json.loads(metadata["vocabulary"]))
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "x: expected numbers or symbols, since the model's metadata have no vocabulary, got a "
            "str"
        ) from None


def tokens_of(
    metadata: Mapping[str, str], config: Config, symbols: Array
) -> tuple[str, ...] | None:
    """What the symbols stand for, if the model's metadata say so."""
    try:
        vocabulary = vocabulary_of(metadata)
    except ValueError:
        return None
    return tuple(vocabulary.decode(symbols)) if len(vocabulary) == config.n_x else None
