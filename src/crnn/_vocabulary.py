"""The vocabulary of a model of text, as `crnn train` writes it into the model's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

from crnn.text import Vocabulary


def vocabulary_of(metadata: Mapping[str, str]) -> Vocabulary | None:
    """The vocabulary, or None if the metadata have none that can be read."""
    try:
        return Vocabulary(json.loads(metadata["vocabulary"]))
    except (KeyError, TypeError, ValueError, RecursionError):  # JSON may be nested deeply
        return None
