"""The vocabulary that a model's metadata have."""

from __future__ import annotations

import json
from collections.abc import Mapping

from crnn.text.byte import ByteVocabulary
from crnn.text.characters import Vocabulary
from crnn.text.units import Units
from crnn.text.words import WordVocabulary


def of_metadata(metadata: Mapping[str, str]) -> Units:
    """The vocabulary of a model's metadata; raises ValueError if they have none."""
    try:
        entry = json.loads(metadata["vocabulary"])
        if isinstance(entry, dict):
            kind = next((k for k in ("characters", "words", "bytes") if k in entry), None)
            if kind == "bytes":
                return ByteVocabulary()
            of = {"characters": Vocabulary, "words": WordVocabulary}[str(kind)]
            return of(entry[kind], entry.get("unknown"))
        return Vocabulary(entry)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise ValueError("the model has no vocabulary, so it is not a model of text") from None
