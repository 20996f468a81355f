"""The parts of text that a model's symbols stand for, as its metadata have them."""

from __future__ import annotations

from collections.abc import Mapping

from crnn._network.config import Config
from crnn.reference import Array
from crnn.text.stored import of_metadata
from crnn.text.units import Units


def vocabulary_of(metadata: Mapping[str, str]) -> Units:
    """The vocabulary that `crnn train` saves with a model."""
    try:
        return of_metadata(metadata)
    except ValueError:
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
    return (
        tuple(vocabulary.decode([k]) for k in symbols.tolist())
        if len(vocabulary) == config.n_x
        else None
    )
