"""Epochs in compiled code have the bits of the loop in Python."""

import numpy as np
import pytest
from compiled_runs import M, T, assert_same, both, examples

import crnn
from crnn._training import compiled, train
from crnn.schedules import Cosine, OnPlateau, Warmup

CELLS = [
    {},
    {"activation": "relu", "num_layers": 2},
    {"cell": "leaky", "leak": 0.3, "num_layers": 2},
    {"cell": "gru", "num_layers": 3},
    {"cell": "lstm", "num_layers": 2},
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
@pytest.mark.parametrize("steps", ["last", "all", "mean", "max", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("symbols", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models(monkeypatch, cell, steps, direction, symbols, dtype):
    options = {**cell, "steps": steps, "direction": direction, "dtype": dtype}
    data = examples(steps, symbols, dtype)
    assert_same(*both(monkeypatch, options, {"optimizer": crnn.Adam(0.01)}, *data))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
@pytest.mark.parametrize("steps", ["last", "all", "mean", "max", "pooled"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("symbols", [False, True])
def test_unequal_lengths(monkeypatch, cell, steps, direction, listed, symbols):
    x, y = examples(steps, symbols)
    lengths = np.random.default_rng(1).integers(1, T + 1, M)
    more = {"lengths": lengths}
    if listed:
        x, more = [x[:n, i] for i, n in enumerate(lengths)], {}
        y = [y[:n, i] for i, n in enumerate(lengths)] if steps == "all" else y
    elif symbols:
        x[T - 1, lengths < T] = 99  # not read
    options = {**cell, "steps": steps, "direction": direction}
    more |= {"optimizer": crnn.Adam(0.01), "batch_size": 3}
    assert_same(*both(monkeypatch, options, more, x, y))


@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("inspect", [False, True])
def test_unequal_lengths_with_weights(monkeypatch, steps, equal, inspect):
    x, y = examples(steps)
    rng = np.random.default_rng(1)
    lengths = np.full(M, 4) if equal else rng.integers(1, T + 1, M)
    more = {"lengths": lengths, "sample_weight": rng.random(M), "inspect": inspect}
    assert_same(*both(monkeypatch, {"steps": steps}, more, x, y))


#: Losses, n_y, and the numbers of a target.
LOSSES = [
    ("mse", 3, 3), ("mae", 1, 1), ("huber", 2, 2), (crnn.Huber(0.3), 1, 1), ("quantiles", 6, 2),
    (crnn.Quantiles((0.2, 0.8)), 2, 1), ("gaussian_nll", 4, 2), ("binary_cross_entropy", 1, 0),
    ("binary_cross_entropy", 3, 3),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "n_y", "s"), LOSSES)
@pytest.mark.parametrize("steps", ["last", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(monkeypatch, loss, n_y, s, steps, dtype, weighted):
    x, y = examples(steps, dtype=dtype)
    rng = np.random.default_rng(1)
    shape = (*y.shape, s) if s else y.shape
    y = rng.integers(0, 2, shape) if loss == "binary_cross_entropy" else rng.normal(size=shape)
    options = {"loss": loss, "n_y": n_y, "steps": steps, "dtype": dtype}
    more = {"sample_weight": rng.random(M)} if weighted else {}
    assert_same(*both(monkeypatch, options, {"optimizer": crnn.Adam(0.01), **more}, x, y))


@pytest.mark.parametrize(
    "optimizer",
    [
        crnn.SGD(0.1), crnn.SGD(0.1, 0.9, 0.1), crnn.AdamW(0.01), crnn.RMSprop(0.01),
        crnn.RMSprop(0.01, momentum=0.5, weight_decay=0.1), crnn.Adam(Cosine(0.1)),
        crnn.SGD(Warmup(5, OnPlateau(0.1, patience=0))),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "more",
    [
        {}, {"clip_norm": 0.1, "sample_weight": np.arange(M) + 0.5}, {"clip_value": 0.01},
        {"clip_value": 0.02, "clip_norm": 0.1},
    ],
)  # fmt: skip
def test_optimizers(monkeypatch, optimizer, more):
    assert_same(*both(monkeypatch, {}, {"optimizer": optimizer, **more}, *examples()))


@pytest.mark.parametrize("steps", ["last", "all"])
def test_weights_and_validation_and_patience(monkeypatch, steps):
    x, y = examples(steps)
    options = {"class_weight": "balanced", "validation": (x, y), "patience": 2, "epochs": 6}
    assert_same(*both(monkeypatch, {"steps": steps}, options, x, y))


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("unequal", [False, True])
@pytest.mark.parametrize(
    "drawn",
    [{**CELLS[4], "dropout": 0.4}, {**CELLS[2], "noise": 0.1},
     {**CELLS[2], "noise": 0.1, "dropout": 0.4}],
)  # fmt: skip
def test_noise_and_dropout(monkeypatch, direction, unequal, drawn):
    x, y = examples()
    options = {**drawn, "num_layers": 3, "direction": direction}
    lengths = {"lengths": np.arange(M) % T + 1} if unequal else {}
    fit, used = crnn.RNN.fit, []

    def with_generator(model, x, y, **given):
        used.append(np.random.default_rng(5))
        return fit(model, x, y, **{**given, "rng": used[-1]})

    monkeypatch.setattr(crnn.RNN, "fit", with_generator)
    assert_same(*both(monkeypatch, options, lengths, x, y))
    assert used[0].bit_generator.state == used[1].bit_generator.state
    x[...] = np.nan  # both draw the seeds of the steps before the error, and that of its own
    with pytest.raises(crnn.DivergenceError):
        both(monkeypatch, options, lengths, x, y)
    monkeypatch.setattr(train, "compiled", lambda trainer, data: None)
    model = crnn.RNN(3, 5, 4, **options, rng=0)
    with pytest.raises(crnn.DivergenceError):
        model.fit(x, y, batch_size=6, progress=False, **lengths)
    assert used[2].bit_generator.state == used[3].bit_generator.state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "constraints",
    [
        {"masks": {"Waa": np.eye(5)}}, {"signs": {"Waa": [1, 1, 1, 1, -1], "Wya": 1}},
        {"masks": {"Waa": np.tri(5), "Wax": [1, 0, 1]}, "signs": {"Waa": -1}},
    ],
)  # fmt: skip
def test_masks_and_signs(monkeypatch, dtype, constraints):
    options = {**constraints, "dtype": dtype}
    more = {"optimizer": crnn.AdamW(0.1), "clip_norm": 0.5}
    assert_same(*both(monkeypatch, options, more, *examples()))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
def test_the_first_batch_of_an_epoch_is_inspected(monkeypatch, cell):
    options = {"inspect": True, "epochs": 2, "optimizer": crnn.Adam(0.01)}
    assert_same(*both(monkeypatch, cell, options, *examples()))


def test_a_second_call_continues(monkeypatch):
    x, y = examples()
    adam, models = crnn.Adam(0.01), []
    for find in (compiled.compiled, lambda trainer, data: None):
        monkeypatch.setattr(train, "compiled", find)
        models.append(crnn.RNN(3, 5, 4, rng=0))
        for _ in range(2):
            models[-1].fit(x, y, batch_size=5, epochs=2, optimizer=adam, progress=False, rng=0)
    assert_same(*((model, crnn.History(""), model._memory[1]) for model in models))
