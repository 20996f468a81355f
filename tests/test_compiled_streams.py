"""Windows of a stream in compiled code have the bits of the loop in Python."""

import signal

import numpy as np
import pytest
from compiled_runs import assert_same, both

import crnn
from crnn._training import compiled, train

CELLS = [
    {},
    {"cell": "leaky", "leak": 0.3, "noise": 0.1, "equation": "current"},
    {"cell": "gru", "num_layers": 2, "dropout": 0.2},
    {"cell": "lstm", "num_layers": 2, "initial_state": "trained"},
]


def symbols(dtype="uint8"):
    return np.random.default_rng(0).integers(0, 3, 4 * 50 + 3).astype(dtype)


def fitted(monkeypatch, cell, more, *data, **options):
    options = {"n_y": 3, "steps": "all", **cell, **options}
    rules = {"optimizer": crnn.Adam(0.01), "batch_size": 4, "steps": 8, **more}
    found = both(monkeypatch, options, rules, *data, method="fit_stream")
    assert_same(*found)
    return found[0]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.get("cell", "vanilla"))
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", ">i2", "int64"])
def test_symbols(monkeypatch, cell, k, dtype):
    """Seven windows, of which the last one has 2 steps."""
    fitted(monkeypatch, cell, {"accumulate": k, "validation": symbols()[:99]}, symbols(dtype))


@pytest.mark.parametrize("steps", [1, 49, 50, 200])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_windows_of_any_size(monkeypatch, steps, batch_size):
    fitted(monkeypatch, CELLS[3], {"steps": steps, "batch_size": batch_size}, symbols())


@pytest.mark.parametrize("loss", ["mse", "mae", "cross_entropy", "gaussian_nll"])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers(monkeypatch, loss, rows, masked, dtype):
    rng, shape = np.random.default_rng(0), (50, 4) if rows else (200,)
    x = rng.standard_normal((*shape, 3))
    known = rng.random(shape) < 0.8
    if loss == "cross_entropy":
        y = [rng.integers(0, 3, shape)]
    else:
        y = [rng.standard_normal((*shape, 3))] if loss == "gaussian_nll" else []
    more = {"mask": known} if masked else {}
    if masked and not y:
        x[~known] = np.nan
    n_y = 6 if loss == "gaussian_nll" else 3
    fitted(monkeypatch, CELLS[2], more, x, *y, loss=loss, dtype=dtype, n_y=n_y)


def test_a_strided_sequence(monkeypatch):
    fitted(monkeypatch, CELLS[0], {}, np.repeat(symbols(), 2)[::2])


def test_resets_are_left_to_python(monkeypatch):
    found = []
    monkeypatch.setattr(
        train, "compiled", lambda *given: found.append(compiled.compiled(*given)) or found[-1]
    )
    model = crnn.RNN(3, 5, 3, steps="all", rng=0)
    model.fit_stream(symbols(), resets=symbols() == 0, epochs=1, batch_size=4, progress=False)
    assert found == [None]


@pytest.mark.skipif(not hasattr(signal, "raise_signal"), reason="no signals")
@pytest.mark.parametrize("call", range(1, 15))
@pytest.mark.parametrize("k", [1, 2])
def test_a_stopped_training_goes_on_with_the_state(monkeypatch, tmp_path, call, k):
    monkeypatch.setattr(compiled, "MOST_SECONDS", 1e-9)  # a step in each call
    options = {"epochs": 2, "batch_size": 4, "steps": 8, "accumulate": k, "progress": False}
    whole = crnn.RNN(3, 5, 3, steps="all", cell="lstm", rng=0)
    whole.fit_stream(symbols(), **options)
    calls, rates = iter(range(1, 99)), compiled._rates

    def pressed(*arguments):
        if next(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return rates(*arguments)

    monkeypatch.setattr(compiled, "_rates", pressed)
    options["checkpoint"] = tmp_path / "c.safetensors"
    history = crnn.RNN(3, 5, 3, steps="all", cell="lstm", rng=0).fit_stream(symbols(), **options)
    steps = 14 if k == 1 else 8
    assert history.interrupted == (call <= steps)
    model = crnn.RNN(3, 5, 3, steps="all", cell="lstm", rng=1)
    model.fit_stream(symbols(), **options)
    assert next(calls) == steps + 1  # no step was repeated
    assert model._network.arena.flat.tobytes() == whole._network.arena.flat.tobytes()


def test_what_diverges_is_named_and_undone(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 4, 3))
    x[20, 1, 2] = np.inf
    found = []
    for find in (compiled.compiled, lambda trainer, data: None):
        monkeypatch.setattr(train, "compiled", find)
        model = crnn.RNN(3, 5, 3, steps="all", loss="mse", rng=0)
        with pytest.raises(crnn.DivergenceError) as caught:
            model.fit_stream(x, steps=8, progress=False)
        found.append((str(caught.value), model._network.arena.flat.tobytes()))
    assert found[0] == found[1]
    assert "step 20 of row 1" in found[0][0]


def test_symbols_that_change_meanwhile_are_refused():
    x = symbols("int64")

    def spoil(_):
        x[...] = 99

    model = crnn.RNN(3, 5, 3, steps="all", rng=0)
    with pytest.raises((ValueError, RuntimeError), match="changed"):
        model.fit_stream(x, batch_size=4, callback=spoil, progress=False)
    assert np.isfinite(model._network.arena.flat).all()


def test_the_bar_counts_symbols(capsys):
    model = crnn.RNN(3, 5, 3, steps="all", rng=0)
    model.fit_stream(symbols(), epochs=2, batch_size=4, steps=8)
    assert "400/400" in capsys.readouterr().err
