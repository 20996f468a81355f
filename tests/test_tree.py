"""Sums in a tree that depends on the number of shards only."""

import numpy as np
import pytest

from crnn._training.tree import Tree, total


def by_halves(values, first, width):
    """The sum of a node that covers `width` shards, the left half first."""
    if width == 1:
        return values[first].copy()
    left = by_halves(values, first, width // 2)
    middle = first + width // 2
    return left if middle >= len(values) else left + by_halves(values, middle, width // 2)


@pytest.mark.parametrize("shards", range(1, 14))
def test_the_sum_is_that_of_the_definition(shards):
    values = np.random.default_rng(shards).standard_normal((shards, 50)).astype("float32")
    expected = by_halves(values, 0, 1 << (shards - 1).bit_length())
    np.testing.assert_array_equal(total(shards, [v.copy() for v in values]), expected)


def test_few_values_are_kept_at_once():
    """A sum of 2^k shards needs k + 1 arrays, and gives back all but its result."""
    back = []
    tree = Tree(64, back.append)
    most = 0
    for s in range(64):
        tree.push(s, np.ones(1))
        most = max(most, len(tree.nodes))
    assert most == 6
    assert len(back) == 63
    assert tree.total == 64
