"""A test that crnn did not become slower: see `crnn.benchmark.regression`."""

from pathlib import Path

import pytest

from crnn.benchmark import regression

BASELINE = Path(__file__).parent / "baseline.json"


def test_nothing_became_slower():
    try:
        assert regression.guard(BASELINE) == {}
    except regression.NoBaseline as reason:
        pytest.skip(str(reason))
