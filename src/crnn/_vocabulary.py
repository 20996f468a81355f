"""The vocabulary of a model of text, as `crnn train` writes it into the model's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping

from crnn.text.byte import ByteVocabulary
from crnn.text.characters import Vocabulary
from crnn.text.units import Units
from crnn.text.words import WordVocabulary


def vocabulary_of(metadata: Mapping[str, str]) -> Units | None:
    """The vocabulary, or None if the metadata have none that can be read."""
    try:
        entry = json.loads(metadata["vocabulary"])
        if not isinstance(entry, dict):
            return Vocabulary(entry)
        if "bytes" in entry:
            return ByteVocabulary()
        if "words" in entry:
            return WordVocabulary(entry["words"], entry.get("unknown"))
        return Vocabulary(entry["characters"], entry.get("unknown"))
    except (KeyError, TypeError, ValueError, RecursionError):  # JSON may be nested deeply
        return None
