"""Compiled epochs with initial states, several batches a step and f of states, as in Python."""

import numpy as np
import pytest
from compiled_runs import M, T, assert_same, both, examples

import crnn

CELLS = [
    {"activation": "relu"},
    {"cell": "leaky", "leak": 0.3, "num_layers": 2},
    {"cell": "leaky", "leak": 0.3, "equation": "current"},
    {"cell": "gru", "num_layers": 2},
    {"cell": "lstm", "num_layers": 2},
]


def name_of(cell):
    return cell.get("equation", cell.get("cell", "vanilla"))


def lengths_of(unequal):
    return {"lengths": np.random.default_rng(1).integers(1, T + 1, M)} if unequal else {}


def states(options, dtype="float32"):
    """Where each example begins, as `a0=` takes it."""
    rng, lstm = np.random.default_rng(2), options.get("cell") == "lstm"
    count = options.get("num_layers", 1) * (1 + (options.get("direction") == "bidirectional"))
    drawn = [rng.standard_normal((2, M, 5)).astype(dtype) for _ in range(count)]
    return [(a, c) if lstm else a for a, c in drawn]


@pytest.mark.parametrize("cell", CELLS, ids=name_of)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("begins", ["trained", "given", "given, not the trained ones"])
def test_initial_states(monkeypatch, cell, direction, unequal, begins):
    options = {**cell, "steps": "all", "direction": direction}
    if "trained" in begins:
        options["initial_state"] = "trained"
    more = {"optimizer": crnn.Adam(0.01), **lengths_of(unequal)}
    if "given" in begins:
        more["a0"] = states(options)
    found = both(monkeypatch, options, more, *examples("all"))
    assert_same(*found)
    moved = [np.any(p) for name, p in found[0][0].parameters.items() if name[1] == "0"]
    assert moved == [begins == "trained"] * len(moved)


def test_initial_states_of_one_unit_and_with_weights_and_inspect(monkeypatch):
    options = {"steps": "last", "initial_state": "trained", "n_y": 4}
    more = {"sample_weight": np.arange(M), "inspect": True, "optimizer": crnn.SGD(0.1)}
    assert_same(*both(monkeypatch, options, more, *examples()))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("steps", ["last", "all", "mean", "max", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize("dropout", [0, 0.3])
def test_rates_of_currents(monkeypatch, relu, steps, direction, unequal, dropout):
    options = {
        "cell": "leaky", "leak": 0.4, "noise": 0.1, "equation": "current", "num_layers": 2,
        "activation": "relu" if relu else "tanh", "steps": steps, "direction": direction,
        "dropout": dropout,
    }  # fmt: skip
    more = {"optimizer": crnn.Adam(0.01), **lengths_of(unequal)}
    assert_same(*both(monkeypatch, options, more, *examples(steps)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [2, 3, 100])
@pytest.mark.parametrize(
    "more",
    [
        {}, {"clip_norm": 0.1, "sample_weight": np.arange(M) + 0.5}, {"batch_size": 5},
        {"lengths": np.arange(M) % T + 1},
    ],
)  # fmt: skip
def test_several_batches_in_a_step(monkeypatch, dtype, k, more):
    options = {"steps": "all", "dtype": dtype, "masks": {"Waa": np.tri(5)}}
    more = {"optimizer": crnn.Adam(0.01), "accumulate": k, **more}
    assert_same(*both(monkeypatch, options, more, *examples("all", dtype=dtype)))


def test_several_batches_in_a_step_with_states_and_noise(monkeypatch):
    options = {**CELLS[1], "noise": 0.1, "dropout": 0.2, "initial_state": "trained"}
    assert_same(*both(monkeypatch, options, {"accumulate": 2, "batch_size": 4}, *examples()))


@pytest.mark.parametrize("k", [1, 2])
def test_what_diverges_in_a_group_is_undone(monkeypatch, k):
    x, y = examples()
    x[3, 17, 1] = np.nan
    found = []
    for find in (None, lambda trainer, data: None):
        if find is not None:
            monkeypatch.setattr("crnn._training.train.compiled", find)
        model = crnn.RNN(3, 5, 4, cell="leaky", leak=0.5, noise=0.1, rng=0)
        rng = np.random.default_rng(3)
        with pytest.raises(crnn.DivergenceError) as caught:
            model.fit(x, y, batch_size=2, accumulate=k, progress=False, rng=rng)
        found.append((str(caught.value), model._network.arena.flat.tobytes(), rng.random()))
    assert found[0] == found[1]
