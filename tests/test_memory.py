"""Passes that recompute states: the bits of a pass that keeps all, in the bytes of their plan."""

import itertools
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pages
import pytest
from passes import CELLS, LENGTHS, N_A, N_X, N_Y, M, T, data, peak_of
from same_bits import assert_same_bits

import crnn
from crnn._engine import workspace
from crnn._network.batch import Batch
from crnn._network.buffers import Buffers
from crnn._network.network import Options
from crnn._network.segments import Window, chunk_begins, grouped

PAGE = Path(__file__).parent.parent / "docs" / "memory.md"


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("steps", "layers"), [("last", 1), ("all", 1), ("last", 3), ("all", 2)])
def test_gradients_have_the_same_bits(planned, cell, direction, lengths, steps, layers):
    options = CELLS[cell] | {"direction": direction, "steps": steps, "num_layers": layers}
    model = crnn.RNN(N_X, N_A, N_Y, **options, rng=0)
    x, y = data(model)
    expected = model.gradients(x, y, lengths)
    planned(1, 1)
    assert_same_bits(model.gradients(x, y, lengths, memory="sqrt"), expected)


@pytest.mark.parametrize("m", [1, 2, 4, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_one_step_has_the_same_bits(cell, m):
    """The kernels have other products for a call of one step, which a segment has not."""
    model = crnn.RNN(N_X, N_A, N_Y, **CELLS[cell], rng=0)
    rng = np.random.default_rng(m)
    for name, value in model.parameters.items():
        if name.startswith("b"):
            value[...] = rng.normal(size=value.shape)
    x, y = rng.normal(size=(1, m, N_X)).astype("f4"), rng.integers(0, N_Y, m)
    expected = model.gradients(x, y)
    assert_same_bits(model.gradients(x, y, memory="sqrt"), expected)


@pytest.mark.parametrize("levels", [2, 3, 8])
@pytest.mark.parametrize("lengths", [None, 8 * LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("cell", ["rate", "lstm"])
def test_levels_change_no_bit(planned, cell, lengths, levels):
    """28 chunks, and more than one of the stretches that weights are summed in."""
    model = crnn.RNN(N_X, N_A, N_Y, **CELLS[cell], steps="all", num_layers=2, rng=0)
    x, y = data(model, steps=8 * T)
    expected = model.gradients(x, y, lengths)
    planned(1, levels)
    assert_same_bits(model.gradients(x, y, lengths, memory="sqrt"), expected)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_symbols_and_weights_and_float64(planned, cell, direction, lengths):
    model = crnn.RNN(
        N_X, N_A, N_Y, **CELLS[cell], direction=direction, loss="mse", steps="all",
        dtype="float64", num_layers=2, rng=0,
    )  # fmt: skip
    x, y = data(model, symbols=True)
    weights = np.array([1, 2, 0.5, 0, 3])
    expected = model.gradients(x, y, lengths, weights)
    planned(300, 1)
    assert_same_bits(model.gradients(x, y, lengths, weights, memory="sqrt"), expected)


@pytest.mark.parametrize("m", [1, 2, 3, 300])
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("cell", ["vanilla", "current", "gru"])
def test_few_and_many_examples(planned, cell, steps, m):
    """Products of few rows have their own order of addition; a chunk may be a few steps."""
    model = crnn.RNN(N_X, 17, 2, **CELLS[cell], steps=steps, rng=0)
    x, y = data(model, m=m, steps=2 * 1024 // m + 2)
    expected = model.gradients(x, y)
    planned(1, 1)
    assert_same_bits(model.gradients(x, y, memory="sqrt"), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
@pytest.mark.parametrize("cell", ["rate", "current"])
def test_fit_draws_the_same_noise(planned, cell, lengths, direction):
    fitted = []
    for memory in (None, "sqrt"):
        model = crnn.RNN(N_X, N_A, N_Y, **CELLS[cell], direction=direction, rng=0)
        x, y = data(model)
        if memory is not None:
            planned(1, 1)
        options = {"epochs": 2, "batch_size": M, "progress": False, "rng": 0}
        history = model.fit(x, y, lengths=lengths, memory=memory, **options)
        fitted.append((history.loss, dict(model.parameters)))
    assert_same_bits(*fitted)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_change_no_bit(planned, threads):
    model = crnn.RNN(N_X, 64, N_Y, cell="gru", rng=0)
    x, y = data(model, m=16)
    expected = model.gradients(x, y, LENGTHS.repeat(4)[:16])
    planned(1, 1)
    before = crnn.get_num_threads()
    crnn.set_num_threads(threads)
    try:
        found = model.gradients(x, y, LENGTHS.repeat(4)[:16], memory="sqrt")
    finally:
        crnn.set_num_threads(before)
    assert_same_bits(found, expected)


class TestPlan:
    def test_it_prints_what_it_does(self):
        plan = crnn.plan_memory(crnn.RNN(8, 128, 2, rng=0), T=10000, m=32)
        text = str(plan)
        assert re.match(
            r"T = 10000, m = 32: \d+ segments of at most \d+ steps, recomputed once", text
        )
        assert f"{plan.peak / 2**20:.2f} MiB" in text
        assert plan.peak == plan.states + plan.segment + plan.whole + plan.workspace

    def test_sqrt_grows_as_the_square_root(self):
        model = crnn.RNN(8, 64, 2, rng=0)
        peaks = []
        for steps in (10_000, 160_000):
            plan = crnn.plan_memory(model, steps, 64)
            peaks.append(plan.states + plan.segment)
        assert 3.5 < peaks[1] / peaks[0] < 4.5

    def test_bytes_are_kept_and_used(self):
        model = crnn.RNN(8, 64, 2, cell="lstm", num_layers=2, rng=0)
        least = crnn.plan_memory(model, 5000, 16).peak
        for limit in (least, 2 * least, 8 * least):
            plan = crnn.plan_memory(model, 5000, 16, memory=limit)
            assert limit / 2 < plan.peak <= limit
            assert plan.levels == 1
        everything = crnn.plan_memory(model, 5000, 16, memory=1 << 40)
        assert str(everything).startswith("T = 5000, m = 16: one segment, nothing is recomputed")

    def test_fewer_bytes_take_more_levels(self):
        model = crnn.RNN(8, 128, 2, rng=0)
        sqrt = crnn.plan_memory(model, 10000, 600)
        plan = crnn.plan_memory(model, 10000, 600, memory=sqrt.peak // 3)
        assert plan.levels > 1

    @pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "unequal"])
    @pytest.mark.parametrize("steps", ["last", "pooled", "all"])
    @pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
    @pytest.mark.parametrize(("cell", "layers"), [("vanilla", 1), ("current", 2), ("lstm", 2)])
    def test_its_peak_is_that_of_the_arrays(self, cell, layers, direction, steps, lengths):
        """tracemalloc sees all memory: the kernels allocate none, and NumPy reports its own."""
        model = crnn.RNN(
            N_X, 32, N_Y, **CELLS[cell], num_layers=layers, direction=direction, steps=steps, rng=0
        )
        x, y = data(model, steps=2 * T)
        x = x.astype("float32")
        lengths = None if lengths is None else 2 * lengths
        plan = crnn.plan_memory(model, 2 * T, M, lengths=lengths)
        batch, arena = Batch(x, y, lengths), model._network.new_arena()
        limited = Options(memory="sqrt")
        peak = peak_of(lambda: model._network.gradients(batch, arena.views, limited))
        assert 0.6 * plan.peak - 2**17 < peak < plan.peak + 2**17

    def test_too_few_bytes_are_refused_with_the_least(self):
        model = crnn.RNN(8, 128, 2, rng=0)
        with pytest.raises(ValueError, match=r"^memory: expected at least \d+ bytes") as error:
            crnn.plan_memory(model, 10000, 32, memory=1000)
        least = int(re.search(r"at least (\d+)", str(error.value))[1])
        assert crnn.plan_memory(model, 10000, 32, memory=least).peak == least

    def test_fit_refuses_too_few_bytes_before_the_first_step(self):
        model = crnn.RNN(N_X, N_A, N_Y, rng=0)
        x, y = data(model)
        before = {name: value.copy() for name, value in model.parameters.items()}
        with pytest.raises(ValueError, match=r"^memory: expected at least \d+ bytes"):
            model.fit(x, y, memory=1000, progress=False)
        for name, value in model.parameters.items():
            np.testing.assert_array_equal(value, before[name])

    @pytest.mark.parametrize("memory", [0, -1, "root", 1.5, True, [1]])
    def test_other_arguments_are_refused_by_name(self, memory):
        model = crnn.RNN(2, 3, 2, rng=0)
        x, y = data(model, m=2, steps=4)
        for call in (
            lambda: model.gradients(x, y, memory=memory),
            lambda: model.fit(x, y, memory=memory, progress=False),
            lambda: crnn.plan_memory(model, 4, 2, memory=memory),
        ):
            with pytest.raises((ValueError, TypeError), match=r"^memory: expected"):
                call()


def test_page_runs(capsys):
    pages.run_python(PAGE)
    assert "segments of at most" in capsys.readouterr().out


def test_the_printed_plan_of_the_page_is_printed():
    """The numbers that do not depend on the instruction set."""
    plan = str(crnn.plan_memory(crnn.RNN(8, 128, 2, rng=0), T=10000, m=32, memory=20_000_000))
    assert all(line in PAGE.read_text("utf-8") for line in plan.splitlines()[:4])


class TestSegments:
    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("lengths", [None, np.array([7, 2, 5])])
    def test_windows_take_and_put_each_valid_step_once(self, lengths, reverse):
        whole = np.arange(7 * 3.0).reshape(7, 3, 1)
        copy, total = np.zeros_like(whole), np.zeros_like(whole)
        for begin, end in itertools.pairwise([0, 3, 4, 7]):
            window = Window(7, reverse, lengths, begin, end)
            window.put(window.of(whole), copy)
            window.put(window.of(whole), total, add=True)
        valid = np.arange(7)[:, None] < np.full(3, 7 if lengths is None else lengths)
        np.testing.assert_array_equal(copy[valid], whole[valid])
        np.testing.assert_array_equal(total[valid], whole[valid])

    def test_steps_of_a_window_are_in_the_order_of_reading_with_lengths(self):
        whole = np.arange(5 * 2).reshape(5, 2)
        window = Window(5, True, np.array([5, 2]), 1, 4)
        np.testing.assert_array_equal(window.of(whole), [[6, 1], [4, 0], [2, 0]])

    @pytest.mark.parametrize("lengths", [None, LENGTHS])
    def test_chunks_have_just_enough_rows(self, lengths):
        begins = chunk_begins(T, M, lengths, 100)
        running = np.full(T, M) if lengths is None else (lengths > np.arange(T)[:, None]).sum(1)
        for begin, end in itertools.pairwise([*begins[1:], T]):
            assert running[begin:end].sum() >= 100 > running[begin + 1 : end].sum()

    def test_segments_are_whole_chunks(self):
        assert grouped([0, 10, 20, 30, 40], 50, 20) == [0, 10, 30]
        assert grouped([0, 10, 20], 100, 15) == [0, 10, 20]  # a chunk is never cut


def test_an_array_that_grows_is_not_held_twice():
    """The memory of a small layer is given back before a larger layer takes more."""

    def peak_of(take, sizes):
        tracemalloc.start()
        try:
            for size in sizes:
                take(size)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    buffers = Buffers(np.dtype("uint8"))
    assert peak_of(lambda size: buffers.array("dz", (size,)), [1 << 20, 1 << 21]) < 2.5 * 2**20
    workspace._shared._free.clear()  # what other tests left
    sizes = [1 << 22, 1 << 23]
    assert peak_of(lambda size: workspace.give_back(workspace.take(size)), sizes) < 8.5 * 2**20
