"""Sums of the arrays of shards in a binary tree that depends on the number of shards only.

The shards 0..S-1 are the leaves. A node of level k covers 2^k of them, and is the sum of its two
halves, the left one first; a half that has no shards is left out. Floating-point addition is
commutative but not associative, so the same tree gives the same bits wherever its nodes are summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import numpy as np

from crnn._training.ranks import Ranks
from crnn.reference import Array

Value = TypeVar("Value", Array, int)


class Tree(Generic[Value]):
    """Adds the values of shards in the order of the tree, as they come from left to right.

    Parameters
    ----------
    shards : int
        S.
    done : callable, optional
        Takes back a value that has been added to another.
    """

    def __init__(self, shards: int, done: Callable[[Value], object] = lambda value: None) -> None:
        self._shards = shards
        self._done: Callable[[Value], object] = done
        self.nodes: list[tuple[int, int, Value]] = []  # (first shard, level, sum), left to right

    def push(self, first: int, value: Value, level: int = 0) -> None:
        """Add the next node to the right of all others, and sum what can be summed."""
        ends = first + (1 << level) >= self._shards  # then its right neighbours have no shards
        while True:
            while ends and first and not first >> level & 1:
                level += 1
            if not self.nodes:
                break
            left, of_left, total = self.nodes[-1]
            if of_left != level or left >> level & 1 or left + (1 << level) != first:
                break
            total += value
            self._done(value)
            self.nodes.pop()
            first, level, value = left, level + 1, total
        self.nodes.append((first, level, value))

    @property
    def total(self) -> Value:
        """The sum of all shards, once all are there."""
        ((_, _, value),) = self.nodes
        return value


def total(shards: int, values: Iterable[Value]) -> Value:
    """The sum of the values of all shards."""
    tree: Tree[Value] = Tree(shards)
    for s, value in enumerate(values):
        tree.push(s, value)
    return tree.total


class Exchange:
    """Sums flat arrays over all ranks.

    With one shard for each rank it is MPI's Allreduce. With `exact` it is the tree: each rank gets
    one part of the nodes of all others (Alltoallv), sums it, and all parts are gathered
    (Allgatherv). These are the two halves of an Allreduce for long arrays, so both move the same
    number of bytes if each rank has one node.
    """

    def __init__(self, ranks: Ranks, size: int, dtype: np.dtype[Any]) -> None:
        self._ranks = ranks
        R = ranks.size
        self._ends = [r * size // R for r in range(R + 1)]  # the part of each rank
        self._parts = np.diff(self._ends)
        self._places: list[list[tuple[int, int]]] = []  # (first shard, level) of each rank's nodes
        for r in range(R):
            shape: Tree[Any] = Tree(ranks.shards)
            for s in ranks.shards_of(r):
                shape.push(s, 0)
            self._places.append([(first, level) for first, level, _ in shape.nodes])
        own = self._ends[ranks.rank + 1] - self._ends[ranks.rank]
        if ranks.exact and R > 1:
            nodes = [len(places) for places in self._places]
            self._sent = np.empty(nodes[ranks.rank] * size, dtype)
            self._received = np.empty(sum(nodes) * own, dtype)
            self._sizes = [n * own for n in nodes]  # that come from each rank

    def sum(self, nodes: list[Array]) -> Array:
        """The sum over all ranks of their nodes, in place of this rank's first one (size,)."""
        ranks, into = self._ranks, nodes[0]
        if ranks.size == 1:
            return into
        if not ranks.exact:
            ranks.comm.Allreduce(_in_place(), into)
            return into
        begin, end = self._ends[ranks.rank : ranks.rank + 2]
        sent = into
        if len(nodes) > 1:
            sent, at = self._sent, 0
            for r in range(ranks.size):
                for node in nodes:
                    part = node[self._ends[r] : self._ends[r + 1]]
                    sent[at : at + len(part)] = part
                    at += len(part)
        counts = self._parts * len(nodes)
        ranks.comm.Alltoallv((sent, counts), (self._received, self._sizes))
        tree: Tree[Array] = Tree(ranks.shards)
        at = 0
        for places in self._places:
            for first, level in places:
                tree.push(first, self._received[at : at + end - begin], level)
                at += end - begin
        into[begin:end] = tree.total
        ranks.comm.Allgatherv(_in_place(), (into, self._parts))
        return into


def _in_place() -> Any:
    from mpi4py import MPI  # only where there is a communicator of it

    return MPI.IN_PLACE
