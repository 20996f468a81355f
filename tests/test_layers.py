"""Buffers that are reused by later passes: their old contents must not affect results."""

from itertools import product

import numpy as np
import pytest

from crnn._network.buffers import Buffers
from crnn._network.config import DIRECTIONS, Config
from crnn._network.data import Sequences
from crnn._network.network import Network, Options


class TestBuffers:
    def test_the_same_array_for_the_same_shape(self):
        buffers = Buffers(np.dtype("f4"))
        a = buffers.array("a", (3, 4))
        assert a.shape == (3, 4)
        assert a.dtype == np.float32
        assert buffers.array("a", (3, 4)) is a

    def test_smaller_shapes_use_the_same_memory_and_larger_ones_do_not(self):
        buffers = Buffers(np.dtype("f8"))
        a, small = buffers.array("a", (3, 4)), buffers.array("a", (2, 5))
        assert small.shape == (2, 5)
        assert small.flags.c_contiguous
        assert np.shares_memory(small, a)
        assert not np.shares_memory(buffers.array("a", (4, 4)), a)
        assert not np.shares_memory(buffers.array("b", (2, 5)), small)


CELLS = {
    "vanilla": {},
    "current": {"cell": "leaky", "leak": 0.5, "equation": "current"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
}


def flat(states):
    """The arrays of a network's states, which are tuples."""
    return [array for state in states for array in state]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_reused_arrays_give_the_bits_of_fresh_ones(direction, steps, num_layers, cell):
    rng = np.random.default_rng(0)
    network = Network(Config(3, 5, 4, num_layers, direction, steps=steps, **CELLS[cell]))
    network.arena.flat[...] = 0.3 * rng.standard_normal(network.arena.flat.shape)
    buffers, kept, fresh = network.new_buffers(), network.new_arena(), network.new_arena()
    shapes = [(7, 4), (7, 4), (9, 6), (2, 3), (7, 4)]
    for (T, m), with_lengths, state in product(shapes, (False, True), (False, True)):
        x = rng.standard_normal((T, m, 3))
        y = rng.integers(0, 4, (T, m) if steps == "all" else m)
        lengths = rng.integers(1, T + 1, m) if with_lengths else None
        batch = Sequences(network.config, x, y, lengths).batch()
        count, each = len(network.config.recurrences()), len(network.config.kind.states)
        drawn = rng.standard_normal((count, each, m, 5)).astype("f4")
        first = [tuple(states) for states in drawn] if state else None
        results = []
        for arena, arrays in ((kept, buffers), (fresh, None)):
            step = network.gradients(batch, arena.views, Options(arrays), first)
            last = flat(step.trace.final_states())
            results.append((step.loss, step.metric, *last, arena.flat.copy()))
        for mine, theirs in zip(*results, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("cell", CELLS)
def test_final_states_outlive_the_next_pass(cell):
    """A stream's next window starts from them while it fills the same arrays."""
    network = Network(Config(3, 5, 4, **CELLS[cell]))
    network.arena.flat[...] = 0.1
    buffers, rng = network.new_buffers(), np.random.default_rng(0)
    batches = [
        Sequences(network.config, rng.standard_normal((4, 2, 3)), [0, 1]).batch() for _ in range(2)
    ]
    states = network.forward(batches[0], None, buffers).final_states()
    before = [array.copy() for array in flat(states)]
    network.forward(batches[1], states, buffers)
    np.testing.assert_array_equal(flat(states), before)
