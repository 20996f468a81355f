"""One step of training that several ranks do together, each on its shards of the batch."""

from __future__ import annotations

import numpy as np

from crnn._engine.workspace import aligned
from crnn._network.batch import Batch
from crnn._network.network import Network
from crnn._network.recurrences import State
from crnn._network.results import Means
from crnn._training.accumulating import Windows
from crnn._training.batches import Parts, Shards
from crnn._training.plan import Plan
from crnn._training.rule import Memory
from crnn._training.trainer import Trainer
from crnn._training.tree import Exchange, Tree
from crnn.reference import Array

#: What follows the gradient in an array that is summed: the sums of loss and metric over the rows,
#: the rows in two parts, and how many shards are of a rank that was asked to stop, on which a
#: signal waits, or that failed.
LOSS, METRIC, ROWS_HIGH, ROWS_LOW, STOPS, HOLDS, FAILURES = range(-7, 0)

#: The unit of ROWS_HIGH. Float32 counts to 2^24 only; the two parts count to 2^36.
MANY = 4096


class ParallelTrainer(Trainer):
    """A Trainer whose batches are Shards, and whose states are one for each shard of this rank.

    A group of batches is one step, as in `Accumulating`.

    Each shard's gradient of the mean over its rows, times its rows, is one array of the sum over
    all shards. This sum over all rows is the gradient of the mean over the batch, however uneven
    the shards are. All ranks have the same sum, so their parameters remain the same.
    """

    def __init__(self, network: Network, memory: Memory, plan: Plan) -> None:
        super().__init__(network, memory, plan)
        self._ranks = plan.ranks
        size = len(self.gradients.flat) - LOSS
        self._exchange = Exchange(self._ranks, size, network.config.np_dtype)
        self._spare: list[Array] = []  # arrays (size,)
        self._size = size
        self._before: list[State | None] = []
        self._states: list[State | None] = []
        self._stopped = self._held = False

    @property
    def stopped(self) -> bool:
        """Whether any rank was asked to stop before the last sum."""
        return self._stopped

    @property
    def held(self) -> bool:
        """Whether a signal waited on any rank before the last sum."""
        return self._held

    def gradient(
        self, batch: Shards | list[Shards], state: list[State] | None, norms: Array | None
    ) -> Means:
        """Fill `gradients` with that of the whole batch, or of all batches of a group."""
        group = batch if isinstance(batch, list) else [batch]
        seeds, error = [self._seeds() for _ in group], None
        try:
            nodes = self._own_nodes(group, state, seeds)
        except BaseException as caught:  # the others learn of it from the sum
            error, nodes = caught, self._failed_nodes()
        total = self._exchange.sum(nodes)  # (size,)
        self._spare.extend(nodes)
        self._stopped, self._held = bool(total[STOPS] > 0), bool(total[HOLDS] > 0)
        if total[FAILURES] > 0:
            self._ranks.agree(error)
        rows = int(total[ROWS_HIGH]) * MANY + int(total[ROWS_LOW])
        np.divide(total[:LOSS], rows, out=self.gradients.flat)
        return Means(float(total[LOSS]) / rows, float(total[METRIC]) / rows, rows)

    def state_after(self, step: Means) -> list[State | None]:
        """The states of this rank's shards after the last step."""
        return self._states

    def of_all_ranks(self, state: list[State | None] | None) -> list[State | None] | None:
        """The states of all shards."""
        brought: list[list[State | None]] = self._ranks.agree(None, state or [])
        return None if state is None else [one for states in brought for one in states]

    def of_this_rank(self, state: list[State | None] | None) -> list[State | None] | None:
        """The states of this rank's shards."""
        return None if state is None else [state[s] for s in self._ranks.own]

    def evaluate(self, held_out: Parts | None, carry: bool) -> tuple[float, float]:
        """Mean loss and metric on the shards of all ranks, or on the last training batch."""
        states: list[State | None] | None = None
        if held_out is None:
            assert self.last is not None
            batch, states = self.last[0], self._before
            batch = batch[-1] if isinstance(batch, list) else batch
            held_out = [[] if part is None else [part] for part in batch.parts]
        error, sums = None, []
        try:
            for i, batches in enumerate(held_out):
                state = None if states is None else states[i]
                sums.append(self.network.sums(batches, self.options, carry, state))
        except BaseException as caught:
            error = caught
        of_all = np.concatenate(self._ranks.agree(error, sums))  # (shards, 3)
        loss, metric, rows = of_all.sum(axis=0)
        return float(loss / rows), float(metric / rows)

    def _seeds(self) -> list[int | None]:
        """A seed for the noise and the dropout of each of this rank's shards."""
        seeds = [self._noise() for _ in range(self._ranks.shards)]
        return [seeds[s] for s in self._ranks.own]

    def _own_nodes(
        self, group: list[Shards], states: list[State] | None, seeds: list[list[int | None]]
    ) -> list[Array]:
        """The sums of this rank's shards; keeps their states before and after the last batch."""
        tree: Tree[Array] = Tree(self._ranks.shards, self._spare.append)
        self._before, self._states = [], []
        flags = int(self.interrupt.requested), int(self.interrupt.held is not None)
        for i, s in enumerate(self._ranks.own):
            leaf = self._array()
            leaf[...] = 0
            leaf[STOPS:FAILURES] = flags
            before, after = None if states is None else states[i], None
            for k, (batch, seed) in enumerate(zip(group, seeds, strict=True)):
                if k and isinstance(group, Windows):  # others begin anew
                    before = after
                part = batch.parts[i]
                after = None if part is None else self._add(leaf, part, before, seed[i])
            self._before.append(before)
            self._states.append(after)
            tree.push(s, leaf)
        return [node for _, _, node in tree.nodes]

    def _add(self, leaf: Array, part: Batch, state: State | None, seed: int | None) -> State:
        """Add what a batch of a shard has to the sum, leaf (size,); return the state after it."""
        step = self.network.gradients(part, self.gradients.views, self.options, state, seed)
        self.gradients.flat *= step.rows
        leaf[:LOSS] += self.gradients.flat
        high, low = divmod(step.rows, MANY)
        leaf[LOSS:STOPS] += step.loss * step.rows, step.metric * step.rows, high, low
        return step.trace.final_states()

    def _failed_nodes(self) -> list[Array]:
        """Nodes that tell the other ranks of a failure."""
        tree: Tree[Array] = Tree(self._ranks.shards)
        for s in self._ranks.own:
            node = np.zeros(self._size, self.parameters.dtype)
            node[FAILURES] = 1
            tree.push(s, node)
        return [node for _, _, node in tree.nodes]

    def _array(self) -> Array:
        return self._spare.pop() if self._spare else aligned(self._size, self.parameters.dtype)
